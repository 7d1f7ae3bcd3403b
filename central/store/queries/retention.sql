-- name: forget_readings
DELETE FROM readings WHERE ctid = ANY (ARRAY(SELECT ctid FROM readings WHERE at < %(before)s LIMIT %(piece)s))

-- name: forget_quarantine
DELETE FROM quarantine
WHERE id IN (SELECT id FROM quarantine WHERE received_at < %(before)s ORDER BY received_at LIMIT %(piece)s)
