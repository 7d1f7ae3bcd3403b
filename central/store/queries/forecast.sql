-- name: sizes
-- Bytes with indexes, of a plain table or of all chunks of a hypertable, and about how many rows it has.
SELECT t.name, pg_total_relation_size(t.name::regclass) + coalesce(sum(pg_total_relation_size(c.oid)), 0)::bigint AS bytes,
    (greatest(min(r.reltuples), 0) + coalesce(sum(greatest(c.reltuples, 0)), 0))::bigint AS row_count
FROM unnest(%(names)s::text[]) AS t (name)
JOIN pg_class r ON r.oid = t.name::regclass
LEFT JOIN pg_inherits i ON i.inhparent = r.oid
LEFT JOIN pg_class c ON c.oid = i.inhrelid
GROUP BY t.name

-- name: daily
-- What the last whole day with readings brought: readings, and buckets by minute, hour and day.
SELECT coalesce(sum(n), 0)::bigint AS readings, coalesce(sum(least(n, 1440)), 0)::bigint AS minutes,
    coalesce(sum(least(n, 24)), 0)::bigint AS hours, count(*) AS days, max(bucket) AS day
FROM rollup_day WHERE bucket = (SELECT max(bucket) FROM rollup_day WHERE bucket <= %(now)s - interval '1 day')

-- name: events
SELECT count(*) AS events FROM event WHERE recorded_at > %(now)s - interval '1 day'
