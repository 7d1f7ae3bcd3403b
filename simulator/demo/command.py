"""`smokewatch-sim demo`: the whole system on one machine, until Ctrl-C or until one fire is out."""

from __future__ import annotations

import argparse
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from simulator.control import ControlError, ask
from simulator.demo.phone import Phone
from simulator.demo.story import Told, as_json, play
from simulator.demo.system import Site, System, build, new_secret
from simulator.parts import Nats, PartError, Postgres, free_port
from simulator.parts.ports import require_free

if TYPE_CHECKING:
    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]

_EXAMPLES = """\
examples:
  smokewatch-sim demo                     the street on http://127.0.0.1:8080, everybody's phone on :8081
  smokewatch-sim demo --port 9000         the same on 9000 and 9001
  smokewatch-sim demo --once --json       one fire from the register to the closed alarm, measured
  smokewatch-sim demo --fresh             forget what an earlier demo left

Light a fire on the phone's page, or: smokewatch-sim control .demo/run/sim.sock ignite d-007
"""


def add_demo(commands: Subparsers) -> None:
    """`demo`: compose everything."""
    parser = commands.add_parser(
        "demo",
        help="run the whole system on this machine",
        description="Run the whole system on this machine: 58 grids, 120 detectors behind 4 gateways on "
        "simulated RS-485 lines, PostgreSQL, an MQTT broker, the centre, and a telephone that shows what "
        "people would get.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--folder", type=Path, help="where it keeps its data (.demo; with --once a temporary one)"
    )
    parser.add_argument("--port", type=int, help="of the pages (8080); the phone gets the next one")
    parser.add_argument("--once", action="store_true", help="play one scripted fire and end")
    parser.add_argument("--json", action="store_true", help="print what was measured as one JSON object")
    parser.add_argument("--fresh", action="store_true", help="delete the folder's data first")
    parser.set_defaults(run=run)


def run(chosen: argparse.Namespace) -> int:
    """Run until told to stop. Exit status: 0 ended as wished, 1 failed with the reason on stderr."""
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    try:
        with _folder(chosen) as folder:
            return _run(chosen, folder, stop)
    except (PartError, ControlError, _Stopped) as error:
        print(error, file=sys.stderr)
        return 0 if isinstance(error, _Stopped) else 1


class _Stopped(Exception):  # noqa: N818 -- no error: somebody pressed Ctrl-C
    """Stopped while starting."""


def _run(chosen: argparse.Namespace, folder: Path, stop: threading.Event) -> int:
    port = chosen.port if chosen.port is not None else free_port() if chosen.once else 8080
    phone_port = free_port() if chosen.once and chosen.port is None else port + 1
    require_free(port, "the page of the centre")
    require_free(phone_port, "the phone")
    secret = new_secret()
    database, broker = Postgres(folder / "postgres"), Nats(folder / "broker")
    phone: Phone | None = None
    system: System | None = None
    began = time.perf_counter()

    def say(words: str) -> None:
        print(f"[{time.perf_counter() - began:5.1f} s] {words}", file=sys.stderr, flush=True)
        if stop.is_set():
            raise _Stopped("stopped")

    try:
        say("数据库 starting PostgreSQL")
        database.start()
        say("消息代理 starting the MQTT broker")
        broker.start()
        site = Site(
            folder=folder,
            dsn=database.dsn("postgres"),
            broker_host=broker.host,
            broker_port=broker.port,
            http_port=port,
            phone_url=f"http://127.0.0.1:{phone_port}",
            secret=secret,
        )
        system = build(site)
        phone = Phone(phone_port, secret, _detectors(system), lambda d: _ignite(site, d), _wall)
        phone.start()
        say("登记 migrating the database, importing 58 grids and 120 homes")
        system.prepare()
        for name in system.names():
            say(f"启动 starting {name}")
            system.start(name)
        if chosen.once:
            told = play(system, phone)
            say(f"警情已关闭 the fire is out: message after {told.alarm_latency_s:.2f} s")
            print(as_json(told) if chosen.json else _plain(told), flush=True)
            return 0 if told.lost == 0 and told.duplicates == 0 else 1
        print(
            f"\n  总览 overview   {site.url}\n"
            f"  手机 phone      {site.phone_url}   (点火 light a fire there)\n"
            f"  日志 logs       {folder / 'log'}\n\n  Ctrl-C 结束 ends it.\n",
            flush=True,
        )
        _watch(system, stop)
        return 0
    finally:
        print("正在结束 stopping", file=sys.stderr, flush=True)
        if system is not None:
            system.stop()
        if phone is not None:
            phone.stop()
        broker.stop()
        database.stop()


def _watch(system: System, stop: threading.Event) -> None:
    """Wait for the end; a process that ends by itself is named and started again."""
    while not stop.wait(2.0):
        for name in system.names():
            if system.children[name].pid is None:
                print(f"{name} ended; starting it again (log: {system.children[name].log})", file=sys.stderr)
                system.start(name)


@contextmanager
def _folder(chosen: argparse.Namespace) -> Iterator[Path]:
    if chosen.once and chosen.folder is None:
        made = Path(tempfile.mkdtemp(prefix="smokewatch-demo-"))
        made.chmod(0o755)
        try:
            yield made
        finally:
            shutil.rmtree(made, ignore_errors=True)
        return
    folder = (chosen.folder or Path(".demo")).resolve()
    if chosen.fresh and folder.exists():
        if not (folder / "central.toml").exists() and any(folder.iterdir()):
            raise PartError(
                f"{folder} is no folder of a demo: delete it yourself, or name another with --folder"
            )
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)
    yield folder


def _detectors(system: System) -> tuple[str, ...]:
    return tuple(detector for units in system.street.detectors.values() for detector, _ in units)


def _ignite(site: Site, detector: str) -> None:
    try:
        ask(site.control, "ignite", detector)
    except ControlError as error:
        print(f"cannot light a fire: {error}", file=sys.stderr)


def _wall() -> float:
    return time.time_ns() / 1e9


def _plain(told: Told) -> str:
    return "\n".join(f"{name:18} {value}" for name, value in asdict(told).items())
