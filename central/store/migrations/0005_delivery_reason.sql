-- depends: 0003_alarms
-- A message that nobody needs any more is called off, which is not a failure; and why it ended is said.

ALTER TABLE delivery DROP CONSTRAINT delivery_state_check;
ALTER TABLE delivery ADD CONSTRAINT delivery_state_check
    CHECK (state IN ('pending', 'sending', 'sent', 'failed', 'cancelled'));
ALTER TABLE delivery ADD COLUMN reason text NOT NULL DEFAULT '';   -- why it failed or was called off
CREATE INDEX ON delivery (worker, alarm);
