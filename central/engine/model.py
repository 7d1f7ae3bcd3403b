"""The words of the engine: conditions, severities, states, reasons, acts, and the alarm itself.

Law of this file: data only, no imports of ours. `Condition` has the words of `wire.messages.Condition`;
a test compares them. States and their order follow ISA-18.2 / IEC 62682.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any

from msgspec import Struct


class Condition(StrEnum):
    """What may be wrong with a home, a part of the line, or us."""

    SMOKE = "smoke"
    HEAT = "heat"
    PRE_ALARM = "pre_alarm"
    TEST = "test"
    FAULT = "fault"
    CONTAMINATED = "contaminated"
    LOW_BATTERY = "low_battery"
    MAINS_LOST = "mains_lost"
    REMOVED = "removed"
    MUTED = "muted"
    ISOLATED = "isolated"
    NO_RESPONSE = "no_response"
    BUS_DOWN = "bus_down"
    BUS_STUCK = "bus_stuck"
    GATEWAY_SILENT = "gateway_silent"
    EVENTS_STUCK = "events_stuck"
    UNSTABLE = "unstable"
    DATA_GAP = "data_gap"
    STORAGE = "storage"
    CLOCK_WRONG = "clock_wrong"
    CLONE_SUSPECTED = "clone_suspected"
    TREND = "trend"
    SYSTEM = "system"


class Severity(StrEnum):
    """How much it matters; each has its policy."""

    LIFE = "life"
    """Somebody may be dying: climbs until a person takes it, ends only with a person's disposition."""
    UNWATCHED = "unwatched"
    """Homes may be without a watch."""
    CARE = "care"
    """A device wants attention."""
    NOTE = "note"
    """Recorded and shown; nobody is called."""


class Grade(StrEnum):
    """How much more speaks for a fire than the detector that called. Of smoke and heat; it only rises."""

    USUAL = "usual"
    RAISED = "raised"
    """The step behind the first is done at once."""
    GRAVE = "grave"
    """Everybody of the climb is told at once."""


class Ground(StrEnum):
    """What makes an alarm graver than another."""

    NEIGHBOUR = "neighbour"
    """Another detector of the building smells it too."""
    HEAT_TOO = "heat_too"
    RISING_HEAT = "rising_heat"
    SILENT = "silent"
    """It fell silent while it smelled smoke."""
    BEDRIDDEN = "bedridden"
    OXYGEN = "oxygen"
    GAS = "gas"


PERSONAL = frozenset({Ground.BEDRIDDEN, Ground.OXYGEN})
"""Grounds that say something of a person: for those only who may see who lives there."""


class AlarmState(StrEnum):
    """Where an alarm stands."""

    ACTIVE_UNACKNOWLEDGED = "active_unacknowledged"
    ACTIVE_ACKNOWLEDGED = "active_acknowledged"
    ACTIVE_UNKNOWN = "active_unknown"
    """The source cannot answer any more. Whether somebody has taken it is said by `acknowledged_at`."""
    CLEARED_UNACKNOWLEDGED = "cleared_unacknowledged"
    CLEARED_ACKNOWLEDGED = "cleared_acknowledged"
    CLOSED = "closed"


class Disposition(StrEnum):
    """What it was. All but the last are a person's words."""

    REAL_FIRE = "real_fire"
    FALSE_ALARM = "false_alarm"
    TEST = "test"
    MAINTENANCE = "maintenance"
    DEVICE_FAULT = "device_fault"
    RETURNED_TO_NORMAL = "returned_to_normal"
    """Only by the system, and never of a life alarm."""


class Cause(StrEnum):
    """What set off a false alarm."""

    COOKING = "cooking"
    STEAM = "steam"
    DUST = "dust"
    INSECTS = "insects"
    CONSTRUCTION = "construction"
    SMOKING = "smoking"
    OTHER = "other"


