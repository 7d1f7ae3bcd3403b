DELETE FROM attempt WHERE delivery IN (SELECT id FROM delivery WHERE purpose IN ('offer', 'owner'));
UPDATE link SET delivery = NULL WHERE delivery IN (SELECT id FROM delivery WHERE purpose IN ('offer', 'owner'));
DELETE FROM delivery WHERE purpose IN ('offer', 'owner');
ALTER TABLE delivery DROP CONSTRAINT delivery_purpose_check;
ALTER TABLE delivery ADD CONSTRAINT delivery_purpose_check CHECK (purpose IN ('alarm', 'disposition', 'cleared', 'closed'));
ALTER TABLE alarm DROP COLUMN on_scene_at, DROP COLUMN offered_to, DROP COLUMN offered_by, DROP COLUMN offered_at,
    DROP COLUMN handovers;
