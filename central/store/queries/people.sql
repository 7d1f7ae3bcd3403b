-- name: holders
-- Who has a duty towards places, always or by a shift, who is named besides, and who stands in for those on leave;
-- with contacts (none of who is not active), shift and leave. The duty decides by what they belong to it.
WITH held AS (
    SELECT q.grid, q.area, d.target, d.worker, d.shift
    FROM unnest(%(grids)s::text[], %(areas)s::text[]) AS q (grid, area)
    CROSS JOIN LATERAL (
        SELECT worker, 'grid_' || duty AS target, NULL::bigint AS shift FROM worker_grid WHERE grid = q.grid
        UNION ALL
        SELECT id, 'community_lead', NULL FROM worker
        WHERE role = 'community_lead' AND community = (SELECT community FROM grid WHERE id = q.grid)
        UNION ALL
        SELECT id, 'dispatcher', NULL FROM worker
        WHERE role = 'dispatcher' AND (area = q.area OR NOT EXISTS (SELECT FROM area WHERE id = q.area))
        UNION ALL
        SELECT id, 'installer', NULL FROM worker WHERE role = 'installer' AND area = q.area
        UNION ALL
        SELECT worker, duty, id FROM shift
        WHERE grid = q.grid AND from_day <= %(last_day)s AND (to_day IS NULL OR to_day >= %(first_day)s)
        UNION ALL
        SELECT worker, duty, id FROM shift
        WHERE grid IS NULL AND area = q.area AND from_day <= %(last_day)s AND (to_day IS NULL OR to_day >= %(first_day)s)
    ) d
    UNION ALL
    SELECT NULL, '', 'worker:' || worker, worker, NULL FROM unnest(%(named)s::text[]) AS n (worker)
), away AS (
    SELECT worker, jsonb_agg(jsonb_build_array(begins, ends, substitute)) AS leaves, array_agg(substitute) AS substitutes
    FROM leave WHERE ends > %(since)s AND begins <= %(until)s GROUP BY worker
), wanted AS (
    SELECT * FROM held
    UNION ALL
    SELECT DISTINCT NULL, '', '', s.substitute, NULL::bigint
    FROM away CROSS JOIN LATERAL unnest(substitutes) AS s (substitute)
    WHERE s.substitute IS NOT NULL AND worker IN (SELECT worker FROM held)
)
SELECT q.grid, q.area, q.target, w.id AS worker, w.role, c.rank, c.channel, c.address,
    q.shift, s.from_day, s.to_day, s.weekdays, s.begins, s.ends, s.grid IS NOT NULL AS of_grid, away.leaves
FROM wanted q
JOIN worker w ON w.id = q.worker
LEFT JOIN contact c ON c.worker = w.id AND w.active
LEFT JOIN shift s ON s.id = q.shift
LEFT JOIN away ON away.worker = w.id
ORDER BY q.grid, q.area, q.target, w.id, c.rank

-- name: names
SELECT id, name FROM worker WHERE id = ANY(%(workers)s)

-- name: families
-- Rows are written only where something is new or has changed: an alarm must not wait for another one's.
WITH kin AS (
    SELECT DISTINCT ON (replace(replace(family_phone, ' ', ''), '-', ''))
        'family-' || left(encode(sha256(convert_to(id, 'UTF8')), 'hex'), 24) AS worker, family_name AS name,
        family_phone AS address
    FROM resident
    WHERE household = %(household)s AND family_phone <> '' AND EXISTS (SELECT FROM area WHERE id = %(area)s)
    ORDER BY replace(replace(family_phone, ' ', ''), '-', ''), id
), ways AS (
    SELECT kin.worker, (c.n - 1)::int AS rank, c.channel, kin.address
    FROM kin CROSS JOIN unnest(%(channels)s::text[]) WITH ORDINALITY AS c (channel, n)
), made AS (
    INSERT INTO worker (id, area, name, role)
    SELECT worker, %(area)s, name, 'family' FROM kin WHERE NOT EXISTS (SELECT FROM worker w WHERE w.id = kin.worker)
    ON CONFLICT DO NOTHING
), renamed AS (
    UPDATE worker w SET name = kin.name, active = true FROM kin
    WHERE w.id = kin.worker AND (w.name <> kin.name OR NOT w.active)
), added AS (
    INSERT INTO contact (worker, rank, channel, address)
    SELECT worker, rank, channel, address FROM ways
    WHERE NOT EXISTS (SELECT FROM contact c WHERE c.worker = ways.worker AND c.rank = ways.rank)
    ON CONFLICT DO NOTHING
), changed AS (
    UPDATE contact c SET channel = ways.channel, address = ways.address FROM ways
    WHERE c.worker = ways.worker AND c.rank = ways.rank AND (c.channel, c.address) <> (ways.channel, ways.address)
)
SELECT worker, address FROM kin ORDER BY worker

-- name: forget_numbers | forget_names
-- {do}: DELETE FROM contact c USING worker w WHERE c.worker = w.id AND | UPDATE worker w SET name = '-', active = false WHERE w.name <> '-' AND
{do} w.role = 'family' AND NOT EXISTS (
    SELECT FROM resident r WHERE r.family_phone <> ''
    AND w.id = 'family-' || left(encode(sha256(convert_to(r.id, 'UTF8')), 'hex'), 24))
