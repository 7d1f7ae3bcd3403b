-- name: last
-- What a source said last, and whether a word of stream %(stream)s at %(seq)s is older than it: within a stream by
-- seq, between streams by which began first.
SELECT s.state,
    CASE WHEN s.stream = %(stream)s THEN %(seq)s < s.seq
         ELSE coalesce((SELECT first_at FROM lane WHERE gateway = s.gateway AND stream = %(stream)s AND lane = 'events')
                     < (SELECT first_at FROM lane WHERE gateway = s.gateway AND stream = s.stream AND lane = 'events'),
                       false)
    END AS older
FROM source s WHERE s.gateway = %(gateway)s AND s.part = %(part)s AND s.condition = %(condition)s

-- name: say
INSERT INTO source (gateway, part, condition, state, stream, seq, event_at)
VALUES (%(gateway)s, %(part)s, %(condition)s, %(state)s, %(stream)s, %(seq)s, %(event_at)s)
ON CONFLICT (gateway, part, condition) DO UPDATE
SET state = excluded.state, stream = excluded.stream, seq = excluded.seq, event_at = excluded.event_at

-- name: of_gateway
SELECT part, condition, state FROM source WHERE gateway = %(gateway)s

-- name: home
-- Where a detector hung at a moment: the placement valid then, else the present one, else the last one.
SELECT p.id AS placement, p.gateway, g.id AS grid, b.id AS building, h.id AS household, c.area,
    d.scrapped_at IS NULL
        AND (p.to_at IS NULL OR (p.from_at <= %(at)s AND p.to_at > %(at)s)) AS known
FROM placement p
JOIN detector d ON d.id = p.detector
JOIN household h ON h.id = p.household
JOIN building b ON b.id = h.building
JOIN grid g ON g.id = b.grid
JOIN community c ON c.id = g.community
WHERE p.detector = %(detector)s
ORDER BY (p.from_at <= %(at)s AND (p.to_at IS NULL OR p.to_at > %(at)s)) DESC, (p.to_at IS NULL) DESC, p.from_at DESC
LIMIT 1

-- name: gateway_place
SELECT gw.area, b.id AS building, b.grid FROM gateway gw LEFT JOIN building b ON b.id = gw.building
WHERE gw.id = %(gateway)s

-- name: owner
SELECT gateway FROM placement WHERE detector = %(detector)s AND to_at IS NULL

-- name: homes
-- The homes that a gateway, or one of its lines, watches now.
SELECT DISTINCT b.name AS building, h.unit, h.room
FROM placement p JOIN household h ON h.id = p.household JOIN building b ON b.id = h.building
WHERE p.gateway = %(gateway)s AND p.to_at IS NULL AND (%(bus)s::text IS NULL OR p.bus = %(bus)s)
ORDER BY 1, 2, 3

-- name: watch_state
SELECT detector, household, building, grid, gateway, bus, state FROM watch(%(now)s) ORDER BY detector
