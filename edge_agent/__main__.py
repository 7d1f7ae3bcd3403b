"""The command `smokewatch-edge`: argv in, exit code out.

Law of this file: words for the person at the terminal, nothing else. 0: done; 1: cannot run; 2: a wrong
file or a wrong word on the command line.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, TextIO, cast

import structlog

from device_profiles.load import ProfileError, load_profiles
from device_profiles.schema import Profile
from edge_agent import app
from edge_agent.config import ConfigError, Settings, read_settings
from edge_agent.estimate import lap_s
from edge_agent.outbox_file import StorageError, held_events, look
from edge_agent.plan import plan
from edge_agent.rules import check_buses, configured
from edge_agent.spool import Spool

_EXAMPLES = """\
examples:
  smokewatch-edge check-config /etc/smokewatch/edge.toml    what it would read, and whether the file is right
  smokewatch-edge run /etc/smokewatch/edge.toml             watch until stopped; JSON log lines on stdout
  smokewatch-edge run edge.toml --log-format console        the same, for a person at a terminal
  smokewatch-edge outbox edge.toml --json                   events on record and not yet acknowledged
  smokewatch-edge outbox edge.toml --export held.jsonl      the same events, whole, one JSON object a line
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a subcommand and return its exit code."""
    arguments = _parser().parse_args(argv)
    path: Path = arguments.config
    try:
        settings, profiles = _load(path)
        if arguments.command == "check-config":
            _check(path, settings, profiles)
        elif arguments.command == "outbox":
            _outbox(settings, as_json=arguments.json, export=arguments.export)
        else:
            _log_to_stdout(arguments.log_format)
            asyncio.run(app.run(settings, profiles))
    except (ConfigError, ProfileError) as error:
        print(error, file=sys.stderr)
        return 2
    except (app.AgentError, StorageError) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="smokewatch-edge",
        description="Polls smoke detectors over Modbus and forwards events over MQTT.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, words in (
        ("run", "watch until stopped"),
        ("check-config", "judge the file and say what would be read"),
        ("outbox", "say what is on record and not yet acknowledged"),
    ):
        command = commands.add_parser(name, help=words, description=words)
        command.add_argument("config", type=Path, metavar="CONFIG", help="the agent's TOML file")
        if name == "run":
            command.add_argument("--log-format", choices=("json", "console"), default="json")
        if name == "outbox":
            command.add_argument("--json", action="store_true", help="one JSON object")
            command.add_argument(
                "--export", type=Path, metavar="FILE", help="write every event held, one JSON object a line"
            )
    return parser


def _load(path: Path) -> tuple[Settings, dict[str, Profile]]:
    settings = read_settings(path, os.environ)
    profiles = load_profiles(settings.profiles_dir)
    check_buses(path, settings.buses, profiles)
    return settings, profiles


def _check(path: Path, settings: Settings, profiles: dict[str, Profile]) -> None:
    app.machine_id(settings)
    print(f"{path}: right. Gateway {settings.gateway} of area {settings.area}.")
    broker, secure = settings.mqtt, "TLS" if settings.mqtt.tls else "no TLS"
    print(f"  broker {broker.host}:{broker.port}, {secure}; state in {settings.state_dir}")
    if not settings.buses:
        print("  no bus here: it will watch what the centre pushes")
    for bus in settings.buses:
        reads = plan(configured(bus, profiles))
        where = f"{bus.transport.value} {bus.address}"
        if bus.transport.value != "tcp":
            where += f" at {bus.baud} 8{bus.parity.value}{bus.stop_bits}"
        print(
            f"  bus {bus.bus}: {where}: {len(bus.detectors)} detectors, {len(reads.fast)} requests a lap "
            f"(and {len(reads.slow)} slow ones in turn), about {lap_s(bus, reads):.2f} s a lap"
        )


def _outbox(settings: Settings, *, as_json: bool, export: Path | None) -> None:
    if not settings.outbox_path.exists():
        raise StorageError(f"{settings.outbox_path}: there is no outbox yet: run the agent first")
    if export is not None:
        _export(settings.outbox_path, export)
    seen = look(settings.outbox_path)
    spooled = Spool(settings.state_dir / "readings", look_only=True)
    now_ms = app.real_clock(settings).wall_ms()
    age_s = None if seen.oldest_at_ms is None else max(0.0, (now_ms - seen.oldest_at_ms) / 1000)
    facts = {
        "stream": seen.stream,
        "highest_seq": seen.highest_seq,
        "recorded": seen.rows,
        "depth": seen.depth,
        "oldest_age_s": age_s,
        "spooled_readings": sum(segment.rows for segment in spooled.segments),
        "disk_bytes": settings.outbox_path.stat().st_size + spooled.bytes,
    }
    if as_json:
        print(json.dumps(facts))
        return
    print(f"stream {seen.stream}: {seen.highest_seq} events given a number, {seen.depth} not acknowledged")
    disk_mb = (settings.outbox_path.stat().st_size + spooled.bytes) / 1e6
    print(f"{facts['spooled_readings']} readings wait on disk; all takes {disk_mb:.1f} MB")
    if age_s is not None:
        print(f"the oldest of them is {age_s:.0f} s old")


def _export(outbox: Path, to: Path) -> None:
    """Every event held into a file that was not there before."""
    try:
        with to.open("x", encoding="utf-8") as file:
            count = 0
            for event in held_events(outbox):
                file.write(json.dumps(event, ensure_ascii=False) + "\n")
                count += 1
    except OSError as error:
        raise StorageError(f"{to}: {error.strerror}: name a new file in a folder you may write") from None
    print(f"{to}: {count} events", file=sys.stderr)


class _Stdout:
    """Standard output that cannot fail: a full disk or a reader that left must not end the watch."""

    def write(self, text: str) -> int:
        with contextlib.suppress(OSError, ValueError):
            sys.stdout.write(text)
        return len(text)

    def flush(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            sys.stdout.flush()


def _log_to_stdout(form: Literal["json", "console"]) -> None:
    # A plain traceback: one with all locals takes a second to draw, in which no detector is read, and may
    # show a password.
    renderer: structlog.typing.Processor = (
        structlog.dev.ConsoleRenderer(
            colors=sys.stdout.isatty(), exception_formatter=structlog.dev.plain_traceback
        )
        if form == "console"
        else structlog.processors.JSONRenderer(ensure_ascii=False, default=str)
    )
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *([structlog.processors.format_exc_info] if form == "json" else []),
            renderer,
        ],
        logger_factory=structlog.PrintLoggerFactory(cast("TextIO", _Stdout())),
        cache_logger_on_first_use=True,
    )


if __name__ == "__main__":
    sys.exit(main())
