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
DROP INDEX source_off;
DROP TABLE last_reading, rollup_day, rollup_hour, rollup_minute, touched_day, touched_hour, touched;
