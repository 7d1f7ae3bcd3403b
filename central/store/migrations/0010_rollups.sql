-- depends: 0009_series
-- Roll-ups of readings by minute, hour and day, the last reading of each series, and what is still to be rolled up.

CREATE TABLE touched (
    -- Ingest says in its own transaction where it put readings; the job that rolls them up takes the row away.
    -- No index: there is one reader, and it takes all. A row lies within one hour.
    gateway text NOT NULL,
    low timestamptz NOT NULL,
    high timestamptz NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 20000);
-- What is there already is rolled up as if it had just come.
INSERT INTO touched (gateway, low, high)
SELECT s.gateway, min(r.at), max(r.at)
FROM readings r JOIN series s ON s.id = r.series GROUP BY s.gateway, date_bin('1 hour', r.at, '2000-01-01 00:00+08');

CREATE TABLE touched_hour (gateway text NOT NULL, hour timestamptz NOT NULL, PRIMARY KEY (gateway, hour));
CREATE TABLE touched_day (gateway text NOT NULL, day timestamptz NOT NULL, PRIMARY KEY (gateway, day));

CREATE TABLE rollup_minute (
    -- Made from readings. A hypertable by `bucket` where TimescaleDB is present, as is the next.
    bucket timestamptz NOT NULL,
    smoke_sum double precision,
    temperature_sum double precision,
    battery_sum double precision,
    contamination_sum double precision,
    smoke_min real,
    smoke_max real,
    temperature_min real,
    temperature_max real,
    battery_min real,
    battery_max real,
    contamination_min real,
    contamination_max real,
    smoke_n integer NOT NULL,
    temperature_n integer NOT NULL,
    battery_n integer NOT NULL,
    contamination_n integer NOT NULL,
    series integer NOT NULL,
    n integer NOT NULL,
    status_bits integer,               -- every bit that any status in it had
    PRIMARY KEY (series, bucket)
);
CREATE INDEX ON rollup_minute USING brin (bucket);

CREATE TABLE rollup_hour (
    -- Made from minutes.
    bucket timestamptz NOT NULL,
    smoke_sum double precision,
    temperature_sum double precision,
    battery_sum double precision,
    contamination_sum double precision,
    smoke_min real,
    smoke_max real,
    temperature_min real,
    temperature_max real,
    battery_min real,
    battery_max real,
    contamination_min real,
    contamination_max real,
    smoke_n integer NOT NULL,
    temperature_n integer NOT NULL,
    battery_n integer NOT NULL,
    contamination_n integer NOT NULL,
    series integer NOT NULL,
    n integer NOT NULL,
    status_bits integer,               -- every bit that any status in it had
    PRIMARY KEY (series, bucket)
) WITH (fillfactor = 90);
CREATE INDEX ON rollup_hour USING brin (bucket);

CREATE TABLE rollup_day (
    -- Made from hours; a day of China's clock (UTC+8, the whole year).
    bucket timestamptz NOT NULL,
    smoke_sum double precision,
    temperature_sum double precision,
    battery_sum double precision,
    contamination_sum double precision,
    smoke_min real,
    smoke_max real,
    temperature_min real,
    temperature_max real,
    battery_min real,
    battery_max real,
    contamination_min real,
    contamination_max real,
    smoke_n integer NOT NULL,
    temperature_n integer NOT NULL,
    battery_n integer NOT NULL,
    contamination_n integer NOT NULL,
    series integer NOT NULL,
    n integer NOT NULL,
    status_bits integer,               -- every bit that any status in it had
    PRIMARY KEY (series, bucket)
) WITH (fillfactor = 80);

CREATE TABLE last_reading (
    -- The newest reading of each series, and the newest value of each kind with its moment: a value that did not come
    -- with the newest reading is older than that. Written by the job, once a turn for each series that spoke.
    at timestamptz NOT NULL,
    smoke_at timestamptz,
    temperature_at timestamptz,
    battery_at timestamptz,
    contamination_at timestamptz,
    status_at timestamptz,
    series integer PRIMARY KEY,
    smoke real,
    temperature real,
    battery real,
    contamination real,
    status integer
) WITH (fillfactor = 50);

-- What is not as it should be: a few rows among many, looked at as a whole by watch().
CREATE INDEX source_off ON source (condition, gateway, part) WHERE state <> 'absent';

CREATE OR REPLACE FUNCTION watch(moment timestamptz)
RETURNS TABLE (detector text, household text, building text, grid text, gateway text, bus text, state text)
LANGUAGE sql STABLE AS $$
    -- One row a detector that hangs somewhere now. Watched wants proof: a live lease, a line that runs, a detector in
    -- order and known to answer (by a snapshot or its end of silence, or by a reading of the last 15 minutes).
    -- Says what it said before; what is off is found once for all detectors, not once for each.
    SELECT p.detector, p.household, h.building, b.grid, p.gateway, p.bus,
        CASE
            WHEN p.detector IN (SELECT a.part FROM alarm a WHERE a.severity = 'life' AND a.state <> 'closed')
                THEN 'alarm'
            WHEN l.silent_since IS NULL AND l.status <> '{}'
                AND l.heard_at > moment - interval '90 seconds' - (SELECT coalesce(max(deaf), '0') FROM ear) + l.deaf
                AND coalesce(answers.state, 'absent') = 'absent'
                AND (p.gateway, 'bus:' || p.bus) NOT IN (
                    SELECT s.gateway, s.part FROM source s
                    WHERE s.state <> 'absent' AND s.condition IN ('bus_down', 'bus_stuck'))
                AND p.gateway NOT IN (
                    SELECT s.gateway FROM source s
                    WHERE s.state <> 'absent' AND s.condition = 'events_stuck' AND s.part = '')
                AND (p.gateway, p.detector) NOT IN (
                    SELECT s.gateway, s.part FROM source s
                    WHERE s.state <> 'absent' AND s.state = 'present'
                      AND s.condition IN ('removed', 'isolated', 'muted', 'fault'))
                AND (answers.state = 'absent' AND answers.event_at >= p.from_at
                  OR EXISTS (SELECT FROM series x JOIN readings r ON r.series = x.id
                             WHERE x.detector = p.detector AND x.gateway = p.gateway
                               AND r.at > moment - interval '15 minutes' AND r.at > p.from_at
                               AND (r.smoke IS NOT NULL OR r.temperature IS NOT NULL OR r.status IS NOT NULL)))
                THEN 'watched'
            ELSE 'unwatched'
        END
    FROM placement p
    JOIN household h ON h.id = p.household
    JOIN building b ON b.id = h.building
    LEFT JOIN lease l ON l.gateway = p.gateway
    LEFT JOIN source answers
        ON answers.gateway = p.gateway AND answers.part = p.detector AND answers.condition = 'no_response'
    WHERE p.to_at IS NULL
$$;
