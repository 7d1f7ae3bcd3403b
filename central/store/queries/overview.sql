-- name: grids
-- Each grid with its detectors. A detector in alarm is watched: that is how we know.
WITH counted AS (
    SELECT grid, count(*) AS detectors, count(*) FILTER (WHERE state <> 'unwatched') AS watched
    FROM watch(%(now)s) GROUP BY grid
), alarmed AS (
    SELECT grid, count(*) FILTER (WHERE severity = 'life') AS life,
           count(*) FILTER (WHERE severity IN ('unwatched', 'care')) AS other
    FROM alarm WHERE state <> 'closed' AND grid IS NOT NULL GROUP BY grid
)
SELECT g.id, g.name, c.id AS community, c.name AS community_name, coalesce(n.detectors, 0) AS detectors,
       coalesce(n.watched, 0) AS watched, coalesce(a.life, 0) AS life, coalesce(a.other, 0) AS other
FROM grid g
JOIN community c ON c.id = g.community
LEFT JOIN counted n ON n.grid = g.id
LEFT JOIN alarmed a ON a.grid = g.id
ORDER BY c.id, g.id

-- name: alarms
-- Open alarms without anything personal: neither a name nor a door.
SELECT a.id, a.condition, a.severity, a.state, a.round, a.opened_at, a.event_at, a.acknowledged_at, a.on_way_at,
       a.on_scene_at, a.grade, a.address_known, a.late, g.name AS grid_name, b.name AS building_name, a.gateway,
       coalesce(nullif(gw.name, ''), a.gateway) AS gateway_name, a.area, a.grid, a.building
FROM alarm a
LEFT JOIN grid g ON g.id = a.grid
LEFT JOIN building b ON b.id = a.building
LEFT JOIN gateway gw ON gw.id = a.gateway
WHERE a.state <> 'closed' AND a.severity <> 'note'
ORDER BY a.severity = 'life' DESC, a.acknowledged_at IS NOT NULL AND a.state <> 'active_unacknowledged',
         a.opened_at DESC, a.id DESC
LIMIT %(limit)s

-- name: alarm_count
SELECT count(*) AS n, count(*) FILTER (WHERE severity = 'life') AS life,
       count(*) FILTER (WHERE severity = 'life' AND state IN ('active_unacknowledged', 'cleared_unacknowledged'))
       AS unanswered
FROM alarm WHERE state <> 'closed' AND severity <> 'note'

-- name: silent_gateways
SELECT g.id, coalesce(nullif(g.name, ''), g.id) AS name, l.silent_since, l.heard_at,
       (SELECT count(*) FROM placement p WHERE p.gateway = g.id AND p.to_at IS NULL) AS detectors
FROM gateway g JOIN lease l ON l.gateway = g.id
WHERE g.retired_at IS NULL AND l.silent_since IS NOT NULL
ORDER BY l.silent_since

-- name: tests
-- Test buttons pressed lately: how an installer sees that a detector is heard. Neither a name nor a door.
SELECT a.part AS detector, g.name AS grid_name, b.name AS building_name, a.opened_at AS heard_at
FROM alarm a LEFT JOIN grid g ON g.id = a.grid LEFT JOIN building b ON b.id = a.building
WHERE a.condition = 'test' AND a.opened_at > %(now)s - interval '30 minutes'
ORDER BY a.opened_at DESC, a.id DESC LIMIT 12

-- name: windows
-- Where detectors are worked on or out of service now. Neither a name nor a door.
SELECT w.kind, b.name AS building_name, g.name AS grid_name, count(*) AS detectors, w.ends, w.ends <= %(now)s AS overdue
FROM notice_window w
JOIN notice_window_detector d ON d.notice_window = w.id
JOIN placement p ON p.detector = d.detector AND p.to_at IS NULL
JOIN household h ON h.id = p.household
JOIN building b ON b.id = h.building
JOIN grid g ON g.id = b.grid
WHERE w.ended_at IS NULL AND w.begins <= %(now)s AND (w.ends > %(now)s OR w.kind = 'out_of_service')
GROUP BY w.id, b.id, g.id ORDER BY w.ends, w.id, b.id LIMIT 24

-- name: centre
-- When ingest last heard anything at all, the streets' names, how many gateways there are.
SELECT (SELECT max(heard_at) FROM ear) AS heard_at,
       (SELECT count(*) FROM gateway WHERE retired_at IS NULL) AS gateways,
       (SELECT string_agg(name, '、' ORDER BY id) FROM area) AS areas

-- name: log_after
SELECT l.id, l.alarm, l.at, l.what, l.from_state, l.to_state, l.who, a.condition, a.severity, a.area, a.grid,
       a.building
FROM alarm_log l JOIN alarm a ON a.id = l.alarm
WHERE l.id > %(after)s AND (%(through)s::bigint IS NULL OR l.id <= %(through)s)
ORDER BY l.id LIMIT %(limit)s

-- name: log_end
SELECT coalesce(max(id), 0) AS id FROM alarm_log

-- name: log_writers
-- Whether another transaction has written to the log and is not over yet.
SELECT EXISTS (
    SELECT FROM pg_locks
    WHERE relation = 'alarm_log'::regclass AND mode = 'RowExclusiveLock' AND granted
      AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
      AND pid <> pg_backend_pid()
) AS busy

-- name: alarm_page
-- Alarms without anything personal, the newest first, older than `before`.
SELECT a.id, a.condition, a.severity, a.state, a.round, a.late, a.area, a.grid, a.building, a.gateway, a.part,
       a.address_known, a.opened_at, a.event_at, a.cleared_at, a.acknowledged_at, a.acknowledged_by, a.on_way_at,
       a.closed_at, a.closed_by, a.disposition, a.cause, a.on_scene_at, a.offered_to, a.grade
FROM alarm a
WHERE (%(before)s::bigint IS NULL OR a.id < %(before)s) AND (a.state = 'closed') = %(closed)s
ORDER BY a.id DESC LIMIT %(limit)s
