-- depends: 0007_phone
-- What is asked of a source's alarms with every event: the open ones of a detector, the last one that was closed.
CREATE INDEX alarm_source ON alarm (coalesce(gateway, ''), part, condition, closed_at);
CREATE INDEX alarm_open_part ON alarm (part) WHERE state <> 'closed';
