-- depends: 0016_sweep
-- Who is there, who was asked to take an alarm over, and what makes one graver than another.

ALTER TABLE alarm ADD COLUMN on_scene_at timestamptz;
ALTER TABLE alarm ADD COLUMN offered_to text;      -- asked to take it over, and has not answered
ALTER TABLE alarm ADD COLUMN offered_by text;
ALTER TABLE alarm ADD COLUMN offered_at timestamptz;
ALTER TABLE alarm ADD COLUMN handovers int NOT NULL DEFAULT 0;

ALTER TABLE alarm ADD COLUMN grade text NOT NULL DEFAULT 'usual' CHECK (grade IN ('usual', 'raised', 'grave'));
ALTER TABLE alarm ADD COLUMN verify_at timestamptz;   -- when it is looked at again
CREATE INDEX alarm_verify ON alarm (verify_at) WHERE verify_at IS NOT NULL;
CREATE INDEX alarm_open_building ON alarm (building) WHERE state <> 'closed' AND severity = 'life';

-- offer: take it over; owner: who has it now; raised: it is graver than it was. What is there obeys the narrower rule: nobody need read it all again.
ALTER TABLE delivery DROP CONSTRAINT delivery_purpose_check;
ALTER TABLE delivery ADD CONSTRAINT delivery_purpose_check
    CHECK (purpose IN ('alarm', 'disposition', 'cleared', 'closed', 'offer', 'owner', 'raised')) NOT VALID;
