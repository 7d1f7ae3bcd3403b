-- name: words
-- What these sources (by number, from 1) said last, and when the stream it came by began.
SELECT q.n, s.state, s.stream, s.seq, s.event_at, l.first_at AS began
FROM unnest(%(gateways)s::text[], %(parts)s::text[], %(conditions)s::text[])
    WITH ORDINALITY AS q (gateway, part, condition, n)
JOIN source s ON s.gateway = q.gateway AND s.part = q.part AND s.condition = q.condition
LEFT JOIN lane l ON l.gateway = s.gateway AND l.stream = s.stream AND l.lane = 'events'

-- name: say
INSERT INTO source (gateway, part, condition, state, stream, seq, event_at)
SELECT * FROM json_to_recordset(%(rows)s::json) AS r (
    gateway text, part text, condition text, state text, stream text, seq bigint, event_at timestamptz)
ON CONFLICT (gateway, part, condition) DO UPDATE
SET state = excluded.state, stream = excluded.stream, seq = excluded.seq, event_at = excluded.event_at

-- name: of_gateway
SELECT part, condition, state FROM source WHERE gateway = %(gateway)s

-- name: homes_at
-- Where detectors hung at moments: the placement valid then, else the present one, else the last one.
SELECT q.detector, q.at, p.id AS placement, g.id AS grid, b.id AS building, h.id AS household, c.area,
    d.scrapped_at IS NULL AND (p.to_at IS NULL OR (p.from_at <= q.at AND p.to_at > q.at)) AS known
FROM unnest(%(detectors)s::text[], %(moments)s::timestamptz[]) AS q (detector, at)
CROSS JOIN LATERAL (
    SELECT * FROM placement
    WHERE detector = q.detector
    ORDER BY (from_at <= q.at AND (to_at IS NULL OR to_at > q.at)) DESC, (to_at IS NULL) DESC, from_at DESC
    LIMIT 1
) p
JOIN detector d ON d.id = p.detector
JOIN household h ON h.id = p.household
JOIN building b ON b.id = h.building
JOIN grid g ON g.id = b.grid
JOIN community c ON c.id = g.community

-- name: gateway_places
SELECT gw.id, gw.area, b.id AS building, b.grid FROM gateway gw LEFT JOIN building b ON b.id = gw.building
WHERE gw.id = ANY (%(gateways)s)

-- name: owners
SELECT detector, gateway FROM placement WHERE detector = ANY(%(detectors)s) AND to_at IS NULL

-- name: homes
-- The homes that gateways, or one line of theirs, watch now.
SELECT DISTINCT p.gateway, b.name AS building, h.unit, h.room
FROM placement p JOIN household h ON h.id = p.household JOIN building b ON b.id = h.building
WHERE p.gateway = ANY (%(gateways)s) AND p.to_at IS NULL AND (%(bus)s::text IS NULL OR p.bus = %(bus)s)
ORDER BY 1, 2, 3, 4

-- name: watch_state
SELECT detector, household, building, grid, gateway, bus, state FROM watch(%(now)s) ORDER BY detector
