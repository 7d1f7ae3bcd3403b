"""The command line of `smokewatch-sim`: `bus` and `control`; `demo` and `fleet` are in packages of their own.

Law of this file: arguments in, exit status out. 0 done; 1 refused or failed, with the reason on stderr; 2
wrong arguments. Each command adds itself to the parser through one function in `COMMANDS`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import selectors
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog

from device_profiles.load import ProfileError, load_profiles
from device_profiles.schema import Profile, Protocol
from simulator.bus import BusError
from simulator.control import ControlError, ControlServer, ask
from simulator.demo.command import add_demo
from simulator.fleet.command import add_fleet
from simulator.orders import ABOUT_BUS, Do
from simulator.runner import Runner
from simulator.scenario import BusSpec, DetectorSpec, SiteError, SiteFile, check_site, load_site

if TYPE_CHECKING:
    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]

_BUS_EXAMPLES = """\
examples:
  smokewatch-sim bus simulator/scenarios/two-flats.toml --control run/sim.sock
  smokewatch-sim bus --link run/riser --detectors 32 --baud 9600 --delay-ms 30 --control run/sim.sock
  smokewatch-sim bus --tcp-port 5020 --profile system-sensor-faast --detectors 1
  smokewatch-sim bus --rtu-tcp-port 5021 --detectors 8

One JSON line on stdout says when all lines are open and under which address. Ctrl-C or SIGTERM ends it and
takes links and sockets away.
"""
_CONTROL_EXAMPLES = """\
examples:
  smokewatch-sim control run/sim.sock list
  smokewatch-sim control run/sim.sock ignite d-001
  smokewatch-sim control run/sim.sock extinguish d-001
  smokewatch-sim control run/sim.sock flip d-001 on
  smokewatch-sim control run/sim.sock set d-002 battery=2.2
  smokewatch-sim control run/sim.sock fault d-003 silent
  smokewatch-sim control run/sim.sock fault d-003 slow ms=400 times=5
  smokewatch-sim control run/sim.sock fault bus=riser echo
  smokewatch-sim control run/sim.sock clear_fault d-003
  smokewatch-sim control run/sim.sock unplug riser
  smokewatch-sim control run/sim.sock state "*"

