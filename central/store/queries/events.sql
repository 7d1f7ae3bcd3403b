-- name: digests
-- What is stored of the rows of a batch, and above the cursor.
SELECT seq, digest FROM event
WHERE gateway = %(gateway)s AND stream = %(stream)s AND seq BETWEEN %(first)s AND %(last)s
UNION ALL
SELECT seq, digest FROM event
WHERE gateway = %(gateway)s AND stream = %(stream)s AND seq > %(cursor)s AND seq NOT BETWEEN %(first)s AND %(last)s

-- name: elsewhere
-- What the gateway told under other streams in this boot, within the monotonic span of a batch.
SELECT mono_ms, kind, condition, detector, bus FROM event
WHERE gateway = %(gateway)s AND boot = %(boot)s AND mono_ms BETWEEN %(from_ms)s AND %(to_ms)s
  AND stream <> %(stream)s

-- name: insert_events
-- Ids in the order of the rows.
WITH stored AS (
    INSERT INTO event (area, gateway, stream, seq, digest, kind, condition, detector, bus, value, event_at, quality,
                       raw_at, received_at, recorded_at, boot, mono_ms, config_version, body, failed)
    SELECT area, gateway, stream, seq, decode(digest, 'base64'), kind, condition, detector, bus, value, event_at, quality,
           raw_at, received_at, recorded_at, boot, mono_ms, config_version, decode(body, 'base64'), failed
    FROM json_to_recordset(%(rows)s::json) AS r (
        area text, gateway text, stream text, seq bigint, digest text, kind text, condition text, detector text, bus text,
        value double precision, event_at timestamptz, quality text, raw_at timestamptz, received_at timestamptz,
        recorded_at timestamptz, boot text, mono_ms bigint, config_version bigint, body text, failed text)
    ORDER BY seq
    RETURNING id, seq
)
SELECT id FROM stored ORDER BY seq

-- name: mark_failed
UPDATE event SET failed = %(failed)s WHERE id = %(id)s
