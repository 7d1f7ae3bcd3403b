-- depends: 0021_receipts
-- People outside and residents' families: told, but never those who take an alarm.

ALTER TABLE worker DROP CONSTRAINT worker_role_check;
ALTER TABLE worker ADD CONSTRAINT worker_role_check CHECK (role IN ('grid_worker', 'community_lead', 'dispatcher',
    'installer', 'administrator', 'volunteer', 'auditor', 'outside', 'family'));
