"""`smokewatch-sim fleet`: arguments in, exit status out.

Law of this file: 0 when all that was recorded is acknowledged, or somebody ended it; 1 when it failed or
something is not acknowledged, with the reason on stderr; 2 for wrong arguments.
"""

from __future__ import annotations

import argparse
import asyncio
import csv
import json
import os
import signal
import ssl
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from mqtt_line.line import Broker, LineError
from simulator.fleet.names import Names, wrong_names
from simulator.fleet.plan import Outage, Plan, wrong_plan
from simulator.fleet.registry import parts, registry
from simulator.fleet.run import Ending, play

if TYPE_CHECKING:
    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]

PASSWORD = "SMOKEWATCH_FLEET_PASSWORD"  # noqa: S105 -- the name of a variable
_EXAMPLES = f"""\
examples:
  smokewatch-sim fleet --gateways 20 --detectors 10 --write-registry run/fleet
  smokewatch-central import run/fleet --config central.toml
  smokewatch-sim fleet --gateways 20 --detectors 10 --rate 200 --seconds 60
  smokewatch-sim fleet --gateways 20 --detectors 10 --rate 200 --outage 0.2:5:10 --alarms 1 --seconds 20
  smokewatch-sim fleet --gateways 500 --detectors 128 --rate max --seconds 60 --connections 4 --json
  smokewatch-sim fleet --gateways 50 --detectors 100 --rate 0 --storm 5000 --seconds 20 --json
  smokewatch-sim fleet --gateways 100000 --detectors 0 --seconds 300

Gateways share connections (--connections), so the broker cannot tell them apart: the fleet's user must be
allowed to read and write whole areas, there is no client id and no last will of a single gateway, and an
outage is a silence, not a closed connection. Answers for an area come over one of the connections.
网关共用连接：代理无法区分各网关，没有逐个网关的遗嘱；“中断”表现为沉默，而不是断开连接。

Names come from --area and numbers alone: area fleet, gateway fleet-00001, detector fleet-00001-001. Values,
outages and the order of fires depend on --seed alone; streams are new in each run, as the contract wants it.
The password may stand in --password-file or in ${PASSWORD}. Ctrl-C ends the recording and waits
for answers; a second Ctrl-C ends that too.
"""


def add_fleet(commands: Subparsers) -> None:
    """`fleet`: play gateways on the wire contract."""
    parser = commands.add_parser(
        "fleet",
        help="play many gateways on the broker, without lines",
        description="在消息代理上模拟大量网关。 Play N gateways with M detectors each on the wire contract: "
        "readings, events and heartbeats with acknowledgements, going back on loss, outages and replay.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    who = parser.add_argument_group("who")
    who.add_argument("--gateways", type=int, default=20, metavar="N", help="how many gateways (20)")
    who.add_argument("--detectors", type=int, default=10, metavar="M", help="detectors of each (10)")
    who.add_argument(
        "--area", default="fleet", metavar="ID", help="the street's code, and the stem of all names"
    )
    who.add_argument("--areas", type=int, default=1, metavar="A", help="spread over so many streets (1)")
    who.add_argument("--seed", type=int, default=1, help="another seed, other values and outages (1)")
    who.add_argument(
        "--write-registry",
        type=Path,
        metavar="FOLDER",
        help="write the fleet's registry as CSV files, and end",
    )
    who.add_argument(
        "--contact", default="console", metavar="CHANNEL", help="with it: how people are told (console)"
    )
    where = parser.add_argument_group("the broker")
    where.add_argument("--host", default="127.0.0.1")
    where.add_argument("--port", type=int, help="1883; with TLS 8883")
    where.add_argument("--username")
    where.add_argument("--password-file", type=Path, metavar="FILE")
    where.add_argument("--tls", action="store_true", help="TLS with the system's authorities")
    where.add_argument("--ca-file", type=Path, metavar="FILE", help="TLS with this authority")
    where.add_argument("--connections", type=int, default=1, metavar="C", help="shared by all gateways (1)")
    what = parser.add_argument_group("what they say")
    what.add_argument("--seconds", type=float, metavar="S", help="how long it records; without: until Ctrl-C")
    what.add_argument(
        "--rate",
        default=None,
        metavar="R",
        help="readings a second in all, or max (one a minute of each detector)",
    )
    what.add_argument(
        "--rows", type=int, default=128, metavar="K", help="readings in a message at most (128)"
    )
    what.add_argument(
        "--window", type=int, metavar="W", help="readings messages under way of each (4; with --rate max 1)"
    )
    what.add_argument("--readings-qos", type=int, choices=[0, 1], default=1, help="(1, as a real gateway)")
    what.add_argument(
        "--hold", type=int, default=1_000_000, metavar="K", help="readings a gateway keeps at most (1000000)"
    )
    what.add_argument("--heartbeat", type=float, default=30.0, metavar="S", help="0: none (30)")
    what.add_argument(
        "--no-snapshots", action="store_true", help="do not say at the start how every detector is"
    )
    what.add_argument("--alarms", type=float, default=0.0, metavar="R", help="fires a second in all (0)")
    what.add_argument("--clear-after", type=float, default=60.0, metavar="S", help="0: never (60)")
    what.add_argument("--storm", type=int, default=0, metavar="N", help="so many detectors alarm together")
    what.add_argument("--storm-at", type=float, default=5.0, metavar="S", help="when (5)")
    what.add_argument("--storm-over", type=float, default=1.0, metavar="S", help="within which time (1)")
    fail = parser.add_argument_group("what fails")
    fail.add_argument(
        "--outage", action="append", type=_outage, default=[], metavar="SHARE:BEGIN:SECONDS",
        help="cut off this share of the gateways for a time; then they replay what they recorded; repeatable",
    )  # fmt: skip
    fail.add_argument(
        "--lose", type=float, default=0.0, metavar="SHARE", help="so many messages and answers get lost (0)"
    )
    end = parser.add_argument_group("the end")
    end.add_argument(
        "--drain", type=float, default=60.0, metavar="S", help="wait so long for the last answers (60)"
    )
    end.add_argument("--json", action="store_true", help="print what was done as one JSON object")
    parser.set_defaults(run=run)


def run(chosen: argparse.Namespace) -> int:
    """Write the registry, or play."""
    names = Names(chosen.area, chosen.gateways, chosen.detectors, chosen.areas)
    if chosen.write_registry is not None:
        wrong = wrong_names(names)
        if not wrong:
            return _write(names, chosen.write_registry, chosen.contact)
        return _refuse(wrong)
    try:
        plan = _plan(chosen, names)
        broker = _broker(chosen)
    except _ArgumentError as error:
        return _refuse([str(error)])
    if wrong := wrong_plan(plan):
        return _refuse(wrong)
    # A run that is not the first of its kind must have streams of its own.
    salt = f"{chosen.seed}-{time.time_ns():x}"
    try:
        told, ended = asyncio.run(_play(plan, broker, salt, chosen.drain))
    except LineError as error:
        print(error, file=sys.stderr)
        return 1
    print(json.dumps(told) if chosen.json else _plain(told), flush=True)
    waiting = sum(told[lane]["waiting"] for lane in ("readings", "events"))  # type: ignore[index]
    if not waiting or ended:
        return 0
    print(
        f"未确认 {waiting:,} rows were recorded and never acknowledged: does the centre's ingest run on this "
        f"broker, may we speak in area {names.area(0)!r}, or is --drain {chosen.drain:g} too short?",
        file=sys.stderr,
    )
    return 1


class _ArgumentError(Exception):
    """What is wrong with an argument."""


async def _play(plan: Plan, broker: Broker, salt: str, drain_s: float) -> tuple[dict[str, object], bool]:
    ending = Ending()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, ending.ask)
    told = await play(plan, broker, salt=salt, drain_s=drain_s, ending=ending)
    return told, ending.asked > 0


