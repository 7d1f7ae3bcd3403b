DELETE FROM attempt WHERE delivery IN (SELECT id FROM delivery WHERE purpose IN ('offer', 'owner', 'raised'));
UPDATE link SET delivery = NULL WHERE delivery IN (SELECT id FROM delivery WHERE purpose IN ('offer', 'owner', 'raised'));
DELETE FROM delivery WHERE purpose IN ('offer', 'owner', 'raised');
ALTER TABLE delivery DROP CONSTRAINT delivery_purpose_check;
ALTER TABLE delivery ADD CONSTRAINT delivery_purpose_check CHECK (purpose IN ('alarm', 'disposition', 'cleared', 'closed'));
ALTER TABLE alarm DROP COLUMN on_scene_at, DROP COLUMN offered_to, DROP COLUMN offered_by, DROP COLUMN offered_at,
    DROP COLUMN handovers, DROP COLUMN grade, DROP COLUMN verify_at;
