-- depends: 0012_trends
-- Several alarms in one message: what one address of a channel bears, and links to more than one alarm.

CREATE TABLE pace (
    -- A bucket for each address: how many more messages may go out now. Shared by all workers.
    channel text NOT NULL,
    address text NOT NULL,
    urgent boolean NOT NULL,
    tokens double precision NOT NULL,
    granted int NOT NULL,              -- by the last request
    at timestamptz NOT NULL,
    PRIMARY KEY (channel, address, urgent)
);

-- Each lane of the worker asks for its own channel: what waits for others must cost it nothing.
DROP INDEX delivery_due;
CREATE INDEX delivery_waiting ON delivery (channel, urgent, due_at) WHERE state IN ('pending', 'sending');

CREATE TABLE link_alarm (
    -- The further alarms of a link, in the order of its message.
    hash bytea NOT NULL REFERENCES link ON DELETE CASCADE,
    alarm bigint NOT NULL REFERENCES alarm,
    position int NOT NULL,
    PRIMARY KEY (hash, alarm)
);
