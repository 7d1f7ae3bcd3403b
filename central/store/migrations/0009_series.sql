-- depends: 0006_watch 0008_alarm_sources
-- Readings name their gateway and detector by a number: a row is a third smaller, its index entry half as large, and
-- both are compared as integers. Rows written before are carried over.

CREATE TABLE series (
    -- The readings of one detector by one gateway. Numbers are never given again.
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    gateway text NOT NULL,
    detector text NOT NULL,
    UNIQUE (gateway, detector)
);
CREATE INDEX ON series (detector);
INSERT INTO series (gateway, detector) SELECT DISTINCT gateway, detector FROM readings ORDER BY 1, 2;

ALTER TABLE readings RENAME TO readings_by_name;
ALTER INDEX readings_detector_at RENAME TO readings_by_name_detector_at;
CREATE TABLE readings (
    -- A hypertable by `at` where TimescaleDB is present (central.store.edition).
    at timestamptz NOT NULL,
    received_at timestamptz NOT NULL,
    series integer NOT NULL,           -- no foreign key: that would cost each row a look-up
    smoke real,
    temperature real,
    battery real,
    contamination real,
    status integer
);
INSERT INTO readings (at, received_at, series, smoke, temperature, battery, contamination, status)
SELECT r.at, r.received_at, s.id, r.smoke, r.temperature, r.battery, r.contamination, r.status
FROM readings_by_name r JOIN series s USING (gateway, detector);
DROP TABLE readings_by_name;
CREATE INDEX readings_series_at ON readings (series, at DESC);

CREATE OR REPLACE FUNCTION watch(moment timestamptz)
RETURNS TABLE (detector text, household text, building text, grid text, gateway text, bus text, state text)
LANGUAGE sql STABLE AS $$
    -- One row a detector that hangs somewhere now. Watched wants proof: a live lease, a line that runs, a detector in
    -- order and known to answer (by a snapshot or its end of silence, or by a reading of the last 15 minutes).
    SELECT p.detector, p.household, h.building, b.grid, p.gateway, p.bus,
        CASE
            WHEN EXISTS (SELECT FROM alarm a
                         WHERE a.part = p.detector AND a.severity = 'life' AND a.state <> 'closed') THEN 'alarm'
            WHEN l.silent_since IS NULL AND l.status <> '{}'
                AND l.heard_at > moment - interval '90 seconds' - (SELECT coalesce(max(deaf), '0') FROM ear) + l.deaf
                AND NOT EXISTS (
                    SELECT FROM source s
                    WHERE s.gateway = p.gateway AND s.state <> 'absent'
                      AND ((s.part = 'bus:' || p.bus AND s.condition IN ('bus_down', 'bus_stuck'))
                        OR (s.part = '' AND s.condition = 'events_stuck')
                        OR (s.part = p.detector AND s.condition = 'no_response')))
                AND NOT EXISTS (
                    SELECT FROM source s
                    WHERE s.gateway = p.gateway AND s.part = p.detector AND s.state = 'present'
                      AND s.condition IN ('removed', 'isolated', 'muted', 'fault'))
                AND (EXISTS (SELECT FROM source s
                             WHERE s.gateway = p.gateway AND s.part = p.detector
                               AND s.condition = 'no_response' AND s.state = 'absent' AND s.event_at >= p.from_at)
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
    WHERE p.to_at IS NULL
$$;
