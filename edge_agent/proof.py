"""That this version works: told to the launcher once the centre has acknowledged what it recorded itself.

Law of this file: an acknowledgement counts only for an event that this process put on record. Outside of the
launcher it does nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path

import structlog

from edge_agent.launcher import ATTEMPT_VARIABLE, FOLDER_VARIABLE, NOTE, PROOF, write_durably


class Proof:
    """`stream` and `highest` are the outbox's before this process records anything."""

    def __init__(self, environment: Mapping[str, str], stream: str, highest: int) -> None:
        folder = environment.get(FOLDER_VARIABLE)
        self._folder = None if folder is None else Path(folder)
        self._attempt = environment.get(ATTEMPT_VARIABLE)
        self._stream = stream
        self._above = highest
        self._log = structlog.get_logger()

    def notes(self, version: str) -> list[str]:
        """What belongs on record at this start: an update that was given up, a version's first steps."""
        found = []
        if self._folder is not None:
            try:
                found.append((self._folder / NOTE).read_text("utf-8")[:500])
            except FileNotFoundError:
                pass
            except (OSError, UnicodeDecodeError) as error:
                self._log.error("the launcher's note cannot be read", why=str(error))
        if self._attempt is not None:
            found.append(f"版本 {version} 试运行 / version {version} is on trial")
        return found

    def noted(self) -> None:
        """The notes are on record: they are not told again."""
        if self._folder is not None:
            try:
                (self._folder / NOTE).unlink(missing_ok=True)
            except OSError as error:
                self._log.error("the launcher's note cannot be removed", why=str(error))

    async def acknowledged(self, stream: str, through: int, highest: int) -> None:
        """The centre has committed events up to `through`; `highest` is the last one on record."""
        if self._attempt is None or self._folder is None:
            return
        if stream != self._stream:
            # Everything held was numbered anew: only what comes after this moment is surely our own.
            self._stream, self._above = stream, highest
        if not self._above < through <= highest:
            return
        try:
            await asyncio.to_thread(write_durably, self._folder / PROOF, self._attempt + "\n")
        except OSError as error:
            self._log.error("the proof of this version cannot be written", why=str(error))
            return
        self._log.info("version proven", attempt=self._attempt)
        self._attempt = None
