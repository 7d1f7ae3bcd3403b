-- depends: 0016_sweep
-- Who is there, and who was asked to take an alarm over.

ALTER TABLE alarm ADD COLUMN on_scene_at timestamptz;
ALTER TABLE alarm ADD COLUMN offered_to text;      -- asked to take it over, and has not answered
ALTER TABLE alarm ADD COLUMN offered_by text;
ALTER TABLE alarm ADD COLUMN offered_at timestamptz;
ALTER TABLE alarm ADD COLUMN handovers int NOT NULL DEFAULT 0;

-- offer: take it over; owner: who has it now. What is there obeys the narrower rule: nobody need read it all again.
ALTER TABLE delivery DROP CONSTRAINT delivery_purpose_check;
ALTER TABLE delivery ADD CONSTRAINT delivery_purpose_check
    CHECK (purpose IN ('alarm', 'disposition', 'cleared', 'closed', 'offer', 'owner')) NOT VALID;
