-- name: add
INSERT INTO api_token (hash, name, role, worker, made_at, expires_at)
VALUES (%(hash)s, %(name)s, %(role)s, %(worker)s, %(at)s, %(expires_at)s)
RETURNING id

-- name: find
SELECT id, name, role, worker FROM api_token
WHERE hash = %(hash)s AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > %(at)s)

-- name: name_in_use
SELECT EXISTS (SELECT FROM api_token WHERE name = %(name)s AND revoked_at IS NULL
               AND (expires_at IS NULL OR expires_at > %(at)s)) AS taken

-- name: revoke
UPDATE api_token SET revoked_at = %(at)s WHERE name = %(name)s AND revoked_at IS NULL

-- name: all
SELECT id, name, role, worker, made_at, expires_at, revoked_at FROM api_token ORDER BY id
