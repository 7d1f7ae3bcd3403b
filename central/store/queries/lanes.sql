-- name: begin_lane
INSERT INTO lane (gateway, stream, lane, cursor, area, first_at, last_at)
VALUES (%(gateway)s, %(stream)s, %(lane)s, 0, %(area)s, %(now)s, %(now)s)
ON CONFLICT (gateway, stream, lane) DO NOTHING

-- name: lock_lane
SELECT cursor, first_at FROM lane WHERE gateway = %(gateway)s AND stream = %(stream)s AND lane = %(lane)s
FOR UPDATE

-- name: move_cursor
UPDATE lane SET cursor = %(cursor)s, last_at = %(now)s
WHERE gateway = %(gateway)s AND stream = %(stream)s AND lane = %(lane)s

-- name: look_cursor
SELECT cursor FROM lane WHERE gateway = %(gateway)s AND stream = %(stream)s AND lane = %(lane)s

-- name: add_gap
INSERT INTO data_gap (gateway, stream, lane, from_seq, to_seq, noted_at)
VALUES (%(gateway)s, %(stream)s, %(lane)s, %(from_seq)s, %(to_seq)s, %(now)s)

-- name: report
-- What is stored of each lane of events, to be held against `smokewatch-edge outbox`.
SELECT l.area, l.gateway, l.stream, l.cursor, l.last_at,
    count(e.seq) AS events, count(DISTINCT e.seq) AS distinct_events, coalesce(max(e.seq), 0) AS highest_seq,
    (SELECT count(*) FROM data_gap g
     WHERE g.gateway = l.gateway AND g.stream = l.stream AND g.lane = 'events') AS gaps
FROM lane l LEFT JOIN event e ON e.gateway = l.gateway AND e.stream = l.stream
WHERE l.lane = 'events'
GROUP BY l.gateway, l.stream, l.lane
ORDER BY l.gateway, l.first_at
