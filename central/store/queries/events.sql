-- name: digests
-- What is stored of the rows of batches, and above the cursors.
SELECT q.gateway, q.stream, e.seq, e.digest
FROM unnest(%(gateways)s::text[], %(streams)s::text[], %(firsts)s::bigint[], %(lasts)s::bigint[])
    AS q (gateway, stream, first, last)
LEFT JOIN lane l ON l.gateway = q.gateway AND l.stream = q.stream AND l.lane = 'events'
CROSS JOIN LATERAL (
    SELECT seq, digest FROM event
    WHERE gateway = q.gateway AND stream = q.stream AND seq BETWEEN q.first AND q.last
    UNION ALL
    SELECT seq, digest FROM event
    WHERE gateway = q.gateway AND stream = q.stream AND seq > coalesce(l.cursor, 0) AND seq NOT BETWEEN q.first AND q.last
) e

-- name: elsewhere
-- What gateways told under other streams in the same boot, within the monotonic span of a batch.
SELECT q.gateway, q.stream, e.mono_ms, e.kind, e.condition, e.detector, e.bus
FROM unnest(%(gateways)s::text[], %(streams)s::text[], %(boots)s::text[], %(firsts)s::bigint[], %(lasts)s::bigint[])
    AS q (gateway, stream, boot, first, last)
JOIN event e ON e.gateway = q.gateway AND e.boot = q.boot AND e.mono_ms BETWEEN q.first AND q.last
    AND e.stream <> q.stream

-- name: insert_events
INSERT INTO event (area, gateway, stream, seq, digest, kind, condition, detector, bus, value, event_at, quality,
                   raw_at, received_at, recorded_at, boot, mono_ms, config_version, body, failed)
SELECT area, gateway, stream, seq, decode(digest, 'base64'), kind, condition, detector, bus, value, event_at, quality,
       raw_at, received_at, recorded_at, boot, mono_ms, config_version, decode(body, 'base64'), failed
FROM json_to_recordset(%(rows)s::json) AS r (
    area text, gateway text, stream text, seq bigint, digest text, kind text, condition text, detector text, bus text,
    value double precision, event_at timestamptz, quality text, raw_at timestamptz, received_at timestamptz,
    recorded_at timestamptz, boot text, mono_ms bigint, config_version bigint, body text, failed text)
ORDER BY gateway, stream, seq
RETURNING id, gateway, stream, seq

-- name: mark_failed
UPDATE event SET failed = %(failed)s WHERE id = %(id)s
