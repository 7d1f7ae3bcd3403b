-- name: take
-- A clock that was set back grants nothing extra and keeps nothing back: the bucket then counts from now.
INSERT INTO pace AS p (channel, address, urgent, tokens, granted, at)
SELECT %(channel)s, q.address, %(urgent)s, %(burst)s - least(q.wanted, %(burst)s), least(q.wanted, %(burst)s), %(now)s
FROM unnest(%(addresses)s::text[], %(wanted)s::int[]) AS q (address, wanted)
ON CONFLICT (channel, address, urgent) DO UPDATE SET
    granted = least(excluded.granted, floor(least(%(burst)s,
        p.tokens + greatest(0, extract(epoch FROM %(now)s - p.at)) / %(every_s)s)))::int,
    tokens = least(%(burst)s, p.tokens + greatest(0, extract(epoch FROM %(now)s - p.at)) / %(every_s)s)
        - least(excluded.granted, floor(least(%(burst)s,
            p.tokens + greatest(0, extract(epoch FROM %(now)s - p.at)) / %(every_s)s))),
    at = %(now)s
RETURNING address, granted, tokens

-- name: next
-- When the next empty bucket of a channel holds one again.
SELECT min(at + make_interval(secs => (1 - tokens) * %(every_s)s)) AS at FROM pace
WHERE channel = %(channel)s AND urgent = %(urgent)s AND tokens < 1
    AND at + make_interval(secs => (1 - tokens) * %(every_s)s) > %(now)s

-- name: forget
DELETE FROM pace WHERE at < %(before)s
