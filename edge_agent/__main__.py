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
from typing import Any, Literal, TextIO, cast

import msgspec
import structlog

from device_profiles.load import ProfileError, load_profiles
from device_profiles.schema import Profile
from edge_agent import app
from edge_agent.config import ConfigError, Settings, read_settings
from edge_agent.dry_run import dry_run
from edge_agent.explain import Machine, Port, explain, warnings
from edge_agent.installer import InstallerError, probe, probe_all_settings, report, set_address, units_of
from edge_agent.lock import AgentError, held_aside
from edge_agent.outbox_file import StorageError, held_events, look
from edge_agent.package import PackageError
from edge_agent.rules import check_buses
from edge_agent.spool import Spool
from edge_agent.systemd import PRIORITIES, is_journal
from edge_agent.ticks import fine_loop
from edge_agent.update import CONFIG, Places, back, standing, update
from wire.messages import Transport

_EXAMPLES = """\
examples:
  smokewatch-edge check-config /etc/smokewatch/edge.toml    what it would read, and whether the file is right
  smokewatch-edge run /etc/smokewatch/edge.toml             watch until stopped; JSON log lines on stdout
  smokewatch-edge run edge.toml --log-format console        the same, for a person at a terminal
  smokewatch-edge run edge.toml --dry-run --laps 3          say what is read; record, send, write nothing
  smokewatch-edge probe edge.toml --bus bus-1 --units 1-32  who answers on the line, also while the agent runs
  smokewatch-edge set-address edge.toml --bus bus-1 --from 1 --to 7 --profile sonbest-sm7571b
  smokewatch-edge outbox edge.toml --json                   events on record and not yet acknowledged
  smokewatch-edge outbox edge.toml --export held.jsonl      the same events, whole, one JSON object a line
  smokewatch-edge update smokewatch-edge_0.2.0_amd64.deb    try a signed package; --back, --status
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a subcommand and return its exit code."""
    arguments = _parser().parse_args(argv)
    path: Path = arguments.config
    try:
        if arguments.command == "update":
            _update(arguments)
            return 0
        settings, profiles = _load(path)
        if arguments.command == "check-config":
            _check(path, settings, profiles)
        elif arguments.command == "outbox":
            _outbox(settings, as_json=arguments.json, export=arguments.export)
        elif arguments.command == "probe":
            _probe(arguments, settings, profiles)
        elif arguments.command == "set-address":
            _set_address(arguments, settings, profiles)
        elif arguments.dry_run:
            _dry_run(settings, profiles, arguments.laps)
        else:
            _log_to_stdout(arguments.log_format)
            with asyncio.Runner(loop_factory=fine_loop) as runner:
                runner.run(app.run(settings, profiles))
    except (ConfigError, ProfileError) as error:
        print(error, file=sys.stderr)
        return 2
    except (AgentError, InstallerError, PackageError, StorageError) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="smokewatch-edge",
        description="Polls smoke detectors over serial lines and Modbus and forwards events over MQTT.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, words in (
        ("run", "watch until stopped"),
        ("check-config", "judge the file and say what would be read"),
        ("outbox", "say what is on record and not yet acknowledged"),
        ("probe", "say who answers on a bus, and what it may be; asks the running agent when there is one"),
        ("set-address", "give one device another unit, where its model can be told over the line"),
    ):
        command = commands.add_parser(name, help=words, description=words)
        command.add_argument("config", type=Path, metavar="CONFIG", help="the agent's TOML file")
        if name == "run":
            command.add_argument("--log-format", choices=("json", "console"), default="json")
            command.add_argument(
                "--dry-run", action="store_true", help="say what is read; record, send and write nothing"
            )
            command.add_argument("--laps", type=_positive, help="with --dry-run: end after so many laps")
        if name in ("outbox", "probe"):
            command.add_argument("--json", action="store_true", help="one JSON object")
        if name == "outbox":
            command.add_argument(
                "--export", type=Path, metavar="FILE", help="write every event held, one JSON object a line"
            )
        if name in ("probe", "set-address"):
            command.add_argument("--bus", help="may be left out when there is only one")
        if name == "probe":
            command.add_argument("--units", help="such as 1-32 or 5,7,20-30; without it all of 1-247")
            command.add_argument(
                "--profile", help="ask unknown units for this model's first register, not holding register 0"
            )
            command.add_argument(
                "--all-settings",
                action="store_true",
                help="every baud and parity, on an idle bus; units 1-16 unless --units says more",
            )
        if name == "set-address":
            command.add_argument("--from", type=int, required=True, dest="old", metavar="UNIT")
            command.add_argument("--to", type=int, required=True, dest="new", metavar="UNIT")
            command.add_argument("--profile", required=True, help="the device's model")
            command.add_argument(
                "--configured", action="store_true", help="also when --from is a configured detector"
            )
    words = (
        "try a signed package: installed beside what runs, which comes back unless the centre acknowledges"
    )
    command = commands.add_parser("update", help="try a signed package, or go back", description=words)
    which = command.add_mutually_exclusive_group(required=True)
    which.add_argument("package", nargs="?", type=Path, metavar="PACKAGE", help="its signature: PACKAGE.sig")
    which.add_argument("--back", action="store_true", help="return to the version before")
    which.add_argument("--status", action="store_true", help="say which version runs")
    command.add_argument("--config", type=Path, default=CONFIG, help="what it must be able to read")
    return parser


