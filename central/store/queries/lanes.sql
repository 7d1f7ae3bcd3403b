-- name: begin_lanes
-- Which stream is the newer one is told by first_at: after a clock that was set back it must still be the later.
INSERT INTO lane (gateway, stream, lane, cursor, area, first_at, last_at)
SELECT gateway, stream, %(lane)s, 0, area, greatest(%(now)s, (
        SELECT max(l.first_at) + interval '1 millisecond' FROM lane l
        WHERE l.gateway = r.gateway AND l.lane = %(lane)s)), %(now)s
FROM json_to_recordset(%(rows)s::json) AS r (area text, gateway text, stream text)
ORDER BY gateway, stream
ON CONFLICT (gateway, stream, lane) DO NOTHING

-- name: lock_lanes
-- In one order, whoever asks.
SELECT l.gateway, l.stream, l.cursor, l.first_at
FROM lane l JOIN unnest(%(gateways)s::text[], %(streams)s::text[]) AS q (gateway, stream)
    ON l.gateway = q.gateway AND l.stream = q.stream
WHERE l.lane = %(lane)s
ORDER BY l.gateway, l.stream FOR UPDATE OF l

-- name: move_cursors
UPDATE lane SET cursor = r.cursor, last_at = %(now)s
FROM json_to_recordset(%(rows)s::json) AS r (gateway text, stream text, cursor bigint)
WHERE lane.gateway = r.gateway AND lane.stream = r.stream AND lane.lane = %(lane)s

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
