-- depends: 0012_trends
-- Who is told, and when, where the built-in does not hold; who has which duty at which hours; who is away.

CREATE TABLE policy (
    scope text NOT NULL CHECK (scope ~ '^(everywhere|(area|grid):[a-z0-9-]{1,32})$'),
    severity text NOT NULL CHECK (severity IN ('life', 'unwatched', 'care')),
    body jsonb NOT NULL,               -- central.engine.policy_body
    changed_at timestamptz NOT NULL,
    changed_by text NOT NULL,
    PRIMARY KEY (scope, severity)
);

CREATE TABLE shift (
    -- Hours that come again each week, by China's clock: central.engine.roster.Shift.
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    worker text NOT NULL REFERENCES worker,
    duty text NOT NULL CHECK (duty IN ('grid_primary', 'grid_backup', 'community_lead', 'dispatcher', 'installer')),
    area text NOT NULL REFERENCES area,
    grid text REFERENCES grid,         -- NULL: of the whole area
    from_day date NOT NULL,
    to_day date CHECK (to_day >= from_day),
    weekdays int[] NOT NULL CHECK (cardinality(weekdays) > 0 AND weekdays <@ '{1,2,3,4,5,6,7}'),
    begins time NOT NULL,
    ends time NOT NULL                 -- not later than begins: on the next day
);
CREATE INDEX ON shift (grid) WHERE grid IS NOT NULL;
CREATE INDEX ON shift (area) WHERE grid IS NULL;
CREATE INDEX worker_role ON worker (role, area);

CREATE TABLE leave (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    worker text NOT NULL REFERENCES worker,
    begins timestamptz NOT NULL,
    ends timestamptz NOT NULL CHECK (ends > begins),
    substitute text REFERENCES worker CHECK (substitute <> worker)
);
CREATE INDEX ON leave (ends);

CREATE TABLE roster_report (
    -- What was found wanting when each area was looked at last.
    area text PRIMARY KEY,
    day date NOT NULL,                 -- of China's clock
    body jsonb NOT NULL                -- central.pipeline.duties.Report
);
