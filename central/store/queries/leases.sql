-- name: lock_ear
SELECT heard_at, deaf FROM ear WHERE area = %(area)s FOR UPDATE

-- name: begin_ear
INSERT INTO ear (area, heard_at, deaf) VALUES (%(area)s, %(now)s, interval '0') ON CONFLICT (area) DO NOTHING

-- name: save_ear
UPDATE ear SET heard_at = %(now)s, deaf = %(deaf)s,
    deaf_until = CASE WHEN %(deaf)s > deaf THEN %(now)s ELSE deaf_until END WHERE area = %(area)s

-- name: hold
-- In one order for everybody, so that two who take heartbeats never wait for each other in a ring.
SELECT l.gateway, l.silent_since, l.status, l.heard_at, c.stored_at AS canary_at,
    greatest(l.back_at, (SELECT max(deaf_until) FROM ear WHERE ear.area IN (g.area, ''))) AS settled_at
FROM lease l JOIN gateway g ON g.id = l.gateway LEFT JOIN canary c ON c.gateway = l.gateway
WHERE l.gateway = ANY (%(gateways)s) AND g.retired_at IS NULL ORDER BY l.gateway FOR NO KEY UPDATE OF l

-- name: renew
-- The ear that hears an area: its own or the one for all, whichever heard last.
UPDATE lease SET heard_at = %(now)s, deaf = coalesce(q.deaf, interval '0'), silent_since = NULL,
    back_at = CASE WHEN silent_since IS NULL THEN back_at ELSE %(now)s END,
    said_goodbye = false, status = q.status
FROM (
    SELECT b.gateway, b.status::jsonb AS status,
        (SELECT deaf FROM ear WHERE ear.area IN (b.area, '') ORDER BY heard_at DESC LIMIT 1) AS deaf
    FROM unnest(%(gateways)s::text[], %(areas)s::text[], %(statuses)s::text[]) AS b (gateway, area, status)
) q
WHERE lease.gateway = q.gateway

-- name: goodbye
UPDATE lease SET said_goodbye = true WHERE gateway IN (
    SELECT gateway FROM lease WHERE gateway = ANY (%(gateways)s) ORDER BY gateway FOR NO KEY UPDATE)

-- name: silent
-- Gateways whose lease ended by %(now)s, time in which nobody could hear left out; taken by one sweeper only.
UPDATE lease SET silent_since = %(now)s
WHERE gateway IN (
    SELECT l.gateway FROM lease l
    JOIN gateway g ON g.id = l.gateway AND g.retired_at IS NULL
    JOIN LATERAL (SELECT heard_at, deaf FROM ear WHERE area IN (g.area, '') ORDER BY heard_at DESC LIMIT 1) e ON true
    WHERE l.silent_since IS NULL AND l.heard_at < %(now)s - %(lease)s
      AND e.heard_at > %(now)s - %(deaf_after)s
      AND %(now)s - l.heard_at - (e.deaf - l.deaf) > %(lease)s
    ORDER BY l.gateway LIMIT %(limit)s FOR UPDATE OF l SKIP LOCKED)
RETURNING gateway, (SELECT area FROM gateway g WHERE g.id = lease.gateway) AS area, heard_at, said_goodbye

-- name: hearing
-- When each area that has gateways was listened to last; before the first time, since when it has a gateway.
SELECT a.id AS area, coalesce(
    (SELECT max(e.heard_at) FROM ear e WHERE e.area IN (a.id, '')),
    (SELECT min(l.heard_at) FROM lease l JOIN gateway g ON g.id = l.gateway
     WHERE g.area = a.id AND g.retired_at IS NULL)) AS heard_at
FROM area a
-- one gateway is enough to know, out of a hundred thousand
WHERE (SELECT true FROM gateway g WHERE g.area = a.id AND g.retired_at IS NULL LIMIT 1)
ORDER BY a.id

-- name: returned
-- When these gateways were last heard again after a silence, theirs or ours.
SELECT l.gateway, greatest(l.back_at, (SELECT max(deaf_until) FROM ear WHERE ear.area IN (g.area, ''))) AS at
FROM lease l JOIN gateway g ON g.id = l.gateway WHERE l.gateway = ANY (%(gateways)s)

-- name: canaries
-- The hourly proofs of these gateways have come in.
INSERT INTO canary (gateway, stored_at)
SELECT id, %(now)s FROM gateway WHERE id = ANY (%(gateways)s) ORDER BY id
ON CONFLICT (gateway) DO UPDATE SET stored_at = excluded.stored_at

-- name: fallen
-- How many gateways of each of these areas are silent, since a moment or at all.
SELECT g.area, count(*) AS silent FROM lease l JOIN gateway g ON g.id = l.gateway
WHERE l.silent_since IS NOT NULL AND l.silent_since >= coalesce(%(since)s::timestamptz, '-infinity')
  AND g.area = ANY (%(areas)s) AND g.retired_at IS NULL
GROUP BY g.area

-- name: gateways
-- How many gateways each of these areas has, counted no further than wanted.
SELECT q.area, (SELECT count(*) FROM (
    SELECT FROM gateway g WHERE g.area = q.area AND g.retired_at IS NULL LIMIT %(most)s) c) AS gateways
FROM unnest(%(areas)s::text[]) AS q (area)
