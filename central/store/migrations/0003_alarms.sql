-- depends: 0002_events
-- Alarms, what is due, deliveries and their attempts, links.

CREATE TABLE alarm (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    condition text NOT NULL,
    severity text NOT NULL CHECK (severity IN ('life', 'unwatched', 'care', 'note')),
    area text NOT NULL,
    grid text,
    building text,
    household text,
    placement bigint REFERENCES placement,
    gateway text,
    part text NOT NULL,                -- as in source; '' for the gateway itself or the centre
    address_known boolean NOT NULL DEFAULT true,
    state text NOT NULL CHECK (state IN ('active_unacknowledged', 'active_acknowledged', 'active_unknown',
        'cleared_unacknowledged', 'cleared_acknowledged', 'closed')),
    round int NOT NULL DEFAULT 1,
    late boolean NOT NULL DEFAULT false,   -- told more than 60 s after it happened
    opened_at timestamptz NOT NULL,
    event_at timestamptz NOT NULL,
    event bigint REFERENCES event,
    cleared_at timestamptz,
    acknowledged_at timestamptz,
    acknowledged_by text,
    on_way_at timestamptz,
    closed_at timestamptz,
    closed_by text,
    disposition text CHECK (disposition IN ('real_fire', 'false_alarm', 'test', 'maintenance', 'device_fault',
        'returned_to_normal')),
    cause text,
    remark text NOT NULL DEFAULT '',
    linked_to bigint REFERENCES alarm,
    detail jsonb NOT NULL DEFAULT '{}',
    CHECK ((state = 'closed') = (closed_at IS NOT NULL)),
    CHECK (state <> 'closed' OR disposition IS NOT NULL)
);
CREATE UNIQUE INDEX alarm_open ON alarm (coalesce(gateway, ''), part, condition) WHERE state <> 'closed';
CREATE INDEX ON alarm (opened_at);
CREATE INDEX ON alarm (household, opened_at) WHERE household IS NOT NULL;

CREATE TABLE alarm_log (
    -- Every transition and act: who, when, from where, why. Never updated. Its id is the SSE event id.
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    alarm bigint NOT NULL REFERENCES alarm,
    at timestamptz NOT NULL,
    what text NOT NULL,                -- opened, re_asserted, cleared, source_unknown, acknowledged, on_way, closed, step, ...
    from_state text,
    to_state text,
    who text NOT NULL,                 -- worker id, token name, or 'system'
    from_where text NOT NULL DEFAULT '',
    reason text NOT NULL,              -- central.engine.model.Reason
    event bigint REFERENCES event,
    detail jsonb NOT NULL DEFAULT '{}'
);
CREATE INDEX ON alarm_log (alarm, id);

CREATE TABLE due (
    -- Work that must happen at a time. Rows hold the truth; timers only look here.
    alarm bigint NOT NULL REFERENCES alarm,
    kind text NOT NULL CHECK (kind IN ('step', 'disposition', 'still_active')),
    round int NOT NULL,
    step int NOT NULL,
    due_at timestamptz NOT NULL,
    PRIMARY KEY (alarm, kind)
);
CREATE INDEX ON due (due_at);

CREATE TABLE delivery (
    -- One message to one person by one channel. `key` makes it once in effect.
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    key text NOT NULL UNIQUE,          -- alarm, purpose, round, step, person, channel
    alarm bigint NOT NULL REFERENCES alarm,
    purpose text NOT NULL CHECK (purpose IN ('alarm', 'disposition', 'cleared', 'closed')),
    round int NOT NULL,
    step int NOT NULL,
    worker text NOT NULL REFERENCES worker,
    rank int NOT NULL,
    channel text NOT NULL,
    address text NOT NULL,
    urgent boolean NOT NULL,           -- smoke and heat go first
    state text NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'sending', 'sent', 'failed')),
    attempts int NOT NULL DEFAULT 0,
    made_at timestamptz NOT NULL,
    due_at timestamptz NOT NULL,       -- next try
    claimed_until timestamptz,         -- while sending: after this the claimer is taken for dead
    sent_at timestamptz
);
CREATE INDEX delivery_due ON delivery (urgent DESC, due_at) WHERE state IN ('pending', 'sending');
CREATE INDEX ON delivery (alarm);

CREATE TABLE attempt (
    delivery bigint NOT NULL REFERENCES delivery,
    number int NOT NULL,
    started_at timestamptz NOT NULL,
    finished_at timestamptz,
    outcome text CHECK (outcome IN ('sent', 'temporary', 'permanent', 'rate_limited', 'died')),
    provider_id text,
    error text,
    PRIMARY KEY (delivery, number)
);

CREATE TABLE link (
    -- A short random address for one person and one alarm; only its hash is kept.
    hash bytea PRIMARY KEY,
    alarm bigint NOT NULL REFERENCES alarm,
    worker text NOT NULL REFERENCES worker,
    delivery bigint REFERENCES delivery,
    made_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    revoked_at timestamptz
);
CREATE INDEX ON link (alarm);
