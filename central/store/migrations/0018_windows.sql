-- depends: 0017_acts
-- When detectors are worked on or out of service: a filter of messages, never of states.

CREATE TABLE notice_window (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind text NOT NULL CHECK (kind IN ('maintenance', 'out_of_service')),
    area text NOT NULL REFERENCES area,
    begins timestamptz NOT NULL,
    ends timestamptz NOT NULL CHECK (ends > begins),   -- of what is out of service: when it is looked at again
    why text NOT NULL,
    person text REFERENCES worker,                     -- on site
    made_at timestamptz NOT NULL,
    made_by text NOT NULL,
    ended_at timestamptz,                              -- by hand, before its end
    ended_by text,
    CHECK (kind <> 'maintenance' OR person IS NOT NULL)
);
CREATE INDEX notice_window_open ON notice_window (ends) WHERE ended_at IS NULL;

CREATE TABLE notice_window_detector (
    -- By name, one after the other: a whole line or gateway cannot be meant.
    notice_window bigint NOT NULL REFERENCES notice_window,
    detector text NOT NULL REFERENCES detector,
    PRIMARY KEY (detector, notice_window)
);
CREATE INDEX ON notice_window_detector (notice_window);
