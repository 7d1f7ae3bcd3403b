"""`smokewatch-central`: argv in, exit code out. Law of this file: it parses and says; others do.

Exit codes: 0 done, 1 it did not work, 2 the command line or the configuration is wrong, 3 migrations are
pending, 4 the database is newer than this program.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import logging
import os
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import structlog

from central.config import ConfigError, Settings, read_settings
from central.registry.cli import CONFIG_VARIABLE, DEFAULT_CONFIG, add_commands
from central.report_command import add_report

_EXAMPLES = f"""\
examples:
  smokewatch-central check-config /etc/smokewatch/central.toml
  smokewatch-central migrate                      bring the database up to date
  smokewatch-central serve --config central.toml  all roles in one process
  smokewatch-central ingest                       one role in a process of its own
  smokewatch-central auditor                      what watches all of these, also on another machine
  smokewatch-central forecast                     how large the database will become
  smokewatch-central import places/               read the registry's CSV files
  smokewatch-central admin --help                 gateways, detectors, people, tokens

The configuration is FILE, --config FILE, ${CONFIG_VARIABLE}, or {DEFAULT_CONFIG}, in this order.
"""
_MIGRATE_CODES = """\
exit codes:
  0  the database is up to date
  1  it cannot be reached, or a migration failed and was rolled back
  2  the command line or the configuration is wrong
  3  --check: migrations are pending, one a line on standard output
  4  the database is newer than this program: it has migrations that are not known here
