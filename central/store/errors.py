"""Errors of the store, named by what the caller must do. psycopg's own never leave this room."""

from __future__ import annotations


class StoreError(Exception):
    """The database did not do what was asked."""


class StoreDown(StoreError):  # noqa: N818 -- a state, said as one
    """It cannot be reached, or went away: try again later."""


class StoreConflict(StoreError):  # noqa: N818
    """Another transaction was first (serialisation, deadlock, lock timeout): run the transaction again."""


class StoreRefused(StoreError):  # noqa: N818
    """A rule of the schema forbids it (unique, foreign key, check): a caller's or a person's mistake."""


class StoreUnfit(StoreError):  # noqa: N818
    """A value cannot be kept, such as U+0000 in a text or a number too large: a caller's mistake."""


class StoreNewer(StoreError):  # noqa: N818
    """It was made by a newer version of this program, which the text names: install that one."""
