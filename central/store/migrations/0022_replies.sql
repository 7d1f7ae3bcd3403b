-- depends: 0016_sweep 0021_receipts
-- What people who wrote back are answered.

CREATE TABLE answer (
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
