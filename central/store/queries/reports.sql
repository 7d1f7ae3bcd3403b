-- name: fires
-- Smoke and heat that began within the time. What people did is told by the time line: an alarm keeps only the
-- moments of its last round.
SELECT a.area, c.id AS community, a.grid, a.part, a.opened_at, a.round AS rounds, a.closed_at, a.disposition, a.cause,
    (SELECT min(d.sent_at) FROM delivery d WHERE d.alarm = a.id AND d.purpose = 'alarm') AS notified_at,
    l.acknowledged_at, l.set_out_at, l.arrived_at
FROM alarm a
LEFT JOIN grid g ON g.id = a.grid
LEFT JOIN community c ON c.id = g.community
CROSS JOIN LATERAL (
    SELECT min(x.at) FILTER (WHERE x.what IN ('acknowledged', 'on_way', 'on_scene', 'accepted', 'taken_over', 'closed') AND x.who <> 'system') AS acknowledged_at,
        min(x.at) FILTER (WHERE x.what = 'on_way') AS set_out_at,
        min(x.at) FILTER (WHERE x.what = 'on_scene') AS arrived_at
    FROM alarm_log x WHERE x.alarm = a.id) l
WHERE a.severity = 'life' AND a.opened_at >= %(from)s AND a.opened_at < %(to)s
    AND (%(area)s::text IS NULL OR a.area = %(area)s)
ORDER BY a.opened_at, a.id LIMIT %(limit)s

-- name: calls
-- Whatever calls people and began, or came back, within the time.
SELECT l.at, concat_ws(' ', nullif(a.gateway, ''), nullif(a.part, ''), a.condition) AS source
FROM alarm a JOIN alarm_log l ON l.alarm = a.id AND l.what IN ('opened', 're_asserted')
WHERE a.severity <> 'note' AND a.opened_at < %(to)s AND (a.closed_at IS NULL OR a.closed_at >= %(from)s)
    AND l.at >= %(from)s AND l.at < %(to)s
    AND (%(area)s::text IS NULL OR a.area = %(area)s)
ORDER BY l.at, l.id LIMIT %(limit)s

-- name: standing
SELECT count(*) AS standing FROM alarm a
WHERE a.severity <> 'note' AND a.opened_at < %(before)s AND (a.closed_at IS NULL OR a.closed_at >= %(to)s)
    AND (%(area)s::text IS NULL OR a.area = %(area)s)

-- name: nobody
SELECT count(DISTINCT a.id) AS fires FROM alarm a JOIN alarm_log l ON l.alarm = a.id AND l.what = 'nobody_reachable'
WHERE a.severity = 'life' AND a.opened_at >= %(from)s AND a.opened_at < %(to)s
    AND (%(area)s::text IS NULL OR a.area = %(area)s)

-- name: unreached
-- People for whom every message of an alarm failed; what was called off is no failure.
SELECT q.worker, w.name, w.role, count(*) AS alarms, count(*) FILTER (WHERE NOT q.reached AND q.failed) AS unreached
FROM (
    SELECT d.worker, d.alarm, bool_or(d.sent_at IS NOT NULL) AS reached, bool_or(d.state = 'failed') AS failed
    FROM alarm a JOIN delivery d ON d.alarm = a.id AND d.purpose IN ('alarm', 'disposition')
    WHERE a.opened_at >= %(from)s AND a.opened_at < %(to)s AND (%(area)s::text IS NULL OR a.area = %(area)s)
    GROUP BY d.worker, d.alarm) q
JOIN worker w ON w.id = q.worker
GROUP BY q.worker, w.name, w.role
HAVING count(*) FILTER (WHERE NOT q.reached AND q.failed) > 0
ORDER BY unreached DESC, q.worker LIMIT %(limit)s

-- name: names
SELECT 'area' AS level, id, name FROM area WHERE (%(area)s::text IS NULL OR id = %(area)s)
UNION ALL SELECT 'community', id, name FROM community WHERE (%(area)s::text IS NULL OR area = %(area)s)
UNION ALL SELECT 'grid', g.id, g.name FROM grid g JOIN community c ON c.id = g.community
    WHERE (%(area)s::text IS NULL OR c.area = %(area)s)

-- name: grids_of
-- In which grid detectors hung last within the time; of one street, where one is asked for.
SELECT DISTINCT ON (p.detector) p.detector, g.id AS grid
FROM placement p
JOIN household h ON h.id = p.household
JOIN building b ON b.id = h.building
JOIN grid g ON g.id = b.grid
JOIN community c ON c.id = g.community
WHERE p.detector = ANY (%(detectors)s) AND p.from_at < %(to)s AND (%(area)s::text IS NULL OR c.area = %(area)s)
ORDER BY p.detector, p.from_at DESC
