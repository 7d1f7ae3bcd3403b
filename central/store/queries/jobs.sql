-- name: expect
INSERT INTO job (name, every, succeeded_at)
SELECT name, every, %(now)s FROM unnest(%(names)s::text[], %(every)s::interval[]) AS of (name, every)
ON CONFLICT (name) DO UPDATE SET every = excluded.every

-- name: forget
UPDATE job SET every = NULL WHERE name <> ALL (%(names)s)

-- name: succeeded
-- Not more often than wanted: a tick of each second is not worth a row version of each second.
UPDATE job SET succeeded_at = %(now)s
WHERE name = %(name)s AND succeeded_at NOT BETWEEN %(now)s - %(coarse)s::interval AND %(now)s

-- name: all
SELECT name, every, succeeded_at FROM job ORDER BY name

-- name: areas
SELECT DISTINCT area FROM gateway WHERE retired_at IS NULL ORDER BY area
