-- depends: 0017_acts
-- When detectors are worked on, out of service or tried out: a filter of messages, never of states.

CREATE TABLE notice_window (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind text NOT NULL CHECK (kind IN ('maintenance', 'out_of_service', 'walk_test')),
    area text NOT NULL REFERENCES area,
    begins timestamptz NOT NULL,
    ends timestamptz NOT NULL CHECK (ends > begins),   -- of what is out of service: when it is looked at again
    why text NOT NULL,
    person text REFERENCES worker,                     -- on site
    made_at timestamptz NOT NULL,
    made_by text NOT NULL,
    ended_at timestamptz,                              -- by hand, before its end
    ended_by text,
    CHECK (kind = 'out_of_service' OR person IS NOT NULL),
    CHECK (kind <> 'walk_test' OR ends <= begins + interval '30 minutes')
);
CREATE INDEX notice_window_open ON notice_window (ends) WHERE ended_at IS NULL;

CREATE TABLE notice_window_detector (
    -- By name, one after the other: a whole line or gateway cannot be meant.
    notice_window bigint NOT NULL REFERENCES notice_window,
    detector text NOT NULL REFERENCES detector,
    PRIMARY KEY (detector, notice_window)
);
CREATE INDEX ON notice_window_detector (notice_window);

CREATE TABLE held_smoke (
    -- Smoke that is taken for a walk test's: at `due_at` it is smoke.
    gateway text NOT NULL,
    part text NOT NULL,
    condition text NOT NULL CHECK (condition IN ('smoke', 'heat')),
    notice_window bigint NOT NULL REFERENCES notice_window,
    area text NOT NULL,
    event bigint NOT NULL,
    event_at timestamptz NOT NULL,
    due_at timestamptz NOT NULL,
    PRIMARY KEY (gateway, part, condition)
);
CREATE INDEX ON held_smoke (due_at);

CREATE TABLE gateway_command (
    -- wire.messages.Command for gateways: published once, never after its time.
    id text PRIMARY KEY CHECK (id ~ '^[0-9a-f]{32}$'),
    gateway text NOT NULL REFERENCES gateway,
    body bytea NOT NULL,
    made_at timestamptz NOT NULL,
    made_by text NOT NULL,
    expires_at timestamptz NOT NULL,
    published_at timestamptz
);
CREATE INDEX ON gateway_command (expires_at) WHERE published_at IS NULL;