The answer is printed as one JSON object; `at` is the second (since 1970) when the register changed.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """The entry point of `smokewatch-sim`."""
    parser = argparse.ArgumentParser(
        prog="smokewatch-sim", description="Smoke detectors that are not there, on lines that are."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for add in COMMANDS:
        add(commands)
    chosen = parser.parse_args(arguments)
    run: Callable[[argparse.Namespace], int] = chosen.run
    try:
        return run(chosen)
    except (ControlError, BusError, SiteError, ProfileError) as error:
        print(error, file=sys.stderr)
        return 1


def add_bus(commands: Subparsers) -> None:
    """`bus`: play a site file, or one line of equal detectors."""
    parser = commands.add_parser(
        "bus",
        help="play detectors on pseudo-terminals and TCP ports",
        description="Play the detectors of a site file, or one line of equal detectors d-001, d-002, ...",
        epilog=_BUS_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "site", nargs="?", type=Path, metavar="SITE.toml", help="buses, detectors and a story"
    )
    parser.add_argument("--control", type=Path, metavar="PATH", help="take orders at this local socket")
    line = parser.add_argument_group("one line without a file")
    place = line.add_mutually_exclusive_group()
    place.add_argument("--link", metavar="PATH", help="RTU on a pseudo-terminal behind this link")
    place.add_argument("--tcp-port", type=int, metavar="PORT", help="Modbus TCP; 0 takes any free port")
    place.add_argument("--rtu-tcp-port", type=int, metavar="PORT", help="RTU frames over TCP")
    line.add_argument("--detectors", type=int, default=1, metavar="N", help="how many, units 1 to N (1)")
    line.add_argument("--profile", default="smokewatch-reference", metavar="ID", help="their model")
    line.add_argument("--baud", type=int, default=9600)
    line.add_argument("--parity", choices=["N", "E", "O"], default="N")
    line.add_argument("--stop-bits", type=int, choices=[1, 2], default=1)
    line.add_argument("--delay-ms", type=float, default=30.0, metavar="MS", help="thinking time of a device")
    parser.set_defaults(run=_bus)


def add_control(commands: Subparsers) -> None:
    """`control`: give one order to a running simulator."""
    parser = commands.add_parser(
        "control",
        help="give an order to a running simulator",
        description=f"Give one order to a running simulator. Orders: {', '.join(Do)}.",
        epilog=_CONTROL_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("socket", type=Path, metavar="SOCKET", help="the path given to --control")
    parser.add_argument("do", metavar="ORDER")
    parser.add_argument("words", nargs="*", metavar="WHAT", help="detector or bus, then key=value")
    parser.set_defaults(run=_control)


COMMANDS: tuple[Callable[[Subparsers], None], ...] = (add_bus, add_control, add_demo, add_fleet)
"""One function for each command: it adds its parser and sets `run`, which takes the arguments and gives the
exit status."""


def _bus(chosen: argparse.Namespace) -> int:
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    profiles = load_profiles()
    if chosen.site is not None:
        if chosen.link or chosen.tcp_port is not None or chosen.rtu_tcp_port is not None:
            print("give either SITE.toml or one of --link, --tcp-port, --rtu-tcp-port", file=sys.stderr)
            return 2
        plan = load_site(chosen.site, profiles)
    else:
        if not chosen.link and chosen.tcp_port is None and chosen.rtu_tcp_port is None:
            print("give SITE.toml, or one of --link, --tcp-port, --rtu-tcp-port", file=sys.stderr)
            return 2
        plan = check_site(_one_line(chosen, profiles), "command line", profiles)
    # select() waits to the microsecond, epoll rounds up to whole milliseconds: too coarse for line time.
    # It knows no file beyond 1024, so none may be opened; a client too many then waits.
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(
        resource.RLIMIT_NOFILE, (1024 if soft == resource.RLIM_INFINITY else min(soft, 1024), hard)
    )
    with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(selectors.SelectSelector())) as runner:
        runner.run(_play(Runner(plan, profiles, _clock()), chosen.control))
    return 0


def _one_line(chosen: argparse.Namespace, profiles: Mapping[str, Profile]) -> SiteFile:
    transport = "pty" if chosen.link else "tcp" if chosen.tcp_port is not None else "rtu_tcp"
    ports = {"tcp": chosen.tcp_port, "rtu_tcp": chosen.rtu_tcp_port}
    protocol = profiles[chosen.profile].protocol if chosen.profile in profiles else Protocol.MODBUS
    detectors = tuple(
        DetectorSpec(id=f"d-{unit:03d}", unit=unit, profile=chosen.profile, seed=unit)
        for unit in range(1, chosen.detectors + 1)
    )
    bus = BusSpec(
        id="bus-1",
        transport=transport,  # type: ignore[arg-type]
        protocol=protocol,
        link=chosen.link,
        port=ports.get(transport),
        baud=chosen.baud,
        parity=chosen.parity,
        stop_bits=chosen.stop_bits,
        delay_ms=chosen.delay_ms,
        detector=detectors,
    )
    return SiteFile(bus=(bus,))


async def _play(runner: Runner, control: Path | None) -> None:
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    async with runner:
        ready: dict[str, Any] = {
            "ready": True,
            "buses": [
                {"id": key, "transport": bus.spec.transport, "address": bus.address}
                for key, bus in runner.buses.items()
            ],
            "detectors": len(runner.site.detectors),
        }
        if control is None:
            print(json.dumps(ready), flush=True)
            await ended.wait()
            return
        async with ControlServer(runner, control):
            print(json.dumps(ready | {"control": str(control)}), flush=True)
            await ended.wait()


def _control(chosen: argparse.Namespace) -> int:
    fields: dict[str, Any] = {}
    target = "bus" if chosen.do in ABOUT_BUS else "detector"
    plain = [word for word in chosen.words if "=" not in word]
    if plain and "bus" not in {word.split("=")[0] for word in chosen.words}:
        fields[target] = plain.pop(0)
    if plain and chosen.do == Do.FAULT:
        fields["fault"] = plain.pop(0)
    if plain and chosen.do == Do.FLIP and plain[0] in ("on", "off"):
        fields["on"] = plain.pop(0) == "on"
    if plain:
        print(f"do not know what {plain[0]!r} means here; see smokewatch-sim control --help", file=sys.stderr)
        return 2
    for key, _, value in (word.partition("=") for word in chosen.words if "=" in word):
        fields[key] = _value(value)
    print(json.dumps(ask(chosen.socket, chosen.do, **fields), ensure_ascii=False))
    return 0


def _value(text: str) -> Any:
    """Numbers and true/false as such, all else as text."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def _clock() -> Callable[[], float]:
    """Seconds since 1970 that never step: the wall clock at the start, moved on by the monotonic one."""
    wall, start = time.time_ns() / 1e9, time.perf_counter()
    return lambda: wall + time.perf_counter() - start


if __name__ == "__main__":
    sys.exit(main())
