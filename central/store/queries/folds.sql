-- name: add
INSERT INTO fold (alarm, parent) SELECT * FROM unnest(%(alarms)s::bigint[], %(parents)s::bigint[])
ON CONFLICT (alarm) DO UPDATE SET parent = excluded.parent

-- name: drop
DELETE FROM fold WHERE alarm = ANY (%(alarms)s)

-- name: lock_orphans
SELECT a.*, p.closed_at AS parent_closed_at, p.closed_by AS parent_closed_by
FROM fold f JOIN alarm p ON p.id = f.parent JOIN alarm a ON a.id = f.alarm
WHERE p.state = 'closed' OR a.state = 'closed'
ORDER BY a.id LIMIT %(limit)s FOR NO KEY UPDATE OF a

-- name: lock_children_to_be
SELECT a.* FROM alarm a
WHERE a.area = %(area)s AND a.condition = %(condition)s AND a.part = '' AND a.state = 'active_unacknowledged'
  AND a.opened_at >= %(since)s AND a.gateway IS NOT NULL
  AND NOT EXISTS (SELECT FROM fold f WHERE f.alarm = a.id)
ORDER BY a.id FOR NO KEY UPDATE OF a

-- name: lock_parents
SELECT * FROM alarm
WHERE state <> 'closed' AND condition IN ('system', 'unstable')
  AND ((condition = 'system' AND gateway IS NULL AND starts_with(part, 'silence:'))
    OR (condition = 'unstable' AND detail ? 'flaps'))
ORDER BY id FOR NO KEY UPDATE

-- name: last_change
SELECT max(greatest(opened_at, closed_at)) AS at FROM alarm
WHERE coalesce(gateway, '') = %(gateway)s AND part = %(part)s AND condition = ANY (%(conditions)s)

-- name: ended
SELECT q.n, e.ended FROM unnest(%(gateways)s::text[], %(parts)s::text[], %(conditions)s::text[])
    WITH ORDINALITY AS q (gateway, part, condition, n)
CROSS JOIN LATERAL (
    SELECT count(*) AS ended FROM alarm
    WHERE coalesce(gateway, '') = q.gateway AND part = q.part AND condition = q.condition AND closed_at > %(since)s
) e
WHERE e.ended > 0

-- name: life_behind
SELECT DISTINCT gateway FROM alarm
WHERE coalesce(gateway, '') = ANY (%(gateways)s) AND severity = 'life' AND state <> 'closed'

-- name: standing
SELECT count(*) AS standing FROM fold f JOIN alarm a ON a.id = f.alarm
WHERE f.parent = %(parent)s AND a.state <> 'closed'
