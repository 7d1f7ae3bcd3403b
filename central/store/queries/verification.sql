-- name: ready
-- A time further ahead than any that we set comes from a clock that was set back since.
SELECT id FROM alarm WHERE verify_at <= %(now)s OR verify_at > %(now)s + %(longest)s
ORDER BY verify_at, id LIMIT %(limit)s FOR NO KEY UPDATE SKIP LOCKED

-- name: around
-- Other detectors of the building, the same detector's other alarm, its temperatures, and what is said of who lives there.
SELECT a.id,
    (SELECT count(DISTINCT o.part) FROM alarm o
     WHERE o.building = a.building AND o.severity = 'life' AND o.state <> 'closed' AND o.part <> a.part
       AND (o.event_at BETWEEN a.event_at - %(nearby)s AND a.event_at + %(nearby)s
            OR (o.state LIKE 'active%%' AND a.state LIKE 'active%%'))) AS neighbours,
    EXISTS (SELECT FROM alarm o WHERE o.part = a.part AND o.severity = 'life' AND o.state <> 'closed'
            AND o.condition <> a.condition) AS heat_too,
    t.coolest, t.latest,
    ARRAY(SELECT needs FROM resident r WHERE r.household = a.household AND needs <> '') AS needs
FROM alarm a
CROSS JOIN LATERAL (
    SELECT min(r.temperature)::float8 AS coolest, (array_agg(r.temperature ORDER BY r.at DESC))[1]::float8 AS latest
    FROM series s JOIN readings r ON r.series = s.id
    WHERE s.gateway = a.gateway AND s.detector = a.part AND r.temperature IS NOT NULL
      AND r.at > %(since)s AND r.at <= %(now)s + interval '1 minute'
) t
WHERE a.id = ANY (%(ids)s)
