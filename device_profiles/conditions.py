"""The conditions a device itself can show.

The words are those of `wire.messages.Condition`; a test compares them.
"""

from __future__ import annotations

from enum import StrEnum


class Condition(StrEnum):
    """What a register's value may mean."""

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