def _plan(chosen: argparse.Namespace, names: Names) -> Plan:
    rate: float | None = names.gateways * names.detectors / 60
    if chosen.rate == "max":
        rate = None
    elif chosen.rate is not None:
        try:
            rate = float(chosen.rate)
        except ValueError:
            raise _ArgumentError(f"读数率不对 --rate {chosen.rate!r}: a number, or max") from None
    return Plan(
        names=names,
        connections=chosen.connections,
        seed=chosen.seed,
        seconds=chosen.seconds,
        rate=rate,
        rows=chosen.rows,
        window=chosen.window if chosen.window is not None else 1 if rate is None else 4,
        readings_qos=chosen.readings_qos,
        hold=chosen.hold,
        heartbeat_s=chosen.heartbeat,
        snapshots=not chosen.no_snapshots,
        alarms=chosen.alarms,
        clear_after_s=chosen.clear_after,
        storm=chosen.storm,
        storm_at=chosen.storm_at,
        storm_seconds=chosen.storm_over,
        outages=tuple(chosen.outage),
        lose=chosen.lose,
    )


def _broker(chosen: argparse.Namespace) -> Broker:
    tls = None
    password = os.environ.get(PASSWORD)
    if chosen.password_file and not chosen.username:
        raise _ArgumentError("缺少用户名 --password-file needs --username")
    try:
        if chosen.tls or chosen.ca_file:
            tls = ssl.create_default_context(cafile=chosen.ca_file)
        if chosen.password_file:
            password = chosen.password_file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError, ssl.SSLError) as error:
        name = chosen.password_file if tls is not None or not chosen.ca_file else chosen.ca_file
        raise _ArgumentError(f"文件无法使用 cannot use {name}: {error}") from None
    port = chosen.port if chosen.port is not None else 8883 if tls else 1883
    return Broker(chosen.host, port, chosen.username, password if chosen.username else None, tls)


def _outage(text: str) -> Outage:
    try:
        share, begin, seconds = map(float, text.split(":"))
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not SHARE:BEGIN:SECONDS, such as 0.2:5:10 (a fifth, 5 s after the start, for 10 s)"
        ) from None
    return Outage(share, begin, seconds)


def _write(names: Names, folder: Path, channel: str) -> int:
    ranges = parts(names)
    for number, gateways in enumerate(ranges, 1):
        place = folder if len(ranges) == 1 else folder / f"part-{number:03d}"
        try:
            place.mkdir(parents=True, exist_ok=True)
            for kind, rows in registry(names, gateways, channel).items():
                with (place / f"{kind}.csv").open("w", encoding="utf-8", newline="") as file:
                    writer = csv.DictWriter(file, list(rows[0]))
                    writer.writeheader()
                    writer.writerows(rows)
        except OSError as error:
            print(f"无法写入 cannot write {place}: {error.strerror}", file=sys.stderr)
            return 1
        print(f"登记文件 registry: {place}")
    if len(ranges) > 1:
        print("逐个导入 import them one after the other, in this order")
    return 0


def _refuse(wrong: list[str]) -> int:
    for each in wrong:
        print(each, file=sys.stderr)
    return 2


def _plain(told: dict[str, object]) -> str:
    return "\n".join(f"{name:20} {json.dumps(value, ensure_ascii=False)}" for name, value in told.items())
