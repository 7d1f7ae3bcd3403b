-- name: recipients
-- Active workers with one of the duties towards a place; the duty decides by what they belong to it.
SELECT w.id AS worker, c.rank, c.channel, c.address
FROM worker w JOIN contact c ON c.worker = w.id
WHERE w.active AND CASE %(target)s
    WHEN 'grid_primary' THEN EXISTS (SELECT FROM worker_grid g
        WHERE g.worker = w.id AND g.grid = %(grid)s AND g.duty = 'primary')
    WHEN 'grid_backup' THEN EXISTS (SELECT FROM worker_grid g
        WHERE g.worker = w.id AND g.grid = %(grid)s AND g.duty = 'backup')
    WHEN 'community_lead' THEN w.role = 'community_lead'
        AND w.community = (SELECT community FROM grid WHERE id = %(grid)s)
    WHEN 'dispatcher' THEN w.role = 'dispatcher'
        AND (w.area = %(area)s OR NOT EXISTS (SELECT FROM area WHERE id = %(area)s))
    WHEN 'installer' THEN w.role = 'installer' AND w.area = %(area)s
END
ORDER BY w.id, c.rank
