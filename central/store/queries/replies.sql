-- name: senders
-- Whose number it is, in any of the forms in which it may stand in a contact.
SELECT DISTINCT w.id, w.language FROM contact c JOIN worker w ON w.id = c.worker
WHERE w.active AND w.role <> ALL (%(onlookers)s) AND replace(replace(c.address, ' ', ''), '-', '') = ANY (%(forms)s) ORDER BY w.id

-- name: told
-- The open alarms of which somebody was told, in their present round.
SELECT a.id, a.acknowledged_at IS NULL AS waits FROM alarm a
WHERE a.state <> 'closed' AND EXISTS (
    SELECT FROM delivery d WHERE d.worker = %(worker)s AND d.alarm = a.id AND d.round = a.round AND d.purpose = 'alarm')
ORDER BY a.id

-- name: answer
INSERT INTO answer (channel, address, language, text, made_at, due_at)
VALUES (%(channel)s, %(address)s, %(language)s, %(text)s, %(now)s, %(now)s)

-- name: claim
-- A time further ahead than any that we set comes from a clock that was set back since.
WITH chosen AS (
    SELECT id FROM answer
    WHERE channel = ANY (%(channels)s) AND (state = 'pending'
            AND (due_at <= %(now)s OR due_at > %(now)s + interval '10 minutes')
        OR state = 'sending' AND (claimed_until < %(now)s OR claimed_until > %(now)s + interval '5 minutes'))
    ORDER BY id LIMIT %(limit)s FOR UPDATE SKIP LOCKED
)
UPDATE answer a SET state = 'sending', attempts = a.attempts + 1, claimed_until = %(until)s
FROM chosen WHERE a.id = chosen.id
RETURNING a.id, a.channel, a.address, a.language, a.text, a.attempts, a.made_at

-- name: end
UPDATE answer SET state = %(state)s, why = %(why)s, due_at = coalesce(%(due_at)s, due_at), claimed_until = NULL
WHERE id = %(id)s AND state = 'sending' AND attempts = %(attempts)s

-- name: forget
DELETE FROM answer WHERE id IN (SELECT id FROM answer WHERE made_at < %(before)s ORDER BY id LIMIT %(piece)s)
