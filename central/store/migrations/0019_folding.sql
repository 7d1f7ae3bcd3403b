-- depends: 0018_windows
-- One fault, one message: which alarms are not told because another stands for them, and since when things are back.

CREATE TABLE fold (
    -- An open alarm that nobody is told of, because its parent is. State is never folded, only messages.
    alarm bigint PRIMARY KEY REFERENCES alarm,
    parent bigint NOT NULL REFERENCES alarm
);
CREATE INDEX ON fold (parent);
CREATE INDEX alarm_parent ON alarm (condition) WHERE state <> 'closed' AND condition IN ('system', 'unstable');

ALTER TABLE lease ADD COLUMN back_at timestamptz;      -- when it was last heard again after a silence
ALTER TABLE ear ADD COLUMN deaf_until timestamptz;     -- when we last heard again
CREATE INDEX lease_silent ON lease (silent_since) WHERE silent_since IS NOT NULL;
