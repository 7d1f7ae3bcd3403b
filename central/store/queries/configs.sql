-- name: to_publish
-- The wanted configuration of each gateway, where it was not published yet.
SELECT DISTINCT ON (c.gateway) c.gateway, g.area, c.version, c.hash, c.body, c.published_at
FROM gateway_config c JOIN gateway g ON g.id = c.gateway
WHERE (%(area)s = '' OR g.area = %(area)s)
ORDER BY c.gateway, c.version DESC

-- name: latest
SELECT c.* FROM unnest(%(gateways)s::text[]) AS q (gateway)
CROSS JOIN LATERAL (
    SELECT gateway, version, hash, applied_at, refused, published_at FROM gateway_config
    WHERE gateway = q.gateway ORDER BY version DESC LIMIT 1) c

-- name: published
UPDATE gateway_config SET published_at = %(now)s WHERE gateway = %(gateway)s AND version = %(version)s

-- name: publish_again
UPDATE gateway_config SET published_at = NULL WHERE gateway = %(gateway)s AND version = %(version)s

-- name: applied
UPDATE gateway_config SET applied_at = coalesce(applied_at, %(now)s), refused = NULL
WHERE gateway = %(gateway)s AND version = %(version)s AND (applied_at IS NULL OR refused IS NOT NULL)

-- name: refused
UPDATE gateway_config SET refused = %(why)s
WHERE gateway = %(gateway)s AND version = %(version)s AND refused IS DISTINCT FROM %(why)s
