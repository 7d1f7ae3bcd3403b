-- depends: 0001_registry
-- What gateways said: events, readings, cursors, gaps, quarantine, leases.

CREATE TABLE lane (
    -- The end of the contiguous part of each lane of each stream.
    gateway text NOT NULL,
    stream text NOT NULL,
    lane text NOT NULL CHECK (lane IN ('events', 'readings')),
    cursor bigint NOT NULL CHECK (cursor >= 0),
    area text NOT NULL,
    first_at timestamptz NOT NULL,
    last_at timestamptz NOT NULL,
    PRIMARY KEY (gateway, stream, lane)
);

CREATE TABLE event (
    -- Each (gateway, stream, seq) once, whoever brings it and in whatever order.
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    area text NOT NULL,
    gateway text NOT NULL,
    stream text NOT NULL,
    seq bigint NOT NULL CHECK (seq >= 1),
    digest bytea NOT NULL,
    kind text NOT NULL,
    condition text,
    detector text,
    bus text,
    value double precision,
    event_at timestamptz NOT NULL,     -- corrected
    quality text NOT NULL,             -- how event_at was found: exact, aged, raw, received
    raw_at timestamptz NOT NULL,       -- the agent's own stamp
    received_at timestamptz NOT NULL,
    recorded_at timestamptz NOT NULL,
    boot text NOT NULL,
    mono_ms bigint NOT NULL,
    config_version bigint NOT NULL,
    body bytea NOT NULL,               -- the event as it came, encoded
    failed text,                       -- why it could not be processed; null when it was
    UNIQUE (gateway, stream, seq)
);
CREATE INDEX ON event (detector, event_at) WHERE detector IS NOT NULL;
CREATE INDEX ON event (gateway, event_at);

CREATE TABLE data_gap (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    gateway text NOT NULL,
    stream text NOT NULL,
    lane text NOT NULL,
    from_seq bigint NOT NULL,
    to_seq bigint NOT NULL,
    noted_at timestamptz NOT NULL
);
CREATE INDEX ON data_gap (gateway, noted_at);

CREATE TABLE quarantine (
    -- What could not be read, with the reason; payload cut at 64 kB.
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    received_at timestamptz NOT NULL,
    topic text NOT NULL,
    gateway text,
    reason text NOT NULL,
    payload bytea NOT NULL
);
CREATE INDEX ON quarantine (received_at);

CREATE TABLE readings (
    -- A hypertable by `at` where TimescaleDB is present (central.store.edition).
    at timestamptz NOT NULL,
    received_at timestamptz NOT NULL,
    gateway text NOT NULL,
    detector text NOT NULL,
    smoke real,
    temperature real,
    battery real,
    contamination real,
    status integer
);
CREATE INDEX readings_detector_at ON readings (detector, at DESC);

CREATE TABLE source (
    -- What each source last said about each condition: the state that alarms, snapshots and screens are judged by.
    gateway text NOT NULL,
    part text NOT NULL,                -- detector id, 'bus:' || bus, or '' for the gateway itself
    condition text NOT NULL,
    state text NOT NULL CHECK (state IN ('present', 'absent', 'unknown')),
    stream text NOT NULL,
    seq bigint NOT NULL,               -- order within the stream; an older one changes nothing
    event_at timestamptz NOT NULL,
    PRIMARY KEY (gateway, part, condition)
);
CREATE INDEX ON source (part);

CREATE TABLE lease (
    -- Proof of life of each gateway, on the server's clock.
    gateway text PRIMARY KEY REFERENCES gateway,
    heard_at timestamptz NOT NULL,     -- the last live heartbeat (never a retained one, never a will)
    deaf interval NOT NULL,            -- ear.deaf when it was heard: time in which we could not hear does not count
    silent_since timestamptz,
    said_goodbye boolean NOT NULL DEFAULT false,   -- a last will came: a hint for people, no proof
    status jsonb NOT NULL DEFAULT '{}'
);
CREATE INDEX ON lease (heard_at) WHERE silent_since IS NULL;

CREATE TABLE ear (
    -- Whether ingest could hear at all. `deaf` only grows: the sum of all spans in which nobody listened.
    area text PRIMARY KEY,             -- '' when one ingest serves all areas
    heard_at timestamptz NOT NULL,
    deaf interval NOT NULL DEFAULT interval '0'
);
