-- name: note
-- New, or how often it has been told by now; whoever tells the same at the same time waits here.
INSERT INTO receipt (channel, once, at) VALUES (%(channel)s, %(once)s, %(now)s)
ON CONFLICT (channel, once) DO UPDATE SET times = receipt.times + 1 RETURNING id, times, outcome

-- name: conclude
UPDATE receipt SET outcome = %(outcome)s WHERE id = %(id)s

-- name: named
-- The messages that a provider calls by this name.
SELECT d.*, a.round AS alarm_round, a.state <> 'closed' AND a.round = d.round
    AND CASE d.purpose WHEN 'alarm' THEN a.acknowledged_at IS NULL WHEN 'disposition' THEN a.disposition IS NULL
        ELSE true END AS needed,
    w.active AND w.role <> ALL (%(onlookers)s) AS may_take
FROM delivery d JOIN alarm a ON a.id = d.alarm JOIN worker w ON w.id = d.worker
WHERE d.channel = %(channel)s
    AND d.id IN (SELECT delivery FROM attempt WHERE provider_id = %(provider_id)s AND outcome = 'sent')
ORDER BY d.id

-- name: settle
-- A receipt stays, whatever is told later.
UPDATE delivery SET receipt = %(receipt)s, receipt_due_at = NULL
WHERE id = ANY (%(deliveries)s) AND receipt <> 'received'

-- name: missing
-- Sent, and not received in time. A time further ahead than any that we set comes from a clock that was set back since.
WITH late AS (
    SELECT id FROM delivery WHERE receipt_due_at <= %(now)s OR receipt_due_at > %(now)s + interval '2 minutes'
    ORDER BY receipt_due_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED
)
UPDATE delivery d SET receipt_due_at = NULL, receipt = 'none' FROM late, alarm a WHERE d.id = late.id AND a.id = d.alarm
RETURNING d.*, a.state <> 'closed' AND a.round = d.round
    AND CASE d.purpose WHEN 'alarm' THEN a.acknowledged_at IS NULL ELSE a.disposition IS NULL END AS needed

-- name: forget
DELETE FROM receipt WHERE id IN (SELECT id FROM receipt WHERE at < %(before)s ORDER BY at LIMIT %(piece)s)
