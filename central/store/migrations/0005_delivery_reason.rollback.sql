DROP INDEX delivery_worker_alarm_idx;
UPDATE delivery SET state = 'failed' WHERE state = 'cancelled';
ALTER TABLE delivery DROP COLUMN reason;
ALTER TABLE delivery DROP CONSTRAINT delivery_state_check;
ALTER TABLE delivery ADD CONSTRAINT delivery_state_check CHECK (state IN ('pending', 'sending', 'sent', 'failed'));
