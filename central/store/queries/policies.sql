-- name: changed
-- The policies, unless they are those of the edition that is known: then one row without any.
WITH now AS (
    SELECT coalesce(md5(string_agg(policy::text, '' ORDER BY scope, severity)), '') AS edition FROM policy
)
SELECT now.edition, p.scope, p.severity, p.body
FROM now LEFT JOIN policy p ON now.edition <> %(known)s

-- name: all
SELECT scope, severity, body, changed_at, changed_by FROM policy ORDER BY scope, severity

-- name: save
INSERT INTO policy (scope, severity, body, changed_at, changed_by)
VALUES (%(scope)s, %(severity)s, %(body)s, %(at)s, %(by)s)
ON CONFLICT (scope, severity) DO UPDATE
SET body = excluded.body, changed_at = excluded.changed_at, changed_by = excluded.changed_by

-- name: drop
DELETE FROM policy WHERE scope = %(scope)s AND severity = %(severity)s

-- name: places
-- The grids of a scope with how many homes they have; an area without any grid comes without one.
SELECT a.id AS area, g.id AS grid,
    (SELECT count(*) FROM household h JOIN building b ON b.id = h.building WHERE b.grid = g.id) AS homes
FROM area a
LEFT JOIN community c ON c.area = a.id
LEFT JOIN grid g ON g.community = c.id
WHERE (%(area)s::text IS NULL OR a.id = %(area)s) AND (%(grid)s::text IS NULL OR g.id = %(grid)s)
ORDER BY a.id, g.id

-- name: alarmed
-- The parts of the open alarms about policies that cannot be read.
SELECT part FROM alarm
WHERE state <> 'closed' AND gateway IS NULL AND condition = 'system' AND part LIKE 'policy:%%'
