DROP INDEX lease_silent, alarm_parent;
ALTER TABLE ear DROP COLUMN deaf_until;
ALTER TABLE lease DROP COLUMN back_at;
DROP TABLE fold;
