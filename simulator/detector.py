"""One photoelectric smoke detector: what it senses, judges and remembers.

Law of this file: pure. Every function takes a state and `now` (seconds since 1970) and gives the next state
or a value; the same seed and the same times give the same numbers. Curves are closed forms of the time since
they began, so it does not matter how often anybody looks.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from enum import StrEnum

from device_profiles.conditions import Condition

ALARM_AT = 6.7
"""%/m; 0.3 dB/m, the upper end of what EN 14604 lets a smoke alarm need."""
CLEAR_SHARE = 0.6
"""Smoke ends when the obscuration has fallen to this share of the alarm threshold."""
PRE_ALARM_SHARE = 0.5
HEAT_AT = 57.0
"""Degrees C, a common fixed heat threshold."""
CONTAMINATED_AT = 80.0
LOW_BATTERY_AT = 2.4
TEST_S = 10.0
MUTE_S = 600.0
BLINK_S = 30.0
COOKING_S = 480.0
_FIRE_TOP = 30.0
_FIRE_MIDDLE_S = 14.0
_FIRE_WIDTH_S = 2.2
_DECAY_S = 40.0
_DAY_S = 86_400.0
_ZONE_S = 8 * 3600
"""The day cycle runs on China's clock."""


class Air(StrEnum):
    """What is going on in the room."""

    CLEAR = "clear"
    FIRE = "fire"
    COOKING = "cooking"
    FORCED = "forced"
    """A test has set the alarm directly."""


@dataclass(frozen=True, slots=True)
class Traits:
    """What does not change while a detector lives."""

    seed: int = 0
    alarm_at: float = ALARM_AT
    """%/m."""
    latch: bool = False
    """Smoke stays until a reset, as on a panel's loop."""
    serial_number: int = 0
    born: float = 0.0
    """When dust and battery began to count, seconds since 1970."""


@dataclass(frozen=True, slots=True)
class State:
    """A detector at one moment. `smoke` and `test` are what the last look judged."""

    traits: Traits
    air: Air = Air.CLEAR
    air_since: float = 0.0
    level_then: float = 0.0
    """Smoke in the chamber at `air_since`, %/m."""
    warmth_then: float = 0.0
    """Degrees above the room's usual at `air_since`."""
    smoke: bool = False
    smoke_since: float | None = None
    heat: bool = False
    test_until: float = 0.0
    muted_until: float = 0.0
    blinking_until: float = 0.0
    sounding: bool = False
    """Its sounder was turned on by an order, alarm or none."""
    removed: bool = False
    faulty: bool = False
    battery: float | None = None
    """Volt, when set by hand; else it drains from new."""
    contamination: float | None = None
    """Percent, when set by hand; else it grows."""
    temperature: float | None = None
    """Degrees C, when set by hand."""


@dataclass(frozen=True, slots=True)
class Senses:
    """The analogue values; None where the head cannot measure."""

    smoke: float | None
    """%/m."""
    temperature: float | None
    """Degrees C."""
    battery: float
    """Volt."""
    contamination: float
    """Percent of what the chamber bears."""


def new(traits: Traits, now: float) -> State:
    """A detector in clean air."""
    return State(traits, air_since=now)


def advance(state: State, now: float) -> State:
    """Judge the air at `now`: smoke with hysteresis or latch, heat."""
    if state.air is Air.COOKING and now - state.air_since > COOKING_S:
        state = _turn(state, Air.CLEAR, state.air_since + COOKING_S)
    level, warmth = _level(state, now), _temperature(state, now)
    threshold = state.traits.alarm_at
    if state.removed:
        smoke = False
    elif state.air is Air.FORCED:
        smoke = True
    else:
        held = state.smoke and (state.traits.latch or level > threshold * CLEAR_SHARE)
        smoke = level >= threshold or held
    heat = not state.removed and (warmth >= HEAT_AT or (state.heat and warmth > HEAT_AT - 3))
    if smoke == state.smoke and heat == state.heat:
        return state
    since = state.smoke_since if smoke == state.smoke else (now if smoke else None)
    return replace(state, smoke=smoke, smoke_since=since, heat=heat)


