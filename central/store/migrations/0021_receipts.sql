-- depends: 0020_canary
-- What providers tell afterwards, and by when a message that was sent must have its receipt.

ALTER TABLE delivery ADD COLUMN receipt text NOT NULL DEFAULT ''
    CHECK (receipt IN ('', 'received', 'failed', 'none'));     -- none: it did not come in time
ALTER TABLE delivery ADD COLUMN receipt_due_at timestamptz;    -- until then it is waited for
CREATE INDEX delivery_receipt_due ON delivery (receipt_due_at) WHERE receipt_due_at IS NOT NULL;
CREATE INDEX attempt_provider ON attempt (provider_id) WHERE provider_id IS NOT NULL;

CREATE TABLE receipt (
    -- Each thing that a provider told, once, with what it led to. Neither numbers nor texts of people.
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    channel text NOT NULL,
    once text NOT NULL,                -- what was told about which message: told again it counts no second time
    at timestamptz NOT NULL,
    times int NOT NULL DEFAULT 1,
    outcome text NOT NULL DEFAULT '',
    UNIQUE (channel, once)
);
CREATE INDEX ON receipt (at);

CREATE TABLE answer (
    -- What people who wrote back are told.
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    channel text NOT NULL,
    address text NOT NULL,
    language text NOT NULL,
    text text NOT NULL,
    made_at timestamptz NOT NULL,
    due_at timestamptz NOT NULL,
    state text NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'sending', 'sent', 'failed')),
    attempts int NOT NULL DEFAULT 0,
    claimed_until timestamptz,
    why text NOT NULL DEFAULT ''       -- of what was not sent
);
CREATE INDEX ON answer (due_at) WHERE state IN ('pending', 'sending');
