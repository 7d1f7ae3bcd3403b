"""Events on record at the edge: in a file, and in memory while the disk takes nothing.

Law of this file: what `record` has returned survives a power cut, with the tracker's state of the same
moment, and stays until `forget`. What the disk does ends neither the watch nor the sending: full, room is
made and at last the reserve given up for an alarm; damaged, the file is mended; dead, the events go on in
memory under a new stream (`trouble` says why) and come home when the disk takes them again. Methods block
(call them through a thread) and may be called from any thread; `standing` and what is made of it do not.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple, TypeVar

from edge_agent.config import OutboxSettings
from edge_agent.ledger import Contents, Ledger, Rows
from edge_agent.mending import open_sound, readable
from edge_agent.observation import Observation, Seen, Stamp
from edge_agent.outbox_file import StorageError
from edge_agent.reserve import Reserve, free_bytes
from wire.codec import decode, encode
from wire.errors import RemoteError
from wire.messages import URGENT, Condition, EventKind, GatewayConfig
from wire.topics import Channel

T = TypeVar("T")

HOME_AFTER_MS = 5_000
"""In memory for so long, the disk is tried again; twice as long after each try, until it has lasted."""
HOME_AT_MOST_MS = 600_000
TEND_S = 2
"""How often `tend` is to be called."""
MEMORY_BYTES = 16_000_000
"""What events may take while they are in memory; some 60,000 of them."""
ALARMS_OWN = 0.1
"""The last part of the limit that only what is about smoke, heat or a test may use."""
_FOLD_AGAIN_AFTER = 1000


class Standing(NamedTuple):
    """How the outbox stood after the last change."""

    stream: str
    highest_seq: int
    """The last seq ever given in this stream; 0 before the first."""
    oldest_seq: int
    """The lowest event held; one above the highest when none is."""
    oldest: tuple[str, int, int] | None
    """Boot, wall clock and monotonic clock (ms) of the oldest event held."""


class Outbox:
    """Make it with `Outbox.open`. One for each state folder."""

    def __init__(
        self, path: Path, machine_id: str, limits: OutboxSettings | None, make_room: Callable[[], bool]
    ) -> None:
        self.path = path
        self.report: str | None = None
        """What a person should know of this opening (a damaged file set aside, another machine), or None."""
        self.trouble: str | None = None
        """Why events are in memory; None while they are on disk."""
        self._machine = machine_id
        self._max_bytes = None if limits is None else limits.max_bytes
        self._reserve_bytes = 0 if limits is None else limits.reserve_bytes
        self._make_room = make_room
        self._reserve = Reserve(path.with_name("reserve"), self._reserve_bytes)
        self._lock = threading.RLock()
        self._unsaid: list[Observation] = []
        self._ledger: Ledger
        self._home: tuple[int, bool] = (0, True)
        """While in memory: the rows up to here are on disk only; whether the numbers follow the disk's."""
        self._home_pause_ms = HOME_AFTER_MS
        self._home_at_ms: int | None = None
        self._fold_from_row = 0
        self._standing = Standing("", 0, 1, None)
        self._epoch: str | None = None

    @classmethod
    def open(
        cls,
        path: Path,
        machine_id: str,
        *,
        limits: OutboxSettings | None = None,
        make_room: Callable[[], bool] = lambda: False,
    ) -> Outbox:
        """Open the file, or make it. A damaged one is set aside as `<name>.corrupt-N`, and `report` says so.

        `make_room` frees room on a full disk and says whether it did. Raises StorageError for a file that
        must be left alone (somebody else's, a newer agent's, another program's at this moment).
        """
        outbox = cls(path, machine_id, limits, make_room)
        try:
            outbox._open_file()
        except StorageError as error:
            if not error.refuses:
                raise
            outbox._into_memory(error, readable(path), last_row=None)
        outbox._note()
        outbox._reserve.keep()
        return outbox

    def close(self) -> None:
        """Close the file; what was recorded stays."""
        with self._lock:
            self._ledger.close()

    # -- how it stands, without waiting for the disk

    @property
    def standing(self) -> Standing:
        """Stream, numbers and age, all of one moment."""
        return self._standing

    @property
    def stream(self) -> str:
        """The stream these events belong to."""
        return self._standing.stream

    @property
    def highest_seq(self) -> int:
        """The last seq ever given in this stream; 0 before the first."""
        return self._standing.highest_seq

    @property
    def oldest_seq(self) -> int:
        """The lowest event held; one above the highest when none is."""
        return self._standing.oldest_seq

    @property
    def depth(self) -> int:
        """Events held."""
        return self._standing.highest_seq - self._standing.oldest_seq + 1

    @property
    def oldest_unacked_at(self) -> int | None:
        """When the oldest event held was recorded, by the wall clock of then in ms; None: none is held."""
        oldest = self._standing.oldest
        return None if oldest is None else oldest[1]

    def oldest_unacked_s(self, boot: str, mono_ms: int, wall_ms: int) -> float | None:
        """Age in seconds of the oldest event held, by the monotonic clock where the boot is the same."""
        oldest = self._standing.oldest
        if oldest is None:
            return None
        its_boot, at_ms, its_mono_ms = oldest
        age_ms = mono_ms - its_mono_ms if its_boot == boot else wall_ms - at_ms
        return max(0, age_ms) / 1000

    @property
    def epoch(self) -> str | None:
        """The centre's database as last heard."""
        return self._epoch

    # -- events

    def append(
        self,
        observations: Sequence[Observation],
        stamp: Stamp,
        tracked: Mapping[str, bytes] | None = None,
    ) -> list[int]:
        """Put one group on record; see `record`."""
        return self.record([Seen(tuple(observations), stamp, tracked or {})])

    def record(self, groups: Sequence[Seen]) -> list[int]:
        """Put groups on record in one transaction; returns their events' seqs. On disk when it returns.

        A snapshot too big for one event becomes several. Raises StorageError, and LocalError for an
        observation that no event can carry; then nothing is written.
        """
        with self._lock:
            alarm = any(_about_fire(each) for seen in groups for each in seen.observations)
            if alarm and self.trouble is not None and self._reserve.release():
                self._come_home()
            self._keep_to_limit(alarm=alarm)
            try:
                return self._do(lambda ledger: ledger.record(groups))
            except StorageError as error:
                if not error.full or self.trouble is not None:
                    return self._without_disk(error, lambda ledger: ledger.record(groups))
            return self._must(lambda ledger: self._record_where_full(ledger, groups, alarm=alarm))

    def batch(self, first: int, last: int, max_bytes: int, stream: str | None = None) -> Rows:
        """Events `first` to at most `last`: as many as one boot and `max_bytes` of events hold, or one.

        None at all when `stream` is given and is not the present one.
        """
        with self._lock:
            if stream not in (None, self._ledger.stream):
                return Rows("", [], self._ledger.oldest_seq)
            return self._must(lambda ledger: ledger.batch(first, last, max_bytes))

    def urgent(self, above: int = 0, limit: int = 1000) -> list[int]:
        """The newest `limit` urgent events held above a seq, in ascending order."""
        return self._must(lambda ledger: ledger.urgent(above, limit))

    def forget(self, through: int, stream: str | None = None) -> None:
        """The centre has committed every event up to here, of `stream` if that is given."""

        def work(ledger: Ledger) -> None:
            if stream in (None, ledger.stream):
                ledger.forget(through)

        self._do(work)

    def new_stream(self) -> str:
        """Start another stream: what is held gets new numbers from 1 in the old order. Returns its id."""
        self._must(Ledger.new_stream)
        return self.stream

    def tend(self, stamp: Stamp) -> None:
        """Every few seconds: come home from memory, keep the reserve, say what happened."""
        with self._lock:
            if self.trouble is not None:
                if self._home_at_ms is None:
                    self._home_at_ms = stamp.mono_ms + self._home_pause_ms
                elif stamp.mono_ms >= self._home_at_ms:
                    self._home_at_ms = None
                    self._come_home()
            if self.trouble is None:
                self._home_pause_ms = max(HOME_AFTER_MS, self._home_pause_ms - TEND_S * 1000 // 2)
                self._reserve.keep()
                with suppress(StorageError):
                    self._do(Ledger.tidy)
            if self._unsaid:
                said = list(self._unsaid)
                self.record([Seen(tuple(said), stamp)])
                del self._unsaid[: len(said)]

    # -- what is kept beside them

    def tracked(self) -> dict[str, bytes]:
        """The tracker's state as of the last append."""
        return self._must(Ledger.tracked)

    def forget_tracked(self, names: Sequence[str]) -> None:
        """Drop the state of what is no longer configured."""
        self._do(lambda ledger: ledger.forget_tracked(names))

    @property
    def config(self) -> GatewayConfig | None:
        """The last good configuration, or None."""
        payload = self._must(lambda ledger: ledger.value("config"))
        if not isinstance(payload, bytes):
            return None
        try:
            message = decode(Channel.CONFIG, payload)
        except RemoteError:
            return None
        return message if isinstance(message, GatewayConfig) else None

    def save_config(self, config: GatewayConfig | None, standing: bytes) -> None:
        """Remember the configuration that holds (None: the local file's) and how it stands, both at once."""
        payload = b"" if config is None else encode(config)
        self._do(lambda ledger: ledger.keep(config=payload, config_standing=standing))

    @property
    def config_standing(self) -> bytes | None:
        """How the configuration stands, as `probation` encodes it; None before the first."""
        kept = self._must(lambda ledger: ledger.value("config_standing"))
        return kept if isinstance(kept, bytes) else None

    def save_epoch(self, epoch: str) -> None:
        """Remember the centre's database."""
        self._epoch = epoch
        self._do(lambda ledger: ledger.keep(epoch=epoch))

    def command_done(self, command: str) -> None:
        """Remember that this command was taken: call it before doing it, so that none is done twice."""
        self._must(lambda ledger: ledger.command_done(command))

    def was_done(self, command: str) -> bool:
        """Whether this command was taken before."""
        return self._must(lambda ledger: ledger.was_done(command))

    # -- room

    @property
    def used_bytes(self) -> int:
        """What the events on disk take."""
        with self._lock:
            return self._ledger.used_bytes if self.trouble is None else 0

    def _keep_to_limit(self, *, alarm: bool) -> None:
        """Fold repeats before the limit is reached. Raises StorageError when only alarms may still come."""
        ordinary = self._ordinary()
        if self._must(lambda ledger: ledger.used_bytes) < ordinary:
            return
        if self._ledger.last_row >= self._fold_from_row:
            while self._do(Ledger.fold) and self._ledger.used_bytes > ordinary * 0.8:
                continue
            if self._ledger.used_bytes > ordinary * 0.8:  # little repeats itself: not looked at for a while
                self._fold_from_row = self._ledger.last_row + _FOLD_AGAIN_AFTER
        if not alarm and self._ledger.used_bytes >= ordinary:
            raise StorageError(f"outbox {self.path}: full of alarms that the centre has not taken yet")

    def _ordinary(self) -> float:
        """Bytes that events of all kinds may take."""
        most = self._max_bytes if self.trouble is None else MEMORY_BYTES
        return math.inf if most is None else most * (1 - ALARMS_OWN)

    def _record_where_full(self, ledger: Ledger, groups: Sequence[Seen], *, alarm: bool) -> list[int]:
        """Make room step by step: the log, repeats, readings, and for an alarm the reserve."""
        steps = [ledger.settle, self._make_room]
        if self.trouble is None and self._max_bytes is not None:
            steps.insert(0, lambda: ledger.used_bytes > self._ordinary() * 0.8 and ledger.fold() > 0)
        if alarm:
            steps.append(self._reserve.release)
        for freed in steps if self.trouble is None else ():
            if freed():
                ledger.settle()  # a little room lets the log give back more
                try:
                    return ledger.record(groups)
                except StorageError as error:
                    if not error.full:
                        raise
        return ledger.record(groups)

    # -- inside

    def _do(self, work: Callable[[Ledger], T]) -> T:
        """Do it; a file that shows damage is mended first and the work done then."""
        with self._lock:
            try:
                return work(self._ledger)
            except StorageError as error:
                if not error.damaged or self.trouble is not None:
                    raise
                self._mend(error)
                return work(self._ledger)
            finally:
                self._note()

    def _must(self, work: Callable[[Ledger], T]) -> T:
        """Do it, if need be in memory."""
        with self._lock:
            try:
                return self._do(work)
            except StorageError as error:
                return self._without_disk(error, work)

    def _without_disk(self, error: StorageError, work: Callable[[Ledger], T]) -> T:
        if not error.refuses or self.trouble is not None:
            raise error
        try:
            held = self._ledger.contents()
        except StorageError:
            held = None
        ledger = self._ledger
        self._into_memory(error, held, last_row=ledger.last_row)
        ledger.close()
        return self._do(work)

    def _note(self) -> None:
        """Remember how it stands; an outbox that cannot be read stands as it last did."""
        with suppress(StorageError):
            ledger = self._ledger
            self._standing = Standing(ledger.stream, ledger.highest_seq, ledger.oldest_seq, ledger.oldest())

    def _open_file(self, damage: str | None = None) -> None:
        db, report = open_sound(self.path, self._max_bytes, damage)
        try:
            ledger = Ledger(db, self.path)
            machine = ledger.value("machine")
            if machine != self._machine or not ledger.stream:
                ledger.new_stream()
                ledger.keep(machine=self._machine)
                if machine is not None:
                    report = report or f"outbox {self.path} is from another machine: a new stream"
            epoch = ledger.value("epoch")
        except BaseException:
            db.close()
            raise
        self._ledger = ledger
        self._epoch = epoch if isinstance(epoch, str) else self._epoch
        self._tell(report)

    def _tell(self, report: str | None) -> None:
        if report is not None:
            self.report = report
            self._unsaid.append(Observation(EventKind.NOTE, text=report[:500]))

    def _mend(self, error: StorageError) -> None:
        ledger = self._ledger
        ledger.close()
        try:
            self._open_file(damage=str(error))
        except StorageError as worse:
            self._into_memory(worse, readable(self.path), last_row=ledger.last_row)

    def _into_memory(self, why: StorageError, held: Contents | None, last_row: int | None) -> None:
        """Go on without the disk, with what is held there as far as it can be read and there is room."""
        memory = Ledger.in_memory(MEMORY_BYTES, last_row or 0)
        self._home = (last_row or 0, last_row is not None)
        if held is not None:
            try:
                memory.restore(held)
                memory.new_stream()
                self._home = (0, True)
            except StorageError:  # not readable to the end, or too much: these stay on the disk meanwhile
                memory.close()
                memory = Ledger.in_memory(MEMORY_BYTES, last_row or 0)
        memory.keep(machine=self._machine)
        self._ledger = memory
        self._home_at_ms = None
        self.trouble = str(why)
        text = f"存储故障，事件暂存内存 / storage fails, events are kept in memory: {why}"
        self._unsaid.append(Observation(EventKind.ASSERT, Condition.STORAGE, text=text[:500]))

    def _come_home(self) -> None:
        """Put on disk what is in memory, if the disk takes it; else try later."""
        memory, (on_disk_only, numbers_follow) = self._ledger, self._home
        self._home_pause_ms = min(2 * self._home_pause_ms, HOME_AT_MOST_MS)
        try:
            if free_bytes(self.path.parent) < memory.used_bytes + self._reserve_bytes // 4:
                return
            self._open_file()
        except (StorageError, OSError):
            return
        disk = self._ledger
        try:
            if numbers_follow:
                disk.restore(memory.contents(), above=on_disk_only)
            else:
                disk.restore(memory.contents(), above=disk.last_row, shift=disk.last_row)
        except StorageError:
            disk.close()
            self._ledger = memory
            return
        memory.close()
        self.trouble = None
        self._note()
        text = "存储恢复 / the disk takes events again"
        self._unsaid.append(Observation(EventKind.CLEAR, Condition.STORAGE, text=text))


def _about_fire(seen: Observation) -> bool:
    return seen.condition in URGENT
