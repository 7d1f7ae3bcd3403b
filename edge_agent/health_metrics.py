"""The agent's figures in the text format of Prometheus (exposition format 0.0.4); pure.

Law of this file: figures of lines and lanes only; no home, no detector, no person. Written by hand: the
client library costs 5 MB of memory (measured) of the 60 that a gateway gives us, for one page of text.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from wire.messages import Status

_PREFIX = "smokewatch_edge_"
_ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})


@dataclass(frozen=True, slots=True)
class BusFigures:
    """What the heartbeat does not say of a bus; counts since the start."""

    laps: int
    reads: int
    errors: Mapping[str, int]
    """By kind."""


@dataclass(frozen=True, slots=True)
class Figures:
    """All that is shown."""

    status: Status
    buses: Mapping[str, BusFigures]
    connected: bool
    alive_age_s: float | None
    """Since the centre last said that it works; None: never."""
    acks: int
    given_up: int
    """Observations lost because the disk refused for too long."""
    waiting: int
    """Groups of observations that are not on disk yet."""
    watchdog_feeds: int
    stuck: tuple[str, ...] = ()
    loops: Mapping[str, float] = field(default_factory=dict)
    """Age of each loop in seconds."""
    rss_bytes: int = 0
    cpu_s: float = 0.0


@dataclass(frozen=True, slots=True)
class _Metric:
    name: str
    kind: str
    words: str
    rows: Iterable[tuple[Mapping[str, str], float | None]]


def page(figures: Figures) -> str:
    """The whole page. A value that is not known is left out, never shown as 0."""
    return "".join(line for metric in _metrics(figures) for line in _lines(metric))


def _metrics(f: Figures) -> list[_Metric]:
    status, buses = f.status, f.status.buses
    errors = [
        ({"bus": bus, "kind": kind}, float(count))
        for bus, one in f.buses.items()
        for kind, count in sorted(one.errors.items())
    ]
    return [
        _Metric("info", "gauge", "Version that runs.", [({"version": status.version}, 1)]),
        _one("uptime_seconds", "gauge", "Since the start.", status.uptime_s),
        _Metric("bus_up", "gauge", "Line open and bus not down.", [({"bus": b.bus}, b.up) for b in buses]),
        _of_bus("bus_laps_total", "Laps begun.", {n: one.laps for n, one in f.buses.items()}),
        _of_bus("bus_reads_total", "Reads, good and failed.", {n: one.reads for n, one in f.buses.items()}),
        _Metric("bus_read_errors_total", "counter", "Failed reads by kind.", errors),
        _gauges("bus_last_lap_seconds", "Length of the last lap.", {b.bus: b.last_lap_s for b in buses}),
        _gauges("bus_lap_age_seconds", "Since a lap was finished.", {b.bus: b.lap_age_s for b in buses}),
        _gauges("bus_detectors_answering", "Detectors that answer.", {b.bus: b.answering for b in buses}),
        _gauges("bus_detectors_silent", "Detectors that do not.", {b.bus: b.silent for b in buses}),
        _one("outbox_depth", "gauge", "Events the centre has not acknowledged.", status.outbox_depth),
        _one(
            "outbox_oldest_unacked_seconds",
            "gauge",
            "Age of the oldest of them.",
            status.oldest_unacked_event_s,
        ),
        _one("outbox_refused", "gauge", "1 while the disk refuses.", status.storage_error is not None),
        _one("recorder_waiting", "gauge", "Groups of observations not on disk yet.", f.waiting),
        _one("observations_given_up_total", "counter", "Lost because the disk refused too long.", f.given_up),
        _one("readings_dropped_total", "counter", "Readings lost in a long outage.", status.readings_dropped),
        _one("uplink_connected", "gauge", "1 while the broker has let us in.", f.connected),
        _one("uplink_acks_total", "counter", "Acknowledgements heard from the centre.", f.acks),
        _one("centre_alive_age_seconds", "gauge", "Since the centre said that it works.", f.alive_age_s),
        _one("config_version", "gauge", "Applied configuration; 0: the local file.", status.config_version),
        _one(
            "config_refused",
            "gauge",
            "1 when the last pushed one was refused.",
            status.config_error is not None,
        ),
        _one(
            "watchdog_feeds_total", "counter", "Times systemd was told that all loops turn.", f.watchdog_feeds
        ),
        _one("loops_stuck", "gauge", "Loops that do not turn.", len(f.stuck)),
        _Metric("loop_age_seconds", "gauge", "Since a loop came round.", _labelled("loop", f.loops)),
        _one("process_resident_memory_bytes", "gauge", "Memory in use.", f.rss_bytes),
        _one("process_cpu_seconds_total", "counter", "Processor time used.", f.cpu_s),
    ]


def _one(name: str, kind: str, words: str, value: float | None) -> _Metric:
    return _Metric(name, kind, words, [({}, value)])


def _of_bus(name: str, words: str, values: Mapping[str, float]) -> _Metric:
    return _Metric(name, "counter", words, _labelled("bus", values))


def _gauges(name: str, words: str, values: Mapping[str, float | None]) -> _Metric:
    return _Metric(name, "gauge", words, _labelled("bus", values))


def _labelled(
    label: str, values: Mapping[str, float] | Mapping[str, float | None]
) -> list[tuple[Mapping[str, str], float | None]]:
    return [({label: name}, value) for name, value in values.items()]


def _lines(metric: _Metric) -> Iterable[str]:
    name = _PREFIX + metric.name
    yield f"# HELP {name} {metric.words}\n# TYPE {name} {metric.kind}\n"
    for labels, value in metric.rows:
        if value is None:
            continue
        said = ",".join(f'{key}="{text.translate(_ESCAPES)}"' for key, text in labels.items())
        yield f"{name}{{{said}}} {float(value):.15g}\n" if said else f"{name} {float(value):.15g}\n"
