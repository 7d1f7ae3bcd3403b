-- The registry: places, people, gateways, detectors, and who may ask.

CREATE TABLE epoch (
    -- One row. A database that was restored or replaced gets another value (admin new-epoch).
    sole boolean PRIMARY KEY DEFAULT true CHECK (sole),
    epoch text NOT NULL CHECK (epoch ~ '^[0-9a-f]{32}$'),
    since timestamptz NOT NULL
);

CREATE TABLE area (
    id text PRIMARY KEY CHECK (id ~ '^[a-z0-9-]{1,32}$'),
    name text NOT NULL
);

CREATE TABLE community (
    id text PRIMARY KEY CHECK (id ~ '^[a-z0-9-]{1,32}$'),
    area text NOT NULL REFERENCES area,
    name text NOT NULL
);

CREATE TABLE grid (
    id text PRIMARY KEY CHECK (id ~ '^[a-z0-9-]{1,32}$'),
    community text NOT NULL REFERENCES community,
    name text NOT NULL,
    lon double precision,
    lat double precision
);

CREATE TABLE building (
    id text PRIMARY KEY CHECK (id ~ '^[a-z0-9-]{1,32}$'),
    grid text NOT NULL REFERENCES grid,
    name text NOT NULL,
    address text NOT NULL DEFAULT '',
    floors int CHECK (floors BETWEEN 1 AND 200),
    lon double precision,
    lat double precision
);

CREATE TABLE household (
    id text PRIMARY KEY CHECK (id ~ '^[a-z0-9-]{1,32}$'),
    building text NOT NULL REFERENCES building,
    unit text NOT NULL DEFAULT '',
    floor int,
    room text NOT NULL
);

CREATE TABLE resident (
    id text PRIMARY KEY CHECK (id ~ '^[a-z0-9-]{1,32}$'),
    household text NOT NULL REFERENCES household,
    name text NOT NULL,
    birth_year int CHECK (birth_year BETWEEN 1900 AND 2100),
    phone text NOT NULL DEFAULT '',
    lives_alone boolean NOT NULL DEFAULT true,
    needs text NOT NULL DEFAULT '',   -- what to bring: bedridden, oxygen, hard of hearing, key with neighbour ...
    family_name text NOT NULL DEFAULT '',
    family_phone text NOT NULL DEFAULT ''
);
CREATE INDEX ON resident (household);

CREATE TABLE worker (
    id text PRIMARY KEY CHECK (id ~ '^[a-z0-9-]{1,32}$'),
    area text NOT NULL REFERENCES area,
    name text NOT NULL,
    role text NOT NULL CHECK (role IN ('grid_worker', 'community_lead', 'dispatcher', 'installer',
                                       'administrator', 'volunteer', 'auditor')),
    community text REFERENCES community,
    language text NOT NULL DEFAULT 'zh' CHECK (language IN ('zh', 'en')),
    active boolean NOT NULL DEFAULT true
);

CREATE TABLE worker_grid (
    worker text NOT NULL REFERENCES worker,
    grid text NOT NULL REFERENCES grid,
    duty text NOT NULL CHECK (duty IN ('primary', 'backup')),
    PRIMARY KEY (worker, grid)
);
CREATE INDEX ON worker_grid (grid);

CREATE TABLE contact (
    -- How a worker is reached; `rank` is the order in which channels are tried.
    worker text NOT NULL REFERENCES worker,
    rank int NOT NULL CHECK (rank >= 0),
    channel text NOT NULL,
    address text NOT NULL,
    PRIMARY KEY (worker, rank)
);

CREATE TABLE gateway (
    id text PRIMARY KEY CHECK (id ~ '^[a-z0-9-]{1,32}$'),
    area text NOT NULL REFERENCES area,
    name text NOT NULL DEFAULT '',
    building text REFERENCES building,
    registered_at timestamptz NOT NULL,
    registered_by text NOT NULL,
    retired_at timestamptz
);

CREATE TABLE bus (
    gateway text NOT NULL REFERENCES gateway,
    id text NOT NULL CHECK (id ~ '^[a-z0-9-]{1,32}$'),
    settings jsonb NOT NULL,          -- wire.messages.BusConfig without `bus` and `detectors`
    PRIMARY KEY (gateway, id)
);

CREATE TABLE detector (
    -- The permanent id; never a bus address.
    id text PRIMARY KEY CHECK (id ~ '^[a-z0-9-]{1,32}$'),
    profile text NOT NULL,
    serial_number text NOT NULL DEFAULT '',
    scrapped_at timestamptz
);

CREATE TABLE placement (
    -- Where a detector hangs, from when to when. The home of an alarm is the placement valid at its event.
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    detector text NOT NULL REFERENCES detector,
    household text NOT NULL REFERENCES household,
    gateway text NOT NULL,
    bus text NOT NULL,
    unit int NOT NULL CHECK (unit BETWEEN 1 AND 247),
    point int CHECK (point BETWEEN 1 AND 65535),
    spot text NOT NULL DEFAULT '',    -- kitchen, bedroom ...
    allow_writes boolean NOT NULL DEFAULT false,
    from_at timestamptz NOT NULL,
    to_at timestamptz CHECK (to_at > from_at),
    FOREIGN KEY (gateway, bus) REFERENCES bus
);
CREATE UNIQUE INDEX placement_current_detector ON placement (detector) WHERE to_at IS NULL;
CREATE UNIQUE INDEX placement_current_address ON placement (gateway, bus, unit, coalesce(point, 0)) WHERE to_at IS NULL;
CREATE INDEX ON placement (detector, from_at);
CREATE INDEX ON placement (household) WHERE to_at IS NULL;

CREATE TABLE gateway_config (
    -- Every configuration ever pushed; the highest version is the desired one.
    gateway text NOT NULL REFERENCES gateway,
    version bigint NOT NULL CHECK (version >= 1),
    hash text NOT NULL,
    body bytea NOT NULL,              -- encoded wire.messages.GatewayConfig
    made_at timestamptz NOT NULL,
    made_by text NOT NULL,
    published_at timestamptz,
    applied_at timestamptz,
    refused text,
    PRIMARY KEY (gateway, version)
);

CREATE TABLE api_token (
    -- Only the hash of a token is kept.
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    hash bytea NOT NULL UNIQUE,
    name text NOT NULL,
    role text NOT NULL CHECK (role IN ('administrator', 'dispatcher', 'installer', 'viewer')),
    worker text REFERENCES worker,
    made_at timestamptz NOT NULL,
    expires_at timestamptz,
    revoked_at timestamptz
);

CREATE TABLE audit (
    -- Every change by a person and every look at a resident's personal data. Never updated.
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL,
    who text NOT NULL,
    from_where text NOT NULL DEFAULT '',
    action text NOT NULL,
    subject text NOT NULL DEFAULT '',
    detail jsonb NOT NULL DEFAULT '{}'
);
CREATE INDEX ON audit (subject, at);