class Reason(StrEnum):
    """Why a decision was taken; stored with it and shown."""

    FIRST_ASSERT = "first_assert"
    LATE_ASSERT = "late_assert"
    """Told only now, after something newer of the same source."""
    RETURNED_AFTER_CLEAR = "returned_after_clear"
    RETURNED_AFTER_UNKNOWN = "returned_after_unknown"
    STILL_ACTIVE = "still_active"
    """Still there long after somebody took it."""
    ALREADY_ACTIVE = "already_active"
    OLDER_THAN_KNOWN = "older_than_known"
    COVERED = "covered"
    """An alarm that was already dealt with covers it."""
    RESENT = "resent"
    """The same observation came before under another stream."""
    OTHER_SOURCE = "other_source"
    SOURCE_CLEARED = "source_cleared"
    SOURCE_SILENT = "source_silent"
    NOTHING_OPEN = "nothing_open"
    ALREADY_CLEARED = "already_cleared"
    ALREADY_UNKNOWN = "already_unknown"
    BY_PERSON = "by_person"
    ALREADY_YOURS = "already_yours"
    TAKEN_OVER = "taken_over"
    """Somebody else has it now, by their own word."""
    VERIFIED = "verified"
    """Something else speaks for a fire."""
    NO_NEWS = "no_news"
    OFFERED = "offered"
    DECLINED = "declined"
    DISPOSED = "disposed"
    """The disposition was given while it was active; it ends when the source clears."""
    STEP_DUE = "step_due"
    NO_RECIPIENT = "no_recipient"
    NOBODY_REACHABLE = "nobody_reachable"
    NO_DISPOSITION = "no_disposition"
    NO_RECEIPT = "no_receipt"
    """The provider took the message, and said in time neither that it arrived nor that it did not."""
    NOT_RECEIVED = "not_received"
    """The provider says that it did not arrive, or that nobody picked up."""
    NO_LONGER_DUE = "no_longer_due"
    QUIET_HOURS = "quiet_hours"
    """Not life, and the policy keeps these hours quiet: told at their end."""
    IN_WINDOW = "in_window"
    """Somebody works on the detector, or it is out of service: told at the end of that."""
    WALK_TEST = "walk_test"
    """Somebody tries the detectors out: a test while it is one."""
    NO_HEARTBEAT = "no_heartbeat"
    HEARD_AGAIN = "heard_again"
    AREA_SILENT = "area_silent"
    """So many gateways of an area at once that it is one incident."""
    FOLDED = "folded"
    """Another alarm stands for it: nobody is told."""
    JUDGED_AGAIN = "judged_again"
    """What stood for it is over, and it is still there."""
    UP_AND_DOWN = "up_and_down"
    """It comes and goes too often for a message each time."""
    STEADY = "steady"
    BY_STATUS = "by_status"
    NOBODY_LISTENS = "nobody_listens"
    JOB_STUCK = "job_stuck"
    JOB_WORKS = "job_works"
    FIRE_CENTRE_LOST = "fire_centre_lost"
    """The fire brigade's centre confirms nothing."""
    FIRE_CENTRE_BACK = "fire_centre_back"
    ROLL_CALLED = "roll_called"
    ROLL_CALL_OVER = "roll_call_over"
    POLICY_UNREADABLE = "policy_unreadable"
    POLICY_READABLE = "policy_readable"
    ROSTER_WANTING = "roster_wanting"
    """Hours ahead that nobody covers, or people who cannot be reached."""
    ROSTER_WELL = "roster_well"
    TOLD_ANEW = "told_anew"
    """It is told once a day as long as there is something to tell."""
    CENTRE_SILENT = "centre_silent"
    """We did not answer in time, or said nothing: the gateway called by itself."""
    EVENT_FAILED = "event_failed"
    GAP = "gap"
    CONFLICT = "conflict"
    TREND_FOUND = "trend_found"
    TREND_OVER = "trend_over"


class ActKind(StrEnum):
    """What a person may do to an alarm."""

    ACKNOWLEDGE = "acknowledge"
    ON_WAY = "on_way"
    ON_SCENE = "on_scene"
    OFFER = "offer"
    """Ask `Act.to` to take it over: nothing changes hands before they accept."""
    ACCEPT = "accept"
    DECLINE = "decline"
    TAKE_OVER = "take_over"
    """By one's own word, from whoever has it."""
    CLOSE = "close"


class Act(Struct, frozen=True):
    """One act of one person. CLOSE wants a disposition, of a false alarm also its cause; OFFER wants `to`."""

    kind: ActKind
    disposition: Disposition | None = None
    cause: Cause | None = None
    remark: str = ""
    """In their own words: of a close, and why it is handed over."""
    to: str | None = None
    """Of an OFFER: the worker who is asked."""


class NotAllowed(Exception):  # noqa: N818 - it is an answer to a person, not a fault
    """The act or observation is not allowed in this state; nothing was changed."""

    def __init__(self, zh: str, en: str, *, by: str | None = None) -> None:
        """`by` is who has the alarm, where that is the reason (worker id or token name)."""
        super().__init__(en)
        self.zh = zh
        self.en = en
        self.by = by


class Alarm(Struct, frozen=True):
    """A condition that wants a person.

    `acknowledged_*`, `on_way_at`, `on_scene_at`, `offered_*`, `disposition`: of the present round. It is
    `acknowledged_by` who has it now; `acknowledged_at` is when the first of the round took it.
    """

    id: int
    condition: Condition
    severity: Severity
    area: str
    part: str
    """Detector id, `bus:<bus>`, or '' for the gateway itself or the centre."""
    state: AlarmState
    opened_at: datetime
    event_at: datetime
    grid: str | None = None
    building: str | None = None
    household: str | None = None
    placement: int | None = None
    gateway: str | None = None
    address_known: bool = True
    round: int = 1
    late: bool = False
    """Told more than 60 s after it happened."""
    event: int | None = None
    cleared_at: datetime | None = None
    acknowledged_at: datetime | None = None
    acknowledged_by: str | None = None
    on_way_at: datetime | None = None
    closed_at: datetime | None = None
    closed_by: str | None = None
    """Who said what it was, perhaps before it ends; `system` where nobody had to."""
    disposition: Disposition | None = None
    cause: Cause | None = None
    remark: str = ""
    linked_to: int | None = None
    detail: Mapping[str, Any] = {}
    on_scene_at: datetime | None = None
    """When the first of the round was there."""
    offered_to: str | None = None
    """Who was asked to take it over and has not answered."""
    offered_by: str | None = None
    offered_at: datetime | None = None
    handovers: int = 0
    """How often it was offered or taken over: numbers the messages about that."""
    grade: Grade = Grade.USUAL
    """Of the present round; `detail` has its `grounds`."""
    verify_at: datetime | None = None
    """When it is looked at again for what makes it graver; None: not any more."""

    @property
    def life(self) -> bool:
        """Whether only a person may end it."""
        return self.severity is Severity.LIFE

    @property
    def acknowledged(self) -> bool:
        """Whether a person has taken the present round."""
        return self.acknowledged_at is not None