"""
_ROLE_HELP = {
    "serve": "run all roles in one process",
    "api": "run the API and the pages",
    "ingest": "run the ear: what gateways say, stored and judged",
    "worker": "run the worker: messages to people",
    "jobs": "run the ticks: what is due, what is silent",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    parser = _parser()
    args = parser.parse_args(argv)
    try:
        if args.command in _ROLE_HELP or args.command == "auditor":
            return _run(args)
        if args.command == "migrate":
            return _migrate(args)
        if args.command == "forecast":
            return _forecast(args)
        if args.command == "check-config":
            return _check_config(args)
        code = args.run(args)
        return 0 if code is None else int(code)
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="smokewatch-central",
        description="The centre of Smokewatch: hears gateways, opens alarms, tells people.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, text in _ROLE_HELP.items():
        role = commands.add_parser(name, help=text, description=text)
        add_config_argument(role)
        role.add_argument("--migrate", action="store_true", help="apply pending migrations first")
    auditing = commands.add_parser(
        "auditor",
        help="prove again and again that messages get out, and shout when they do not",
        description="Watch the other roles from a process of its own, and tell by the channels of [auditor].",
    )
    add_config_argument(auditing)
    migrating = commands.add_parser(
        "migrate",
        help="bring the database up to date",
        description="Apply pending migrations, while the centre runs.",
        epilog=_MIGRATE_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_config_argument(migrating)
    migrating.add_argument(
        "--check", action="store_true", help="change nothing, only say what is pending (exit code 3)"
    )
    growing = commands.add_parser(
        "forecast",
        help="say how large the database will become",
        description="If every day brought what the last whole day did: bytes now, a day, and in the end.",
    )
    add_config_argument(growing)
    checking = commands.add_parser(
        "check-config", help="say what is wrong with the configuration", description="Check the file."
    )
    add_config_argument(checking)
    add_report(add_commands(commands))
    return parser


def add_config_argument(parser: argparse.ArgumentParser) -> None:
    """`FILE` or `--config FILE`."""
    parser.add_argument("file", nargs="?", type=Path, metavar="FILE", help="the configuration (TOML)")
    parser.add_argument("--config", type=Path, metavar="FILE", help="the same, by name")


def _settings(args: argparse.Namespace) -> Settings:
    path = args.file or args.config or Path(os.environ.get(CONFIG_VARIABLE, DEFAULT_CONFIG))
    return read_settings(path, os.environ)


def _run(args: argparse.Namespace) -> int:
    settings = _settings(args)
    # Late: a mistake in the file is told before the half second that these take to load.
    from central import app

    _log_to_stderr()
    # Messages come and go by the thousand; a look for cycles after every 700 objects cost ingest an eighth.
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)
    roles = app.ROLES if args.command == "serve" else frozenset({args.command})

    async def go() -> None:
        stop = asyncio.Event()
        app.stop_on_signals(stop)
        if args.command == "auditor":
            await app.run_auditor(settings, os.environ, stop=stop)
        else:
            await app.run(settings, roles, os.environ, stop=stop, migrate_first=args.migrate)

    try:
        asyncio.run(go())
    except app.StartError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _migrate(args: argparse.Namespace) -> int:
    settings = _settings(args)
    from central.store.errors import StoreError, StoreNewer
    from central.store.migrate import migrate, pending

    try:
        if args.check:
            missing = pending(settings.dsn)
            for name in missing:
                print(f"pending: {name}")
            print(f"{len(missing)} pending" if missing else "the database is up to date")
            return 3 if missing else 0
        applied = migrate(settings.dsn)
    except StoreNewer as error:
        print(f"{settings.path}: {error}", file=sys.stderr)
        return 4
    except StoreError as error:
        print(f"{settings.path}: database: {error}", file=sys.stderr)
        return 1
    for name in applied:
        print(f"applied: {name}")
    print(f"{len(applied)} applied" if applied else "nothing to apply: the database is up to date")
    return 0


def _forecast(args: argparse.Namespace) -> int:
    settings = _settings(args)
    from central.store.errors import StoreError
    from central.store.forecast import Forecast, forecast
    from central.store.pool import Store

    kept = {
        "readings": settings.jobs.readings_days,
        "rollup_minute": settings.jobs.minutes_days,
        "rollup_hour": settings.jobs.hours_days,
    }

    async def ask() -> Forecast:
        store = Store(settings.dsn, name="forecast", max_connections=1)
        await store.open()
        try:
            async with store.transaction() as tx:
                return await forecast(tx, kept)
        finally:
            await store.close()

    try:
        told = asyncio.run(ask())
    except StoreError as error:
        print(f"{settings.path}: database: {error}", file=sys.stderr)
        return 1
    day = "还没有 there is no whole day yet" if told.day is None else f"{told.day:%Y-%m-%d %H:%M %Z}"
    print(f"按这一天推算 as on the day that began at {day}")
    print(f"{'':14} {'GB now':>9} {'rows a day':>13} {'MB a day':>10} {'days kept':>10} {'GB at last':>11}")
    for table in told.tables:
        day_mb, last_gb = table.bytes_a_day / 1e6, table.final_bytes / 1e9
        print(
            f"{table.table:14} {table.bytes / 1e9:9.3f} {table.rows_a_day:13,} {day_mb:10.1f}"
            f" {table.kept_days:10} {last_gb:11.2f}"
        )
    print(f"合计 in all: {told.final_bytes / 1e9:.2f} GB")
    return 0


def _check_config(args: argparse.Namespace) -> int:
    settings = _settings(args)
    from central.emergency import build_emergency, read_auditor
    from central.notifier.callbacks import read_callbacks
    from central.notifier.channels import build_channels

    def no_clock() -> datetime:
        return datetime.fromtimestamp(0, UTC)

    channels = build_channels(settings, os.environ, no_clock)
    callbacks = read_callbacks(settings)
    auditor = read_auditor(settings, os.environ)
    if auditor is not None:
        build_emergency(settings, auditor, os.environ, no_clock)
    print(f"{settings.path}: good")
    print(
        f"  broker    {settings.broker.host}:{settings.broker.port}{' (TLS)' if settings.broker.tls else ''}"
    )
    print(f"  http      {settings.http.host}:{settings.http.port}, people open {settings.http.public_url}")
    print(f"  channels  {', '.join(sorted(channels))}")
    for name, callback in callbacks.items():
        proof = "" if callback.signed else "/<token>"
        print(f"  callback  {settings.http.public_url}/callbacks/{name}{proof}")
    if auditor is None:
        print("  auditor   none: nobody watches the watch (docs/howto/watch-the-watch.md)")
    else:
        ways = ", ".join(f"{call.address} by {call.channel}" for call in auditor.calls)
        switch = "a dead-man's switch" if auditor.dead_man_url else "no dead-man's switch"
        print(f"  auditor   calls {ways}; {switch}")
    return 0


def _log_to_stderr() -> None:
    """Lines of key=value for people on a terminal, JSON for machines; libraries only from warnings on."""
    tail: list[structlog.typing.Processor] = [structlog.processors.JSONRenderer(ensure_ascii=False)]
    if sys.stderr.isatty():
        tail = [structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)]
    else:  # without local variables: they hold secrets and people's names
        plain = structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
        tail.insert(0, structlog.processors.ExceptionRenderer(plain))
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *tail,
        ],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    form = "%(levelname)s %(name)s: %(message)s"
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format=form)
    # It tells of every try; that the database is away is said once by the roles themselves.
    logging.getLogger("psycopg.pool").setLevel(logging.ERROR)


if __name__ == "__main__":
    sys.exit(main())
