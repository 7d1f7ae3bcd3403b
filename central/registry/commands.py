"""What the administrator's commands do: one transaction each, answers on stdout, trouble on stderr.

Exit codes: 0 done, 1 it did not work and nothing was changed; a wrong configuration is the caller's to say.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import unicodedata
from collections.abc import Awaitable, Callable, Iterable
from datetime import timedelta
from typing import Any

import msgspec
import structlog

from central.config import read_settings
from central.registry import watching
from central.registry.check import missing
from central.registry.csv_files import read_folder
from central.registry.csv_import import run_import
from central.registry.errors import MissingError, Problem, RegistryError
from central.registry.kinds import Bus, Contact, Detector, Gateway, Placement, Worker
from central.registry.register import place, register, remove
from central.store import audit, forward, lanes
from central.store import registry as rows
from central.store.errors import StoreError
from central.store.links import revoke_links
from central.store.pool import Store, Tx
from central.store.tokens import make_token, revoke_token, tokens
from device_profiles.load import load_profiles

Command = Callable[[argparse.Namespace, Store], Awaitable[None]]
FROM_WHERE = "command line"
_PAGE = 1000


def run(command: Command, args: argparse.Namespace) -> int:
    """Open the database of the configuration, do it, say what was wrong. Raises ConfigError."""
    settings = read_settings(args.config, os.environ)
    structlog.configure(logger_factory=lambda *_: structlog.PrintLogger(sys.stderr))
    try:
        asyncio.run(_with_store(command, args, settings.dsn))
    except RegistryError as error:
        for problem in error.problems:
            say(str(problem), sys.stderr)
        say("nothing was changed (未作任何改动)", sys.stderr)
        return 1
    except StoreError as error:
        say(f"the database refused or does not answer: {error} (数据库拒绝或无应答)", sys.stderr)
        return 1
    return 0


async def _with_store(command: Command, args: argparse.Namespace, dsn: str) -> None:
    store = Store(dsn, name="admin", max_connections=2)
    await store.open()
    try:
        await command(args, store)
    finally:
        await store.close()


async def import_folder(args: argparse.Namespace, store: Store) -> None:
    """All CSV files of a folder."""
    done = await run_import(
        store,
        read_folder(args.folder),
        by=args.by,
        profiles=load_profiles(),
        from_where=FROM_WHERE,
        dry_run=args.dry_run,
        progress=_progress,
    )
    for note in done.notes:
        say(note)
    for name, count in done.saved.items():
        say(f"{name:<18} {count:>7}")
    if done.reconfigured:
        say(f"new configuration for: {', '.join(done.reconfigured)}")
    say("nothing was saved: this was a dry run (试运行，未保存)" if done.dry_run else "imported (已导入)")


async def token_create(args: argparse.Namespace, store: Store) -> None:
    """A new token, shown once."""
    valid = None if args.days is None else timedelta(days=args.days)
    async with store.transaction() as tx:
        token = await make_token(tx, name=args.name, role=args.role, worker=args.worker, valid=valid)
        await _note(tx, args, "create_token", f"token:{args.name}")
    say(token)
    say("keep it now: it cannot be shown again (请立即保存，此后无法再显示)", sys.stderr)


async def token_revoke(args: argparse.Namespace, store: Store) -> None:
    """The token of this name ends now."""
    async with store.transaction() as tx:
        if not await revoke_token(tx, args.name):
            raise MissingError(
                [
                    Problem(
                        "name", f"no valid token is named {args.name!r}", "没有这个令牌", "See `token list`."
                    )
                ]
            )
        await _note(tx, args, "revoke_token", f"token:{args.name}")
    say("revoked (已吊销)")


async def token_list(args: argparse.Namespace, store: Store) -> None:
    """Every token, without its secret."""
    async with store.transaction() as tx:
        found = await tokens(tx)
    print_table(
        args,
        found,
        ("name", "role", "worker", "expires", "state"),
        (
            (
                row["name"],
                row["role"],
                row["worker"],
                row["expires_at"],
                "revoked" if row["revoked_at"] else "valid",
            )
            for row in found
        ),
    )


async def gateway_add(args: argparse.Namespace, store: Store) -> None:
    """Register or change a gateway."""
    await _register(args, store, Gateway(id=args.id, area=args.area, name=args.name, building=args.building))


async def gateway_list(args: argparse.Namespace, store: Store) -> None:
    """All gateways."""
    async with store.transaction() as tx:
        found = await _all(lambda after: rows.gateways(tx, after=after, limit=_PAGE))
    print_table(
        args,
        found,
        ("gateway", "area", "name", "detectors", "heard", "config"),
        (
            (
                row["id"],
                row["area"],
                row["name"],
                row["detectors"],
                "silent" if row["silent_since"] else row["heard_at"],
                _stage(row),
            )
            for row in found
        ),
    )


async def gateway_config(args: argparse.Namespace, store: Store) -> None:
    """What a gateway is wanted to run."""
    async with store.transaction() as tx:
        latest = await rows.latest_config(tx, args.id)
    if latest is None:
        raise MissingError([missing("gateway", "gateway", args.id)])
    config = msgspec.to_builtins(watching.read_config(latest["body"]))
    say(json.dumps(config, ensure_ascii=False, indent=2))


async def gateway_stand_down(args: argparse.Namespace, store: Store) -> None:
    """Say that a gateway without detectors is to watch nothing."""
    async with store.transaction() as tx:
        version = await watching.stand_down(tx, args.id, args.by, from_where=FROM_WHERE)
    say("already wanted (已是如此)" if version is None else f"version {version}: watch nothing (停止监视)")


async def lane_list(args: argparse.Namespace, store: Store) -> None:
    """What is stored of each stream of events."""
    async with store.transaction() as tx:
        found = await lanes.report(tx)
    names = ("gateway", "stream", "cursor", "events", "highest_seq", "gaps", "last_at")
    print_table(args, found, names, (tuple(row[name] for name in names) for row in found))


async def fire_point_list(args: argparse.Namespace, store: Store) -> None:
    """By which address each detector is known to fire-brigade centres; one that has none is given one."""
    async with store.transaction() as tx:
        await forward.give_addresses(tx)
        found = await forward.addresses(tx)
    names = forward.Address._fields
    print_table(args, [one._asdict() for one in found], names, found)


async def bus_add(args: argparse.Namespace, store: Store) -> None:
    """Register or change a line."""
    names = ("gateway", "id", "transport", "address", "baud", "parity", "stop_bits", "gap_ms")
    await _register(args, store, Bus(**{name: getattr(args, name) for name in names}))


async def detector_place(args: argparse.Namespace, store: Store) -> None:
    """Hang a detector somewhere; a new one is registered with its profile."""
    placement = Placement(**{name: getattr(args, name) for name in Placement.__dataclass_fields__})
    profiles = load_profiles()
    async with store.transaction() as tx:
        if getattr(args, "profile", None):
            record = Detector(
                id=args.id, profile=args.profile, serial_number=args.serial_number, placement=placement
            )
            told = await register(tx, record, by=args.by, profiles=profiles, from_where=FROM_WHERE)
        else:
            told = await place(tx, args.id, placement, by=args.by, profiles=profiles, from_where=FROM_WHERE)
    _saved(args.id, told)


async def detector_remove(args: argparse.Namespace, store: Store) -> None:
    """Take it off the wall."""
    async with store.transaction() as tx:
        told = await remove(tx, args.id, by=args.by, from_where=FROM_WHERE)
    _saved(args.id, told)


async def detector_list(args: argparse.Namespace, store: Store) -> None:
    """Detectors and where they hang."""
    async with store.transaction() as tx:
        found = await _all(lambda after: rows.detectors(tx, gateway=args.gateway, after=after, limit=_PAGE))
    names = ("id", "profile", "gateway", "bus", "unit", "point", "household", "spot")
    print_table(args, found, ("detector", *names[1:]), (tuple(row[name] for name in names) for row in found))


async def worker_add(args: argparse.Namespace, store: Store) -> None:
    """Register or change a worker."""
    pairs = [text.partition(":") for text in args.contact]
    worker = Worker(
        id=args.id,
        area=args.area,
        name=args.name,
        role=args.role,
        community=args.community,
        language=args.language,
        phone=args.phone,
        primary_grids=tuple(args.primary_grid),
        backup_grids=tuple(args.backup_grid),
        contacts=tuple(Contact(channel=channel, address=address) for channel, _, address in pairs),
    )
    await _register(args, store, worker)


async def worker_list(args: argparse.Namespace, store: Store) -> None:
    """Workers, their grids and how they are reached."""
    async with store.transaction() as tx:
        found = await _all(lambda after: rows.workers(tx, after=after, limit=_PAGE))
    print_table(
        args,
        found,
        ("worker", "name", "role", "duty", "grids", "contacts"),
        (
            (
                row["id"],
                row["name"],
                row["role"],
                "on" if row["active"] else "off",
                " ".join(f"{one['grid']}({one['duty'][0]})" for one in row["grids"]),
                " ".join(f"{one['channel']}:{one['address']}" for one in row["contacts"]),
            )
            for row in found
        ),
    )


async def worker_switch(args: argparse.Namespace, store: Store) -> None:
    """On or off duty; off ends every link of that person."""
    async with store.transaction() as tx:
        if not await rows.set_worker_active(tx, args.id, active=args.active):
            raise MissingError([missing("worker", "worker", args.id)])
        if not args.active:
            await revoke_links(tx, args.id)
        await watching.rebuild_all(tx, await rows.gateways_of_worker(tx, args.id), args.by)
        await _note(tx, args, "worker_on" if args.active else "worker_off", f"worker:{args.id}")
    say("on duty (在岗)" if args.active else "off duty (离岗)")


async def new_epoch(args: argparse.Namespace, store: Store) -> None:
    """Say that it is another database than the gateways knew."""
    async with store.transaction() as tx:
        epoch, told = await watching.new_epoch(tx, args.by)
    say(f"epoch {epoch}; {told} gateways get their configuration again")


async def _register(args: argparse.Namespace, store: Store, record: Gateway | Bus | Worker) -> None:
    async with store.transaction() as tx:
        told = await register(tx, record, by=args.by, profiles=load_profiles(), from_where=FROM_WHERE)
    _saved(record.id, told)


async def _note(tx: Tx, args: argparse.Namespace, action: str, subject: str) -> None:
    await audit.note(tx, who=args.by, action=action, subject=subject, from_where=FROM_WHERE)


async def _all(page: Callable[[str], Awaitable[list[dict[str, Any]]]]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    while more := await page(found[-1]["id"] if found else ""):
        found += more
    return found


async def numbered(page: Callable[[int], Awaitable[list[dict[str, Any]]]]) -> list[dict[str, Any]]:
    """All rows of a table whose pages go by number: `page` gives those behind one."""
    found: list[dict[str, Any]] = []
    while more := await page(found[-1]["id"] if found else 0):
        found += more
    return found


def _stage(row: dict[str, Any]) -> str:
    if row["config_version"] is None:
        return ""
    if row["refused"] and not row["applied_at"]:
        return f"v{row['config_version']} refused: {row['refused']}"
    if row["applied_at"]:
        return f"v{row['config_version']} applied"
    return f"v{row['config_version']} {'sent' if row['published_at'] else 'waiting'}"


def _saved(what: str, told: tuple[str, ...]) -> None:
    more = f"; new configuration for: {', '.join(told)}" if told else ""
    say(f"{what}: saved (已保存){more}")


def print_table(
    args: argparse.Namespace,
    found: Any,
    head: tuple[str, ...],
    lines: Iterable[tuple[Any, ...]],
) -> None:
    """The lines in columns, or with `--json` what was found."""
    if args.json:
        say(json.dumps(found, ensure_ascii=False, default=str))
        return
    cells = [head, *(tuple("" if cell is None else str(cell) for cell in line) for line in lines)]
    widths = [max(_width(line[column]) for line in cells) for column in range(len(head))]
    for line in cells:
        padded = (cell + " " * (width - _width(cell)) for cell, width in zip(line, widths, strict=True))
        say("  ".join(padded).rstrip())


def _width(text: str) -> int:
    """Columns on a terminal: Chinese characters take two."""
    return sum(2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text)


def _progress(name: str, done: int, of: int) -> None:
    if done == of or done % 1000 == 0:
        sys.stderr.write(f"\r{name} {done}/{of}{chr(10) if done == of else ''}")
        sys.stderr.flush()


def say(text: str, stream: Any = None) -> None:
    """One line, on stdout unless told otherwise."""
    (stream or sys.stdout).write(f"{text}\n")
