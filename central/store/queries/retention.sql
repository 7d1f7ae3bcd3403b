-- name: forget_readings
DELETE FROM readings WHERE ctid = ANY (ARRAY(SELECT ctid FROM readings WHERE at < %(before)s LIMIT %(piece)s))

-- name: forget_quarantine
DELETE FROM quarantine
WHERE id IN (SELECT id FROM quarantine WHERE received_at < %(before)s ORDER BY received_at LIMIT %(piece)s)

-- name: forget_rollup_minute
DELETE FROM rollup_minute WHERE ctid = ANY (ARRAY(
    SELECT ctid FROM rollup_minute WHERE bucket < %(before)s LIMIT %(piece)s))

-- name: forget_rollup_hour
DELETE FROM rollup_hour WHERE ctid = ANY (ARRAY(
    SELECT ctid FROM rollup_hour WHERE bucket < %(before)s LIMIT %(piece)s))
