DROP INDEX delivery_waiting;
CREATE INDEX delivery_due ON delivery (urgent DESC, due_at) WHERE state IN ('pending', 'sending');
DROP TABLE link_alarm, pace;
