-- name: digests
SELECT seq, digest FROM event
WHERE gateway = %(gateway)s AND stream = %(stream)s AND (seq BETWEEN %(first)s AND %(last)s OR seq > %(cursor)s)

-- name: elsewhere
-- What the gateway told under other streams in this boot, within the monotonic span of a batch.
SELECT mono_ms, kind, condition, detector, bus FROM event
WHERE gateway = %(gateway)s AND boot = %(boot)s AND mono_ms BETWEEN %(from_ms)s AND %(to_ms)s
  AND stream <> %(stream)s

-- name: insert_event
INSERT INTO event (area, gateway, stream, seq, digest, kind, condition, detector, bus, value, event_at, quality,
                   raw_at, received_at, recorded_at, boot, mono_ms, config_version, body, failed)
VALUES (%(area)s, %(gateway)s, %(stream)s, %(seq)s, %(digest)s, %(kind)s, %(condition)s, %(detector)s, %(bus)s,
        %(value)s, %(event_at)s, %(quality)s, %(raw_at)s, %(received_at)s, %(recorded_at)s, %(boot)s, %(mono_ms)s,
        %(config_version)s, %(body)s, %(failed)s)
RETURNING id

-- name: mark_failed
UPDATE event SET failed = %(failed)s WHERE id = %(id)s