def _update(arguments: argparse.Namespace) -> None:
    places = Places(config=arguments.config)
    if arguments.status:
        told = standing(places)
    elif arguments.back:
        told = back(places)
    else:
        package: Path = arguments.package
        told = update(package, package.with_name(package.name + ".sig"), places)
    print("\n".join(told))


def _load(path: Path) -> tuple[Settings, dict[str, Profile]]:
    settings = read_settings(path, os.environ)
    profiles = load_profiles(settings.profiles_dir)
    check_buses(path, settings.buses, profiles)
    return settings, profiles


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError("give a number from 1")
    return int(text)


def _check(path: Path, settings: Settings, profiles: dict[str, Profile]) -> None:
    app.machine_id(settings)
    print(f"{path}: right. It would do this:")
    for line in explain(settings, profiles):
        print(f"  {line}")
    serial = [bus.address for bus in settings.buses if bus.transport is Transport.SERIAL]
    machine = Machine({one: _port(one) for one in serial}, app.real_clock(settings).synchronised)
    for warning in warnings(settings, profiles, machine):
        print(f"warning: {path}: {warning}")


def _port(address: str) -> Port:
    place = Path(address)
    if not place.exists():
        return Port.MISSING
    if not place.is_char_device():
        return Port.NO_DEVICE
    return Port.READY if os.access(place, os.R_OK | os.W_OK) else Port.FORBIDDEN


def _probe(arguments: argparse.Namespace, settings: Settings, profiles: dict[str, Profile]) -> None:
    units = units_of(arguments.units or ("1-16" if arguments.all_settings else "1-247"))
    if arguments.all_settings:
        found = probe_all_settings(settings, profiles, arguments.bus, units)
    else:
        found = [probe(settings, profiles, arguments.bus, units, arguments.profile)]
    if arguments.json:
        said = msgspec.to_builtins(found)
        print(json.dumps({"scans": said} if arguments.all_settings else said[0], ensure_ascii=False))
        return
    for one in found:
        for line in report(one):
            print(line)
    if not found:
        print("nobody answers at any setting: look at the power, at A and B, at the termination")


def _set_address(arguments: argparse.Namespace, settings: Settings, profiles: dict[str, Profile]) -> None:
    print(
        set_address(
            settings,
            profiles,
            arguments.bus,
            old=arguments.old,
            new=arguments.new,
            profile=arguments.profile,
            may_be_configured=arguments.configured,
        )
    )


def _dry_run(settings: Settings, profiles: dict[str, Profile], laps: int | None) -> None:
    with held_aside(settings.state_dir) as alone:
        if not alone:
            mend = "stop it first, or use smokewatch-edge probe"
            raise InstallerError(f"{settings.state_dir}: an agent runs and has the lines: {mend}")
        asyncio.run(dry_run(settings.buses, profiles, lambda line: print(line, flush=True), laps))


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


def _with_level(_logger: Any, method: str, line: Any) -> str:
    return f"<{PRIORITIES.get('error' if method == 'exception' else method, 6)}>{line}"


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
            *([_with_level] if is_journal(os.environ, 1) else []),
        ],
        logger_factory=structlog.PrintLoggerFactory(cast("TextIO", _Stdout())),
        cache_logger_on_first_use=True,
    )


if __name__ == "__main__":
    sys.exit(main())
