-- name: seen
SELECT at FROM clock_seen

-- name: hold
SELECT at FROM clock_seen FOR UPDATE

-- name: note
INSERT INTO clock_seen (at) VALUES (%(now)s) ON CONFLICT (sole) DO UPDATE SET at = excluded.at

-- name: shift_due
UPDATE due SET due_at = due_at - %(by)s::interval

-- name: shift_leases
-- Those that have not been renewed since; in the order in which everybody locks them.
UPDATE lease SET heard_at = heard_at - %(by)s::interval WHERE gateway IN (
    SELECT gateway FROM lease WHERE heard_at > %(now)s ORDER BY gateway FOR NO KEY UPDATE)

-- name: shift_ears
UPDATE ear SET heard_at = heard_at - %(by)s::interval WHERE heard_at > %(now)s
