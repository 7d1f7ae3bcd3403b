"""The audit log: who changed what, and who looked at whom. Law of this file: it only ever grows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from psycopg.rows import DictRow
from psycopg.types.json import Jsonb

from central.store.pool import Tx
from central.store.sql import queries

_SQL = queries("audit")


async def note(
    tx: Tx,
    *,
    who: str,
    action: str,
    subject: str = "",
    from_where: str = "",
    detail: Mapping[str, Any] | None = None,
) -> None:
    """Write one row in this transaction: what is done and what is noted come together or not at all."""
    await tx.conn.execute(
        _SQL["add"],
        {
            "at": tx.now,
            "who": who,
            "from_where": from_where[:200],
            "action": action,
            "subject": subject,
            "detail": Jsonb(dict(detail or {})),
        },
    )


async def note_all(
    tx: Tx,
    subjects: Sequence[tuple[str, Mapping[str, Any]]],
    *,
    who: str,
    action: str,
    from_where: str = "",
    detail: Mapping[str, Any],
) -> None:
    """One row for each subject, with its own detail besides the common one."""
    if subjects:
        values = {
            "at": tx.now,
            "who": who,
            "from_where": from_where[:200],
            "action": action,
            "subjects": [subject for subject, _ in subjects],
            "details": [Jsonb({**detail, **own}) for _, own in subjects],
        }
        await tx.conn.execute(_SQL["add_all"], values)


async def about(tx: Tx, subject: str) -> list[DictRow]:
    """All that is noted about a subject such as `resident:r-1`, oldest first."""
    return await (await tx.conn.execute(_SQL["about"], {"subject": subject})).fetchall()
