"""`smokewatch-central import` and `smokewatch-central admin ...`: parsing; the work is in `commands`."""

from __future__ import annotations

import argparse
import getpass
import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

from central.engine.model import Condition
from central.engine.policy import Target
from central.engine.window import WindowKind
from central.registry import commands, duty_commands, window_commands
from central.registry.check import ROLES

DEFAULT_CONFIG = "/etc/smokewatch/central.toml"
CONFIG_VARIABLE = "SMOKEWATCH_CENTRAL_CONFIG"
TOKEN_ROLES = ("administrator", "dispatcher", "installer", "viewer")

_IMPORT = """\
examples:
  smokewatch-central import docs/examples/registry --dry-run    say what would happen
  smokewatch-central import places/                             all of it, or nothing
The folder holds any of areas.csv communities.csv grids.csv buildings.csv households.csv residents.csv
workers.csv gateways.csv buses.csv detectors.csv. The same files again change nothing.
"""
_ADMIN = """\
examples:
  smokewatch-central admin token create --role installer --name wu-phone --days 365
  smokewatch-central admin gateway add gw-7 --area danshuichi --building xh-b1
  smokewatch-central admin bus add gw-7 line-1 --address /dev/serial/by-id/usb-rs485
  smokewatch-central admin detector place d-0007 --profile smokewatch-reference \\
      --household xh-b1-301 --gateway gw-7 --bus line-1 --unit 3 --spot 卧室
  smokewatch-central admin detector remove d-0007
  smokewatch-central admin policy simulate --grid xh-1 my.json  who would get what when, before it is saved
  smokewatch-central admin policy set --grid xh-1 --severity life my.json
  smokewatch-central admin report --month 2026-10 --format csv --output october.csv
  smokewatch-central admin window open maintenance --detector d-0007 --why 清洗 --person w-tech \\
      --ends 2026-10-01T12:00
  smokewatch-central admin new-epoch                            after the database was restored
"""

Subparsers: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def add_commands(subparsers: Subparsers) -> Subparsers:
    """Add `import` and `admin`, and return the things of `admin`.

    Each sets `run`: parsed arguments in, exit code out.
    """
    importing = _parser(subparsers, "import", "read the registry's CSV files", epilog=_IMPORT)
    importing.add_argument("folder", type=Path, metavar="FOLDER", help="where the CSV files lie")
    importing.add_argument("--dry-run", action="store_true", help="do all but save")
    _work(importing, commands.import_folder)
    admin = _parser(subparsers, "admin", "gateways, detectors, people, tokens", epilog=_ADMIN)
    things = admin.add_subparsers(required=True, metavar="THING")
    _add_tokens(_group(things, "token", "who may use the API"))
    _add_gateways(_group(things, "gateway", "gateways and what they are told"))
    _add_buses(_group(things, "bus", "lines of a gateway"))
    _add_detectors(_group(things, "detector", "detectors and where they hang"))
    _add_workers(_group(things, "worker", "people on duty"))
    _add_policies(_group(things, "policy", "who is told what when"))
    _add_shifts(_group(things, "shift", "who has a duty at which hours"))
    _add_leaves(_group(things, "leave", "who is away, and who stands in"))
    _add_windows(_group(things, "window", "detectors that are worked on or out of service"))
    _listing(
        _group(things, "lane", "what is stored of each gateway's events"),
        "streams of events with their counts, to be held against `smokewatch-edge outbox`",
        commands.lane_list,
    )
    _listing(
        _group(things, "fire-point", "addresses for fire-brigade centres"),
        "system, zone and point of each detector (点位表), given once and for ever",
        commands.fire_point_list,
    )
    epoch = _parser(things, "new-epoch", "say that the database was restored or replaced; tell every gateway")
    _work(epoch, commands.new_epoch)
    return things


def add_command(
    things: Subparsers, name: str, words: str, command: commands.Command, *, epilog: str
) -> argparse.ArgumentParser:
    """One more thing of `admin` that is done at once; the caller adds its options."""
    parser = _parser(things, name, words, epilog=epilog)
    _work(parser, command)
    return parser


def _add_tokens(group: Subparsers) -> None:
    create = _parser(group, "create", "make a token and print it, once")
    create.add_argument("--role", required=True, choices=TOKEN_ROLES)
    create.add_argument("--name", required=True, help="shown in the audit log")
    create.add_argument("--worker", help="the worker it stands for")
    create.add_argument("--days", type=_days, metavar="N", help="valid for N days (default: until revoked)")
    _work(create, commands.token_create)
    revoke = _parser(group, "revoke", "end a token")
    revoke.add_argument("--name", required=True)
    _work(revoke, commands.token_revoke)
    _listing(group, "tokens, without their secrets", commands.token_list)


