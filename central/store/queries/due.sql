-- name: schedule
INSERT INTO due (alarm, kind, round, step, due_at)
VALUES (%(alarm)s, %(kind)s, %(round)s, %(step)s, %(due_at)s)
ON CONFLICT (alarm, kind) DO UPDATE SET round = excluded.round, step = excluded.step, due_at = excluded.due_at
WHERE NOT %(only_forward)s OR excluded.step > due.step

-- name: cancel
DELETE FROM due WHERE alarm = %(alarm)s AND kind = %(kind)s

-- name: look
SELECT step, due_at FROM due WHERE alarm = %(alarm)s AND kind = %(kind)s

-- name: ready
-- Alarms with something due that nobody else works on, the gravest first; their rows are held.
SELECT a.id FROM alarm a
WHERE a.id IN (SELECT alarm FROM due WHERE due_at <= %(now)s)
ORDER BY array_position(ARRAY['life', 'unwatched', 'care', 'note'], a.severity), a.id
LIMIT %(limit)s FOR UPDATE SKIP LOCKED

-- name: of_alarm
SELECT kind, step, due_at FROM due WHERE alarm = %(alarm)s AND due_at <= %(now)s ORDER BY due_at, kind
