-- name: enqueue
INSERT INTO delivery (key, alarm, purpose, round, step, worker, rank, channel, address, urgent, made_at, due_at)
SELECT key, alarm, purpose, round, step, worker, rank, channel, address, urgent, %(now)s, %(now)s
FROM ROWS FROM (json_to_recordset(%(rows)s::json) AS (
    key text, alarm bigint, purpose text, round int, step int, worker text, rank int, channel text, address text,
    urgent boolean)) WITH ORDINALITY AS r (key, alarm, purpose, round, step, worker, rank, channel, address, urgent, n)
ORDER BY n
ON CONFLICT (key) DO NOTHING

-- name: call_off
-- One that a worker is claiming right now is passed over: it looks at the alarm itself before it sends.
UPDATE delivery SET state = 'cancelled', reason = %(reason)s
WHERE id IN (SELECT id FROM delivery
             WHERE alarm = ANY(%(alarms)s) AND state = 'pending' AND purpose <> 'closed' FOR UPDATE SKIP LOCKED)

-- name: as_written
-- The order of joins is that in which they are written, for this transaction: to look for a better one takes the
-- planner several milliseconds, and a fire waits.
SELECT set_config('join_collapse_limit', '1', true)

-- name: claim
-- What is due on one channel, or whose claimer died, of the people who have waited longest: all of what waits for each,
-- so that it may go out as one message. Rows that another worker holds are passed over. A time further ahead than any
-- that we plan comes from a clock that was set back since.
WITH people AS (
    SELECT worker, address FROM delivery
    WHERE state IN ('pending', 'sending') AND urgent = %(urgent)s
      AND CASE WHEN %(channel)s::text IS NULL THEN channel <> ALL(%(known)s::text[]) ELSE channel = %(channel)s END
      AND (due_at <= %(now)s OR due_at > %(now)s + CASE WHEN attempts = 0 THEN %(pause)s ELSE %(longest_wait)s END)
      AND (state = 'pending' OR claimed_until < %(now)s OR claimed_until > %(now)s + interval '3 minutes')
      AND (NOT %(merges)s OR NOT EXISTS (
        -- They would only be put back: so many have gone to this address that the next must wait a moment.
        SELECT FROM pace p WHERE p.channel = delivery.channel AND p.address = delivery.address
            AND p.urgent = delivery.urgent AND p.at <= %(now)s
            AND p.tokens + extract(epoch FROM %(now)s - p.at) / %(every_s)s < 1))
    GROUP BY worker, address ORDER BY bool_or(attempts = 0) DESC, min(due_at), min(id) LIMIT %(people)s
), chosen AS (
    SELECT id FROM delivery
    WHERE state IN ('pending', 'sending') AND urgent = %(urgent)s
      AND CASE WHEN %(channel)s::text IS NULL THEN channel <> ALL(%(known)s::text[]) ELSE channel = %(channel)s END
      AND (due_at <= %(now)s OR due_at > %(now)s + CASE WHEN attempts = 0 THEN %(pause)s ELSE %(longest_wait)s END)
      AND (state = 'pending' OR claimed_until < %(now)s OR claimed_until > %(now)s + interval '3 minutes')
      AND (worker, address) IN (SELECT worker, address FROM people)
    ORDER BY (attempts = 0) DESC, due_at, id LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
), taken AS (
    UPDATE delivery d SET state = 'sending', attempts = d.attempts + 1, claimed_until = %(until)s
    FROM chosen WHERE d.id = chosen.id
    RETURNING d.*
), buried AS (
    -- Earlier tries whose worker never said how they ended.
    UPDATE attempt SET outcome = 'died', finished_at = %(now)s,
        error = 'the worker ended before it could say how it went'
    FROM taken WHERE attempt.delivery = taken.id AND attempt.number < taken.attempts AND attempt.outcome IS NULL
), started AS (
    INSERT INTO attempt (delivery, number, started_at) SELECT id, attempts, %(now)s FROM taken
)
SELECT t.id, t.key, t.alarm, t.purpose, t.round, t.step, t.worker, t.rank, t.channel, t.address, t.urgent,
    t.attempts AS number, t.made_at, w.language, w.role, w.active AS worker_active,
    a.state AS alarm_state, a.round AS alarm_round, a.acknowledged_at IS NOT NULL AS acknowledged,
    a.disposition IS NOT NULL AS disposed, a.offered_to