def senses(state: State, now: float) -> Senses:
    """What the device would show as values at `now`."""
    seed, age = state.traits.seed, max(0.0, now - state.traits.born)
    smoke = None
    if not state.removed:
        smoke = max(0.0, _level(state, now) + 0.12 + 0.05 * noise(seed, now / 7))
    drained = 3.05 - 0.02 * _share(seed, 2) - age / (86_400 * 3650)
    dust = 4 + 20 * _share(seed, 3) + age / 86_400 * 0.03
    return Senses(
        smoke=smoke,
        temperature=None if state.removed else _temperature(state, now),
        battery=max(0.0, drained) if state.battery is None else state.battery,
        contamination=min(150.0, dust) if state.contamination is None else state.contamination,
    )


def conditions(state: State, now: float) -> frozenset[Condition]:
    """What the device asserts at `now`, by the judgement of the last `advance`."""
    seen = senses(state, now)
    level = _level(state, now)
    nearly = state.traits.alarm_at * PRE_ALARM_SHARE <= level < state.traits.alarm_at
    shown = {
        Condition.SMOKE: state.smoke,
        Condition.PRE_ALARM: nearly and not state.smoke and not state.removed,
        Condition.HEAT: state.heat,
        Condition.TEST: now < state.test_until,
        Condition.FAULT: state.faulty,
        Condition.CONTAMINATED: seen.contamination >= CONTAMINATED_AT,
        Condition.LOW_BATTERY: seen.battery <= LOW_BATTERY_AT,
        Condition.REMOVED: state.removed,
        Condition.MUTED: now < state.muted_until,
    }
    return frozenset(condition for condition, present in shown.items() if present)


def restless(state: State) -> bool:
    """Whether its judgement may change by itself, so that somebody should look often."""
    return state.air is not Air.CLEAR or state.smoke or state.heat


def ignite(state: State, now: float) -> State:
    """A fire starts under it; the alarm comes after some ten seconds, the heat alarm after minutes."""
    return state if state.air is Air.FIRE else _turn(state, Air.FIRE, now)


def cook(state: State, now: float) -> State:
    """Somebody fries fish: near the threshold, rarely across it, over after eight minutes."""
    return _turn(state, Air.COOKING, now)


def extinguish(state: State, now: float) -> State:
    """The source of the smoke is gone; the smoke leaves the chamber in a minute or two."""
    return _turn(state, Air.CLEAR, now)


def flip(state: State, now: float, *, on: bool) -> State:
    """Set or clear the smoke alarm at once, latch or not."""
    if on:
        turned = replace(_turn(state, Air.FORCED, now), level_then=state.traits.alarm_at * 2)
        return replace(
            turned, removed=False, smoke=True, smoke_since=state.smoke_since if state.smoke else now
        )
    turned = replace(_turn(state, Air.CLEAR, now), level_then=0.0)
    return replace(turned, smoke=False, smoke_since=None)


def press_test(state: State, now: float, seconds: float = TEST_S) -> State:
    """Somebody holds the test button for so long."""
    return replace(state, test_until=now + seconds)


def mute(state: State, now: float) -> State:
    """Silence the sounder; the alarm itself stays."""
    return replace(state, muted_until=now + MUTE_S, sounding=False)


def sound(state: State, _now: float) -> State:
    """Turn the sounder on until it is muted or reset."""
    return replace(state, sounding=True)


def identify(state: State, now: float) -> State:
    """Blink, so that a person finds it."""
    return replace(state, blinking_until=now + BLINK_S)


