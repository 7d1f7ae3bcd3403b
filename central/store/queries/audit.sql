-- name: add
INSERT INTO audit (at, who, from_where, action, subject, detail)
VALUES (%(at)s, %(who)s, %(from_where)s, %(action)s, %(subject)s, %(detail)s)

-- name: add_all
INSERT INTO audit (at, who, from_where, action, subject, detail)
SELECT %(at)s, %(who)s, %(from_where)s, %(action)s, q.subject, q.detail
FROM unnest(%(subjects)s::text[], %(details)s::jsonb[]) AS q (subject, detail)

-- name: about
SELECT id, at, who, from_where, action, subject, detail FROM audit
WHERE subject = %(subject)s ORDER BY at, id