def _add_gateways(group: Subparsers) -> None:
    add = _parser(group, "add", "register or change a gateway")
    add.add_argument("id")
    add.add_argument("--area", required=True)
    add.add_argument("--name", default="")
    add.add_argument("--building")
    _work(add, commands.gateway_add)
    _listing(group, "gateways and when they were last heard", commands.gateway_list)
    config = _parser(group, "config", "the configuration a gateway is wanted to run, as JSON")
    config.add_argument("id")
    _work(config, commands.gateway_config)
    stand_down = _parser(group, "stand-down", "have a gateway on which no detector hangs watch nothing")
    stand_down.add_argument("id")
    _work(stand_down, commands.gateway_stand_down)


def _add_buses(group: Subparsers) -> None:
    add = _parser(group, "add", "register or change a line")
    add.add_argument("gateway")
    add.add_argument("id")
    add.add_argument("--address", required=True, help="device path, or host:port")
    add.add_argument("--transport", default="serial", choices=("serial", "tcp", "rtu_tcp"))
    add.add_argument("--baud", type=int, default=9600)
    add.add_argument("--parity", default="N", choices=("N", "E", "O"))
    add.add_argument("--stop-bits", type=int, default=1, choices=(1, 2))
    add.add_argument("--gap-ms", type=float)
    _work(add, commands.bus_add)


def _add_detectors(group: Subparsers) -> None:
    for verb, words in (("place", "hang a detector somewhere"), ("move", "hang it somewhere else")):
        place = _parser(group, verb, words)
        place.add_argument("id")
        if verb == "place":
            place.add_argument("--profile", help="its model; needed when it is new")
            place.add_argument("--serial-number", default="")
        for name in ("household", "gateway", "bus"):
            place.add_argument(f"--{name}", required=True)
        place.add_argument("--unit", type=int, required=True, help="Modbus unit id")
        place.add_argument("--point", type=int, help="which point of a panel")
        place.add_argument("--spot", default="", help="kitchen, bedroom ...")
        place.add_argument("--allow-writes", action="store_true", help="reset, mute and test may be written")
        _work(place, commands.detector_place)
    remove = _parser(group, "remove", "take a detector off the wall: nobody watches it any more")
    remove.add_argument("id")
    _work(remove, commands.detector_remove)
    listing = _listing(group, "detectors and where they hang", commands.detector_list)
    listing.add_argument("--gateway")


def _add_workers(group: Subparsers) -> None:
    add = _parser(group, "add", "register or change a worker")
    add.add_argument("id")
    add.add_argument("--area", required=True)
    add.add_argument("--name", required=True)
    add.add_argument("--role", required=True, choices=ROLES)
    add.add_argument("--community")
    add.add_argument("--language", default="zh", choices=("zh", "en"))
    add.add_argument("--phone", default="", help="what a gateway calls while the centre is silent")
    add.add_argument("--primary-grid", action="append", default=[], metavar="GRID")
    add.add_argument("--backup-grid", action="append", default=[], metavar="GRID")
    add.add_argument(
        "--contact", action="append", default=[], metavar="CHANNEL:ADDRESS", help="in the order to be tried"
    )
    _work(add, commands.worker_add)
    _listing(group, "workers, their grids and contacts", commands.worker_list)
    for verb, words in (
        ("on", "put a worker on duty"),
        ("off", "take a worker off duty and end their links"),
    ):
        switch = _parser(group, verb, words)
        switch.add_argument("id")
        switch.set_defaults(active=verb == "on")
        _work(switch, commands.worker_switch)


def _add_policies(group: Subparsers) -> None:
    show = _parser(group, "show", "policies on record; for a grid or an area what holds there")
    _place(show)
    show.add_argument("--json", action="store_true", help="as JSON")
    _work(show, duty_commands.policy_show)
    save = _parser(group, "set", "save a policy: for a grid, an area, or (without both) everywhere")
    drop = _parser(group, "drop", "take a policy away: that of the larger place holds again")
    for parser, command in ((save, duty_commands.policy_set), (drop, duty_commands.policy_drop)):
        _place(parser)
        parser.add_argument("--severity", required=True, choices=("life", "unwatched", "care"))
        _work(parser, command)
    save.add_argument("file", type=Path, metavar="FILE", help="the policy as JSON")
    simulate = _parser(group, "simulate", "who would get what when, if nobody answered; nothing is sent")
    _place(simulate)
    simulate.add_argument("--condition", default="smoke", choices=[*Condition], metavar="CONDITION")
    simulate.add_argument(
        "--at", metavar="TIME", help="such as 2026-10-01T03:00, China's clock (default: now)"
    )
    simulate.add_argument("--json", action="store_true", help="as JSON")
    simulate.add_argument("file", type=Path, nargs="?", metavar="FILE", help="a policy before it is saved")
    _work(simulate, duty_commands.policy_simulate)