def reset(state: State, now: float) -> State:
    """End latch, test and mute; what still burns alarms again."""
    turned = _turn(state, Air.CLEAR, now) if state.air is Air.FORCED else state
    if state.air is Air.FORCED:
        turned = replace(turned, level_then=0.0)
    quiet = replace(turned, test_until=0.0, muted_until=0.0, sounding=False)
    return advance(replace(quiet, smoke=False, smoke_since=None), now)


def remove(state: State, now: float) -> State:
    """Take the head off its base."""
    return replace(_turn(state, state.air, now), removed=True, smoke=False, smoke_since=None, heat=False)


def refit(state: State, now: float) -> State:
    """Put the head back; it judges the air again."""
    return advance(replace(state, removed=False), now)


def noise(seed: int, t: float) -> float:
    """Smooth noise from -1 to 1 that depends on nothing but `seed` and `t`."""
    step = math.floor(t)
    part = t - step
    part = part * part * (3 - 2 * part)
    return 2 * (_share(seed, step) * (1 - part) + _share(seed, step + 1) * part) - 1


def _turn(state: State, air: Air, now: float) -> State:
    """Begin another curve where the present one stands."""
    room = _room(state.traits.seed, now)
    warmth = _temperature(replace(state, temperature=None), now) - room
    return replace(state, air=air, air_since=now, level_then=_level(state, now), warmth_then=warmth)


def _level(state: State, now: float) -> float:
    """Smoke in the chamber, %/m, without the noise of the clean chamber."""
    seconds = max(0.0, now - state.air_since)
    rest = state.level_then * math.exp(-seconds / _DECAY_S)
    if state.air is Air.FIRE:
        return max(rest, _grown(seconds) * _FIRE_TOP)
    if state.air is Air.COOKING:
        wave = 0.72 + 0.22 * noise(state.traits.seed ^ 0xC00C, now / 20)
        return max(rest, state.traits.alarm_at * wave * (1 - math.exp(-seconds / 45)))
    if state.air is Air.FORCED:
        return state.level_then
    return rest


def _grown(seconds: float) -> float:
    """A logistic curve that starts at exactly 0."""
    start = 1 / (1 + math.exp(_FIRE_MIDDLE_S / _FIRE_WIDTH_S))
    return (1 / (1 + math.exp(min(50.0, (_FIRE_MIDDLE_S - seconds) / _FIRE_WIDTH_S))) - start) / (1 - start)


def _room(seed: int, now: float) -> float:
    """The room without any fire: warmest in the afternoon, a little different in each home."""
    hour = ((now + _ZONE_S) % _DAY_S) / 3600
    return (
        20.5
        + 3 * _share(seed, 1)
        + 2.5 * math.cos((hour - 15) / 24 * 2 * math.pi)
        + 0.15 * noise(seed, now / 60)
    )


def _temperature(state: State, now: float) -> float:
    if state.temperature is not None:
        return state.temperature
    seconds = max(0.0, now - state.air_since)
    if state.air is Air.FIRE:
        warmth = 55 - (55 - state.warmth_then) * math.exp(-seconds / 150)
    elif state.air is Air.COOKING:
        warmth = 4 - (4 - state.warmth_then) * math.exp(-seconds / 200)
    else:
        warmth = state.warmth_then * math.exp(-seconds / 300)
    return _room(state.traits.seed, now) + warmth


def _share(seed: int, step: int) -> float:
    """A number from 0 to 1 mixed from both (the finisher of the splitmix64 generator)."""
    x = (seed * 0x9E3779B97F4A7C15 + step * 0xD1B54A32D192ED03 + 0x632BE59BD9B4E019) & 0xFFFFFFFFFFFFFFFF
    x = ((x ^ x >> 30) * 0xBF58476D1CE4E5B9) & 0xFFFFFFFFFFFFFFFF
    x = ((x ^ x >> 27) * 0x94D049BB133111EB) & 0xFFFFFFFFFFFFFFFF
    return (x ^ x >> 31) / 0xFFFFFFFFFFFFFFFF
