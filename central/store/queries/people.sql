-- name: recipients
-- Active workers with a duty towards places, for each place and duty; the duty decides by what they belong to it.
SELECT q.grid, q.area, d.target, w.id AS worker, c.rank, c.channel, c.address
FROM unnest(%(grids)s::text[], %(areas)s::text[]) AS q (grid, area)
CROSS JOIN LATERAL (
    SELECT worker, 'grid_' || duty AS target FROM worker_grid WHERE grid = q.grid
    UNION ALL
    SELECT id, 'community_lead' FROM worker
    WHERE role = 'community_lead' AND community = (SELECT community FROM grid WHERE id = q.grid)
    UNION ALL
    SELECT id, 'dispatcher' FROM worker
    WHERE role = 'dispatcher' AND (area = q.area OR NOT EXISTS (SELECT FROM area WHERE id = q.area))
    UNION ALL
    SELECT id, 'installer' FROM worker WHERE role = 'installer' AND area = q.area
) d
JOIN worker w ON w.id = d.worker AND w.active
JOIN contact c ON c.worker = w.id
ORDER BY q.grid, q.area, d.target, w.id, c.rank
