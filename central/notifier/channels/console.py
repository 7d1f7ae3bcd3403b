"""The console channel: each message is printed. For trying things out; nobody is woken by it.

Law of this file: what it says is what a person would have read, personal data included; so it is for a
desk only.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from central.config import fail, foreign_keys
from central.notifier.channel import Limits, Message, Outcome, Sent, TryLater


@dataclass(frozen=True, slots=True)
class ConsoleConfig:
    """There is nothing to set."""


def read(path: Path, table: Mapping[str, Any], _environment: Mapping[str, str]) -> ConsoleConfig:
    """The settings of `[channels.console]`. Raises ConfigError."""
    found = foreign_keys("channels.console.", table, ())
    if found:
        fail(path, f"{found[0]}none: leave the table empty")
    return ConsoleConfig()


class Console:
    """Prints to standard output, or to `out`."""

    timeout_s = 1.0
    limits = Limits()

    def __init__(self, _config: ConsoleConfig, out: TextIO | None = None) -> None:
        self._out = out

    async def send(self, message: Message, address: str) -> Outcome:
        """Print it. A closed output is a provider that is down."""
        out = self._out or sys.stdout
        text = message.text.replace("\n", "\n    ")
        try:
            out.write(f">>> {address or message.key}: {message.title}\n    {text}\n")
            out.flush()
        except (OSError, ValueError) as error:
            return TryLater(None, f"the output cannot be written: {type(error).__name__}")
        return Sent()

    async def close(self) -> None:
        """Nothing is held open."""
