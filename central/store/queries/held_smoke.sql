-- name: keep
INSERT INTO held_smoke (gateway, part, condition, notice_window, area, event, event_at, due_at)
VALUES (%(gateway)s, %(part)s, %(condition)s, %(window)s, %(area)s, %(event)s, %(event_at)s, %(due_at)s)
ON CONFLICT (gateway, part, condition) DO NOTHING

-- name: take
-- Gone from here: what it is now is the caller's to say.
DELETE FROM held_smoke WHERE gateway = %(gateway)s AND part = %(part)s AND condition = %(condition)s
RETURNING gateway, part, condition, notice_window AS window, area, event, event_at, due_at

-- name: standing
SELECT due_at FROM held_smoke WHERE gateway = %(gateway)s AND part = %(part)s AND condition = %(condition)s FOR UPDATE

-- name: take_of
-- Of a detector, or (without one) of all behind a gateway.
DELETE FROM held_smoke WHERE gateway = %(gateway)s AND (%(part)s::text IS NULL OR part = %(part)s)
RETURNING gateway, part, condition, notice_window AS window, area, event, event_at, due_at

-- name: take_due
-- A time further ahead than any that we set comes from a clock that was set back since.
DELETE FROM held_smoke WHERE (gateway, part, condition) IN (
    SELECT gateway, part, condition FROM held_smoke WHERE due_at <= %(now)s OR due_at > %(now)s + %(longest)s
    ORDER BY due_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED)
RETURNING gateway, part, condition, notice_window AS window, area, event, event_at, due_at

-- name: due_now
UPDATE held_smoke SET due_at = %(now)s WHERE notice_window = %(window)s AND due_at > %(now)s
