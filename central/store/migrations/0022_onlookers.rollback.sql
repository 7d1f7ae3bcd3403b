DELETE FROM contact WHERE worker IN (SELECT id FROM worker WHERE role = 'family');
UPDATE worker SET role = 'auditor', name = '-', active = false WHERE role = 'family';
UPDATE worker SET role = 'volunteer' WHERE role = 'outside';
ALTER TABLE worker DROP CONSTRAINT worker_role_check;
ALTER TABLE worker ADD CONSTRAINT worker_role_check CHECK (role IN ('grid_worker', 'community_lead', 'dispatcher',
    'installer', 'administrator', 'volunteer', 'auditor'));
