-- name: add
INSERT INTO quarantine (received_at, topic, gateway, reason, payload)
VALUES (%(received_at)s, %(topic)s, %(gateway)s, %(reason)s, %(payload)s)
