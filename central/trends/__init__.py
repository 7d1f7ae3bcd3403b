"""Trends that warn early: five rules over roll-ups of one detector, or over the clock of one gateway.

Law of this package: pure. `today` is an argument, nothing is read or kept here; a gap is never a value; a
rule that lacks history, coverage or a limit says nothing. The same input gives the same answer.

What the caller must supply, once a day after midnight of the area's clock:

- `DetectorHistory.days`: for each metric one `Bucket` a *complete* day of the last `Thresholds.history_days`
  days (today's is ignored), made from `readings` where the value is not null. A day without readings has no
  bucket: never a zero, never the value of the day before. Days before the detector was fitted where it hangs
  now are left out, and `fitted_on` is that day.
- `DetectorHistory.smoke_hours`: one bucket an hour of the last `noise.quiet_days` days, smoke only.
- `limits`: at which smoke its model alarms (in the unit of its readings), at which contamination and at which
  battery voltage it asks for help: from the profile or the maker's paper. Unknown is None, and the rule that
  needs it is silent; only contamination has a default, because its unit is the same for all models.
- `resolution`: the steps in which the model tells a metric (a register's scale); without it they are guessed.
- `peers`: for smoke and temperature what `peer()` says of each other detector of the same model in the area.
- `judge_gateway` takes `ClockSample`s of one gateway: at most one an hour is enough, offset as in
  `wire.messages.Clock.offset_ms` (centre minus agent), only of the running boot or of synchronised clocks.
- `before`: what the last judgement returned, by rule. A `Finding` is plain data (msgspec encodes it). One
  whose `ended` is set is told once; passed in again it is as good as none. Judging the same day again with
  the day's own findings changes nothing.

Every finding is one `trend` condition of its part (`severity` is that of the engine); a part with several has
one alarm, and the findings are its detail.
"""

from central.trends.judge import judge_detector, judge_gateway
from central.trends.model import (
    Bucket,
    ClockSample,
    DetectorHistory,
    End,
    Ended,
    Finding,
    Hour,
    Limits,
    Metric,
    Peer,
    Picture,
    Reach,
    Rule,
    Said,
    Urgency,
)
from central.trends.stuck import peer
from central.trends.thresholds import Thresholds

__all__ = [
    "Bucket",
    "ClockSample",
    "DetectorHistory",
    "End",
    "Ended",
    "Finding",
    "Hour",
    "Limits",
    "Metric",
    "Peer",
    "Picture",
    "Reach",
    "Rule",
    "Said",
    "Thresholds",
    "Urgency",
    "judge_detector",
    "judge_gateway",
    "peer",
]
