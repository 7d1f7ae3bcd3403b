-- name: add_shift
INSERT INTO shift (worker, duty, area, grid, from_day, to_day, weekdays, begins, ends)
VALUES (%(worker)s, %(duty)s, %(area)s, %(grid)s, %(from_day)s, %(to_day)s, %(weekdays)s, %(begins)s, %(ends)s)
RETURNING id

-- name: drop_shift
DELETE FROM shift WHERE id = %(id)s

-- name: shifts
SELECT id, worker, duty, area, grid, from_day, to_day, weekdays, begins, ends FROM shift
WHERE (%(area)s::text IS NULL OR area = %(area)s) AND id > %(after)s
ORDER BY id LIMIT %(limit)s

-- name: add_leave
INSERT INTO leave (worker, begins, ends, substitute)
VALUES (%(worker)s, %(begins)s, %(ends)s, %(substitute)s)
RETURNING id

-- name: drop_leave
DELETE FROM leave WHERE id = %(id)s

-- name: leaves
-- Those that are not over.
SELECT id, worker, begins, ends, substitute FROM leave
WHERE ends > %(now)s AND id > %(after)s
ORDER BY id LIMIT %(limit)s

-- name: leaves_at
-- Those of these workers that overlap a span.
SELECT id, worker, begins, ends, substitute FROM leave
WHERE worker = ANY(%(workers)s) AND ends > %(begins)s AND begins < %(ends)s
ORDER BY id

-- name: to_look_at
SELECT a.id FROM area a LEFT JOIN roster_report r ON r.area = a.id
WHERE r.day IS NULL OR r.day < %(day)s
ORDER BY a.id LIMIT 1

-- name: keep_report
INSERT INTO roster_report (area, day, body) VALUES (%(area)s, %(day)s, %(body)s)
ON CONFLICT (area) DO UPDATE SET day = excluded.day, body = excluded.body

-- name: reports
SELECT area, day, body FROM roster_report
WHERE (%(area)s::text IS NULL OR area = %(area)s) ORDER BY area

-- name: unreachable
-- Workers who may be called and have no contact, or whose last messages all failed.
SELECT w.id, w.name, w.role, NOT EXISTS (SELECT FROM contact WHERE worker = w.id) AS no_contact
FROM worker w
LEFT JOIN (
    SELECT worker, count(*) AS tries, bool_or(state = 'sent') AS any_sent
    FROM (SELECT worker, state, row_number() OVER (PARTITION BY worker ORDER BY id DESC) AS n
          FROM delivery WHERE state IN ('sent', 'failed') AND made_at > %(since)s) d
    WHERE n <= %(last)s GROUP BY worker
) d ON d.worker = w.id
WHERE w.area = %(area)s AND w.active
  AND w.role IN ('grid_worker', 'community_lead', 'dispatcher', 'installer', 'volunteer', 'outside')
  AND (NOT EXISTS (SELECT FROM contact WHERE worker = w.id) OR (d.tries >= %(last)s AND NOT d.any_sent))
ORDER BY w.id

-- name: failing_channels
-- Channels of which more than half of the tries of a day failed, and why the last of them did.
SELECT d.channel, count(*) AS tries, count(*) FILTER (WHERE t.outcome <> 'sent') AS failed,
    (array_agg(t.error ORDER BY t.finished_at DESC, t.delivery DESC) FILTER (WHERE t.outcome <> 'sent'))[1] AS why
FROM delivery d JOIN worker w ON w.id = d.worker JOIN attempt t ON t.delivery = d.id
WHERE w.area = %(area)s AND d.made_at > %(made_since)s AND t.started_at > %(since)s AND t.outcome IS NOT NULL
GROUP BY d.channel
HAVING count(*) >= %(least)s AND 2 * count(*) FILTER (WHERE t.outcome <> 'sent') > count(*)
ORDER BY d.channel
