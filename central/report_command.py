"""`smokewatch-central admin report`: parsing, and the file. What is in it is made elsewhere."""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path

from central.registry.cli import Subparsers, add_command
from central.registry.commands import FROM_WHERE, say
from central.registry.errors import Problem, RegistryError
from central.reports.model import FORMS
from central.store.pool import Store

_EXAMPLES = """\
examples:
  smokewatch-central admin report --month 2026-10 --output october.html
  smokewatch-central admin report --month 2026-10 --area danshuichi --format csv --output october.csv
  smokewatch-central admin report --month 2026-10 --format pdf --font wqy-microhei.ttc --output october.pdf
"""


def add_report(things: Subparsers) -> None:
    """Add `report` to `admin`."""
    words = "the report of a month, without residents' names"
    parser = add_command(things, "report", words, report, epilog=_EXAMPLES)
    parser.add_argument("--month", required=True, help="such as 2026-10, by China's clock")
    parser.add_argument("--area", help="one street (default: all)")
    parser.add_argument("--format", choices=FORMS, default="html", help="default: %(default)s")
    parser.add_argument("--output", type=Path, metavar="FILE", help="default: standard output")
    parser.add_argument(
        "--font", type=Path, metavar="FILE", help="pdf: a TrueType font with Chinese characters, embedded"
    )


async def report(args: argparse.Namespace, store: Store) -> None:
    """Make it and write it."""
    # Late: other commands do without the 0.2 s that pages take to load.
    from central.month_report import Asker, make, written
    from central.pages.month_pdf import FontError, available

    if args.format == "pdf" and not available():
        raise _wrong("--format", "no PDF here", "Install smokewatch[pdf], or print the HTML.")
    try:
        made = await make(store, args.month, args.area, Asker(args.by, FROM_WHERE))
    except ValueError as error:
        raise _wrong("--month", str(error), "Write a month that has begun, such as 2026-10.") from None
    try:
        text = await asyncio.to_thread(written, made, args.format, args.font)
    except FontError as error:
        raise _wrong("--font", str(error), "Or leave --font out.") from None
    if args.output is None:
        sys.stdout.buffer.write(text)
        return
    try:
        await asyncio.to_thread(args.output.write_bytes, text)
    except OSError as error:
        raise _wrong(
            str(args.output), error.strerror or str(error), "Name a file that can be written."
        ) from None
    say(f"{args.output}  {len(text)} bytes", sys.stderr)


def _wrong(place: str, what: str, mend: str) -> RegistryError:
    return RegistryError([Problem(place, what, "参数不对", mend)])