def _add_shifts(group: Subparsers) -> None:
    add = _parser(group, "add", "a worker has a duty in these hours of each week")
    add.add_argument("worker")
    add.add_argument("--duty", required=True, choices=[*Target], metavar="DUTY", help=", ".join(Target))
    _place(add)
    add.add_argument(
        "--weekdays", default="1-7", help="1 Monday to 7 Sunday: 1-5, 6,7 (default: %(default)s)"
    )
    add.add_argument("--begins", required=True, metavar="HH:MM")
    add.add_argument("--ends", required=True, metavar="HH:MM", help="not later than it begins: the next day")
    add.add_argument("--from-day", required=True, metavar="DAY", help="such as 2026-10-01")
    add.add_argument("--to-day", metavar="DAY", help="the last day (default: no end)")
    _work(add, duty_commands.shift_add)
    _listing(group, "all shifts", duty_commands.shift_list)
    _dropping(group, duty_commands.shift_drop)


def _add_leaves(group: Subparsers) -> None:
    add = _parser(group, "add", "a worker is away for a time")
    add.add_argument("worker")
    add.add_argument(
        "--begins", required=True, metavar="TIME", help="such as 2026-10-01T08:00, China's clock"
    )
    add.add_argument("--ends", required=True, metavar="TIME")
    add.add_argument("--substitute", metavar="WORKER", help="who is told instead")
    _work(add, duty_commands.leave_add)
    _listing(group, "leave that is not over", duty_commands.leave_list)
    _dropping(group, duty_commands.leave_drop)


def _add_windows(group: Subparsers) -> None:
    add = _parser(group, "open", "keep messages about faults of these detectors back; never smoke or heat")
    add.add_argument("kind", choices=[*WindowKind])
    add.add_argument(
        "--detector", action="append", required=True, metavar="ID", help="by name; may be repeated"
    )
    add.add_argument("--why", required=True)
    add.add_argument(
        "--begins", metavar="TIME", help="such as 2026-10-01T08:00, China's clock (default: now)"
    )
    add.add_argument(
        "--ends", required=True, metavar="TIME", help="of what is out of service: when to look again"
    )
    add.add_argument("--person", metavar="WORKER", help="who is on site, told of smoke at once")
    _work(add, window_commands.window_open)
    listing = _listing(group, "windows that are not over", window_commands.window_list)
    listing.add_argument("--past", action="store_true", help="and the others")
    end = _parser(group, "end", "end one before its time: what waited is told")
    end.add_argument("number", type=int)
    _work(end, window_commands.window_end)


def _place(parser: argparse.ArgumentParser) -> None:
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--grid")
    where.add_argument("--area")


def _dropping(group: Subparsers, command: commands.Command) -> None:
    drop = _parser(group, "drop", "take one off again")
    drop.add_argument("number", type=int)
    _work(drop, command)


def _listing(group: Subparsers, words: str, command: commands.Command) -> argparse.ArgumentParser:
    parser = _parser(group, "list", words)
    parser.add_argument("--json", action="store_true", help="as JSON")
    _work(parser, command)
    return parser


def _group(things: Subparsers, name: str, words: str) -> Subparsers:
    return _parser(things, name, words).add_subparsers(required=True, metavar="VERB")


def _parser(
    subparsers: Subparsers, name: str, words: str, *, epilog: str | None = None
) -> argparse.ArgumentParser:
    return subparsers.add_parser(
        name,
        help=words,
        description=f"{words[0].upper()}{words[1:]}.",
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def _work(parser: argparse.ArgumentParser, command: commands.Command) -> None:
    parser.add_argument(
        "--config",
        type=Path,
        metavar="FILE",
        default=Path(os.environ.get(CONFIG_VARIABLE, DEFAULT_CONFIG)),
        help=f"the centre's configuration (default: ${CONFIG_VARIABLE}, else {DEFAULT_CONFIG})",
    )
    parser.add_argument("--by", default=_user(), help="who does it, for the audit log (default: %(default)s)")
    run: Callable[[argparse.Namespace], int] = lambda args: commands.run(command, args)  # noqa: E731
    parser.set_defaults(run=run)


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"


def _days(text: str) -> int:
    days = int(text)
    if not 1 <= days <= 3650:
        raise argparse.ArgumentTypeError("1 to 3650 days")
    return days