FROM taken t JOIN alarm a ON a.id = t.alarm JOIN worker w ON w.id = t.worker
ORDER BY t.urgent DESC, t.due_at, t.id

-- name: untried
-- Claimed, and no try was made after all: they wait, or are over.
WITH q AS (
    SELECT * FROM unnest(%(deliveries)s::bigint[], %(numbers)s::int[]) AS q (delivery, number)
), dropped AS (
    DELETE FROM attempt USING q WHERE attempt.delivery = q.delivery AND attempt.number = q.number
)
UPDATE delivery SET attempts = attempts - 1, state = %(state)s, claimed_until = NULL, reason = %(reason)s,
    due_at = coalesce(%(due_at)s, due_at)
FROM q WHERE delivery.id = q.delivery AND delivery.attempts = q.number

-- name: end_attempt
UPDATE attempt SET finished_at = %(now)s, outcome = %(outcome)s, error = %(error)s
WHERE delivery = %(delivery)s AND number = %(number)s

-- name: sent
-- The tries went well, and that ends these messages, whoever holds them now.
WITH q AS (
    SELECT * FROM unnest(%(deliveries)s::bigint[], %(numbers)s::int[]) AS q (delivery, number)
), ended AS (
    UPDATE attempt SET finished_at = %(now)s, outcome = 'sent', provider_id = %(provider_id)s
    FROM q WHERE attempt.delivery = q.delivery AND attempt.number = q.number
)
UPDATE delivery SET state = 'sent', claimed_until = NULL, reason = '', sent_at = %(now)s,
    receipt_due_at = CASE WHEN purpose IN ('alarm', 'disposition') AND receipt = '' THEN %(receipt_due_at)s::timestamptz END
WHERE id = ANY (%(deliveries)s)

-- name: lock
SELECT d.state, d.attempts, a.state AS alarm_state, a.round AS alarm_round,
    a.acknowledged_at IS NOT NULL AS acknowledged, a.disposition IS NOT NULL AS disposed, a.offered_to
FROM delivery d JOIN alarm a ON a.id = d.alarm WHERE d.id = %(delivery)s FOR UPDATE OF d

-- name: mark
UPDATE delivery SET state = %(state)s, claimed_until = NULL, reason = %(reason)s, due_at = coalesce(%(due_at)s, due_at)
WHERE id = %(delivery)s

-- name: contacts
SELECT c.worker, c.rank, c.channel, c.address FROM contact c JOIN worker w ON w.id = c.worker
WHERE c.worker = ANY (%(workers)s) AND w.active ORDER BY c.worker, c.rank

-- name: of_alarm
SELECT d.*, w.name AS worker_name,
    (SELECT t.error FROM attempt t WHERE t.delivery = d.id ORDER BY t.number DESC LIMIT 1) AS last_error
FROM delivery d JOIN worker w ON w.id = d.worker WHERE d.alarm = %(alarm)s ORDER BY d.id

-- name: attempts
SELECT * FROM attempt WHERE delivery = %(delivery)s ORDER BY number

-- name: backlog
-- Untried or unfinished messages, and for how long the oldest of them has been waiting (s).
SELECT count(*) AS waiting, count(*) FILTER (WHERE urgent) AS urgent,
    count(*) FILTER (WHERE due_at < %(now)s - interval '30 seconds'
        AND (claimed_until IS NULL OR claimed_until < %(now)s)) AS overdue,
    coalesce(extract(epoch FROM %(now)s - min(due_at)), 0)::float8 AS oldest_s
FROM delivery WHERE state IN ('pending', 'sending') AND due_at <= %(now)s

-- name: open_by_severity
SELECT s.severity, count(a.id) AS n FROM unnest(ARRAY['life', 'unwatched', 'care', 'note']) AS s (severity)
LEFT JOIN alarm a ON a.severity = s.severity AND a.state <> 'closed' GROUP BY s.severity
