-- name: order
INSERT INTO gateway_command (id, gateway, body, made_at, made_by, expires_at)
VALUES (%(id)s, %(gateway)s, %(body)s, %(now)s, %(by)s, %(expires_at)s)

-- name: to_publish
SELECT c.id, g.area, c.gateway, c.body FROM gateway_command c JOIN gateway g ON g.id = c.gateway
WHERE c.published_at IS NULL AND c.expires_at > %(now)s AND (%(area)s = '' OR g.area = %(area)s)
ORDER BY c.made_at, c.id LIMIT 100

-- name: published
UPDATE gateway_command SET published_at = %(now)s WHERE id = %(id)s

-- name: gateways_of
SELECT gateway, array_agg(detector ORDER BY detector) AS detectors FROM placement
WHERE detector = ANY (%(detectors)s) AND to_at IS NULL GROUP BY gateway ORDER BY gateway
