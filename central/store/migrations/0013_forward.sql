-- depends: 0012_trends
-- Alarms passed on to fire-brigade centres by GB/T 26875.3: who they are, what waits for each, and by which address
-- each detector is known there.

CREATE TABLE forward_centre (
    -- As the configuration has it; written by the process that speaks to it, read by whoever opens alarms.
    id text PRIMARY KEY CHECK (id ~ '^[a-z0-9-]{1,32}$'),
    area text NOT NULL,                -- '' for all
    only_firm boolean NOT NULL,        -- only fires that a person has confirmed or that have been raised
    active boolean NOT NULL,
    serial int NOT NULL DEFAULT 0 CHECK (serial BETWEEN 0 AND 65535), -- of the next packet; goes on after a restart
    since timestamptz NOT NULL,
    proved_at timestamptz              -- when it last confirmed anything
);

CREATE TABLE forward_address (
    -- Never changed and never given again, also when a detector moves or is scrapped.
    component text PRIMARY KEY,        -- detector id, or gateway/part of smoke that no detector was named for
    area text NOT NULL,
    building text NOT NULL,            -- '' where it was unknown when the address was given
    system int NOT NULL CHECK (system BETWEEN 0 AND 255),
    zone int NOT NULL CHECK (zone BETWEEN 0 AND 65535),
    point int NOT NULL CHECK (point BETWEEN 0 AND 65535),
    given_at timestamptz NOT NULL,
    UNIQUE (system, zone, point)
);

CREATE TABLE forward (
    -- One piece of news for one centre, written with the change of the alarm that it tells of; stays until the centre
    -- has confirmed it, and after that for the record.
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    centre text NOT NULL REFERENCES forward_centre,
    alarm bigint NOT NULL REFERENCES alarm,
    what text NOT NULL CHECK (what IN ('fire', 'state', 'over', 'confirm', 'analogue', 'roll_call')),
    round int NOT NULL,
    urgent boolean NOT NULL,
    happened_at timestamptz NOT NULL,
    made_at timestamptz NOT NULL,
    due_at timestamptz NOT NULL,
    serial int CHECK (serial BETWEEN 0 AND 65535), -- of the exchange that is under way
    failed int NOT NULL DEFAULT 0,     -- exchanges that ended without a confirmation
    sent_at timestamptz,               -- first
    confirmed_at timestamptz,
    UNIQUE (centre, alarm, what, round)
);
CREATE INDEX forward_waiting ON forward (centre, urgent, id) WHERE confirmed_at IS NULL;
CREATE INDEX ON forward (alarm);
