-- name: make
INSERT INTO link (hash, alarm, worker, delivery, made_at, expires_at)
VALUES (%(hash)s, %(alarm)s, %(worker)s, %(delivery)s, %(now)s, %(expires_at)s)

-- name: add_alarms
INSERT INTO link_alarm (hash, alarm, position)
SELECT %(hash)s, q.alarm, q.position FROM unnest(%(alarms)s::bigint[]) WITH ORDINALITY AS q (alarm, position)

-- name: find
SELECT l.alarm, ARRAY(SELECT m.alarm FROM link_alarm m WHERE m.hash = l.hash ORDER BY m.position) AS more, l.worker, w.name AS worker_name, w.role, w.language, l.delivery, l.made_at, l.expires_at, l.revoked_at, w.active
FROM link l JOIN worker w ON w.id = l.worker WHERE l.hash = %(hash)s

-- name: revoke_of_worker
UPDATE link SET revoked_at = %(now)s WHERE worker = %(worker)s AND revoked_at IS NULL

-- name: forget
DELETE FROM link WHERE expires_at < %(before)s
