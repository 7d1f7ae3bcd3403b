-- The agent's one durable file. A row of `event` is on record: it leaves only when the centre has committed it.
-- `row` counts for ever and is never used again, also when the table is empty: `meta.last_row` is written in the
-- same transaction. On the wire an event's seq is `row - meta.base`; a new stream moves the base, not the rows.

CREATE TABLE meta (
    name TEXT PRIMARY KEY,
    value NOT NULL
) WITHOUT ROWID;

-- Each row stands for itself (no key into another table), so that what a damaged file still shows can be used.
CREATE TABLE event (
    row INTEGER PRIMARY KEY,
    boot TEXT NOT NULL,
    at_ms INTEGER NOT NULL,
    mono_ms INTEGER NOT NULL,
    urgent INTEGER NOT NULL,
    body BLOB NOT NULL,
    fire INTEGER NOT NULL DEFAULT 1 -- about smoke, heat or a test: never folded. Since version 2.
);

CREATE INDEX event_urgent ON event (row) WHERE urgent = 1;

-- What the tracker knows of each detector and bus, written with the events it gave rise to.
CREATE TABLE tracked (
    name TEXT PRIMARY KEY,
    state BLOB NOT NULL
) WITHOUT ROWID;

-- Commands already taken, so that none is done twice; the oldest are dropped.
CREATE TABLE command (
    number INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE
);
