-- depends: 0022_onlookers
-- How far the server's clock had come: who finds it earlier than this knows that it was set back.

CREATE TABLE clock_seen (
    sole boolean PRIMARY KEY DEFAULT true CHECK (sole),
    at timestamptz NOT NULL
);
