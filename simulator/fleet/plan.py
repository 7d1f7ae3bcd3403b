"""What a fleet is to do. Data, and the rules for it. Pure.

Seconds count from the start of the run; rates are of the whole fleet.
"""

from __future__ import annotations

from dataclasses import dataclass

from simulator.fleet.names import Names, wrong_names

MOST_A_GATEWAY = 1000.0
"""Readings that one gateway can have in a second: each has a millisecond of its own."""
MOST_ROWS = 1000
SAVED_S = 10.0
"""A gateway with few readings sends what it has after so long."""


@dataclass(frozen=True, slots=True)
class Outage:
    """A share of the gateways is cut off for a time: says nothing, hears nothing, records on."""

    share: float
    begin: float
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """All that a run depends on."""

    names: Names
    connections: int = 1
    seed: int = 1
    seconds: float | None = None
    """How long it records; None: until it is told to stop."""
    rate: float | None = 0.0
    """Readings a second; None: as fast as they are acknowledged."""
    rows: int = 128
    """Readings in a message at most."""
    window: int = 4
    """Readings messages of one gateway that may be under way."""
    readings_qos: int = 1
    hold: int = 1_000_000
    """Readings that one gateway keeps at most while they are not acknowledged."""
    heartbeat_s: float = 30.0
    """0: no heartbeats."""
    snapshots: bool = True
    """Whether each gateway says at its start and after a configuration how its detectors are."""
    alarms: float = 0.0
    clear_after_s: float = 60.0
    """0: a fire never ends."""
    storm: int = 0
    storm_at: float = 5.0
    storm_seconds: float = 1.0
    outages: tuple[Outage, ...] = ()
    lose: float = 0.0
    """The share of readings and events messages, and of their answers, that gets lost."""


def rows_at_most(plan: Plan) -> int:
    """Readings in a message, at most: a gateway with few of them does not save up for long.

    A lap of its detectors is not cut for that.
    """
    if not plan.rate:
        return plan.rows
    saved = round(plan.rate / plan.names.gateways * SAVED_S)
    return min(plan.rows, max(saved, plan.names.detectors))


def wrong_plan(plan: Plan) -> list[str]:
    """All that is wrong with a plan, Chinese first; empty when nothing is."""
    names = plan.names
    found = wrong_names(names)
    total = names.gateways * names.detectors
    for zh, what, value, least, most in (
        ("连接数", "--connections", plan.connections, 1, max(1, names.gateways)),
        ("每条消息读数", "--rows", plan.rows, 1, MOST_ROWS),
        ("窗口", "--window", plan.window, 1, 64),
        ("丢失比例", "--lose", plan.lose, 0.0, 0.9),
        ("心跳间隔", "--heartbeat", plan.heartbeat_s, 0.0, 3600.0),
        ("报警率", "--alarms", plan.alarms, 0.0, 100_000.0),
        ("报警持续", "--clear-after", plan.clear_after_s, 0.0, 86_400.0),
        ("同时报警数", "--storm", plan.storm, 0, max(0, total)),
        ("同时报警时长", "--storm-over", plan.storm_seconds, 0.001, 3600.0),
        ("时长", "--seconds", 1.0 if plan.seconds is None else plan.seconds, 0.1, 10_000_000.0),
    ):
        if not least <= value <= most:
            found.append(f"{zh}超出范围 {what} {value:g}: {least:g} to {most:g}")
    if names.detectors == 0 and (plan.rate is None or plan.rate > 0 or plan.alarms or plan.storm):
        found.append("没有探测器 no detectors: give --detectors, or --rate 0 without --alarms and --storm")
    elif plan.rate is not None and not 0 <= plan.rate <= names.gateways * MOST_A_GATEWAY:
        found.append(
            f"读数率超出范围 --rate {plan.rate:g}: at most {MOST_A_GATEWAY:g} a second for each gateway "
            f"({names.gateways * MOST_A_GATEWAY:g})"
        )
    burning = plan.storm + plan.alarms * _burns_s(plan)
    if burning > total > 0:
        found.append(
            f"探测器不够 --alarms {plan.alarms:g} and --storm {plan.storm} need {burning:g} detectors "
            f"at once, there are {total}: fewer alarms, a shorter --clear-after, or --seconds"
        )
    for outage in plan.outages:
        if not (0 < outage.share <= 1 and outage.begin >= 0 and outage.seconds > 0):
            found.append(
                f"中断参数不对 --outage {outage.share:g}:{outage.begin:g}:{outage.seconds:g}: "
                "SHARE above 0 and at most 1, BEGIN from 0, SECONDS above 0"
            )
    return found


def _burns_s(plan: Plan) -> float:
    """For how many seconds' worth of alarms detectors burn at the same time."""
    run_s = float("inf") if plan.seconds is None else plan.seconds
    if not plan.alarms:
        return 0.0
    return min(run_s, plan.clear_after_s or float("inf"))
