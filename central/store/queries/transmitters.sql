-- name: area
SELECT area FROM gateway WHERE id = %(gateway)s AND retired_at IS NULL
