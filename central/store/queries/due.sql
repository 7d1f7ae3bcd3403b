-- name: schedule
INSERT INTO due (alarm, kind, round, step, due_at)
SELECT * FROM json_to_recordset(%(rows)s::json) AS r (alarm bigint, kind text, round int, step int, due_at timestamptz)
ON CONFLICT (alarm, kind) DO UPDATE SET round = excluded.round, step = excluded.step, due_at = excluded.due_at

-- name: cancel
DELETE FROM due USING json_to_recordset(%(rows)s::json) AS r (alarm bigint, kind text)
WHERE due.alarm = r.alarm AND due.kind = r.kind

-- name: of_alarms
SELECT alarm, kind, round, step, due_at FROM due WHERE alarm = ANY(%(alarms)s)

-- name: ready
-- Alarms with something due that nobody else works on, the gravest first; their rows are held.
SELECT a.id FROM alarm a
WHERE a.id IN (SELECT alarm FROM due WHERE due_at <= %(now)s)
ORDER BY array_position(ARRAY['life', 'unwatched', 'care', 'note'], a.severity), a.id
LIMIT %(limit)s FOR NO KEY UPDATE SKIP LOCKED

-- name: overdue
-- Steps whose time came more than 30 s ago, and for how long the oldest of them has been waiting (s). Smoke of a walk
-- test whose time is over is one: it should be an alarm.
SELECT count(*) AS steps, coalesce(extract(epoch FROM %(now)s - min(due_at)), 0)::float8 AS oldest_s
FROM (SELECT due_at FROM due UNION ALL SELECT due_at FROM held_smoke) d
WHERE due_at < %(now)s - interval '30 seconds'
