-- name: detectors_to_judge
-- Detectors that hang somewhere and were not judged on this day.
SELECT p.detector AS part, p.gateway, c.area, d.profile,
    (p.from_at AT TIME ZONE 'Asia/Shanghai')::date AS fitted_on
FROM placement p
JOIN detector d ON d.id = p.detector
JOIN household h ON h.id = p.household
JOIN building b ON b.id = h.building
JOIN grid g ON g.id = b.grid
JOIN community c ON c.id = g.community
LEFT JOIN judged j ON j.gateway = p.gateway AND j.part = p.detector
WHERE p.to_at IS NULL AND coalesce(j.day < %(today)s, true)
ORDER BY p.detector LIMIT %(limit)s

-- name: gateways_to_judge
SELECT g.id AS gateway, g.area FROM gateway g
LEFT JOIN judged j ON j.gateway = g.id AND j.part = ''
WHERE g.retired_at IS NULL AND coalesce(j.day < %(today)s, true)
ORDER BY g.id LIMIT %(limit)s

-- name: note_judged
INSERT INTO judged (gateway, part, day)
SELECT q.gateway, q.part, %(today)s FROM unnest(%(gateways)s::text[], %(parts)s::text[]) AS q (gateway, part)
ON CONFLICT (gateway, part) DO UPDATE SET day = excluded.day

-- name: days
SELECT x.gateway, x.detector, (r.bucket AT TIME ZONE 'Asia/Shanghai')::date AS day,
    r.smoke_min, r.smoke_max, r.smoke_sum, r.smoke_n,
    r.temperature_min, r.temperature_max, r.temperature_sum, r.temperature_n,
    r.battery_min, r.battery_max, r.battery_sum, r.battery_n,
    r.contamination_min, r.contamination_max, r.contamination_sum, r.contamination_n
FROM unnest(%(gateways)s::text[], %(detectors)s::text[]) AS q (gateway, detector)
JOIN series x ON x.gateway = q.gateway AND x.detector = q.detector
JOIN rollup_day r ON r.series = x.id AND r.bucket >= %(since)s
ORDER BY x.id, r.bucket

-- name: smoke_hours
SELECT x.gateway, x.detector, (r.bucket AT TIME ZONE 'Asia/Shanghai')::date AS day,
    extract(hour FROM r.bucket AT TIME ZONE 'Asia/Shanghai')::int AS hour,
    r.smoke_min, r.smoke_max, r.smoke_sum, r.smoke_n
FROM unnest(%(gateways)s::text[], %(detectors)s::text[]) AS q (gateway, detector)
JOIN series x ON x.gateway = q.gateway AND x.detector = q.detector
JOIN rollup_hour r ON r.series = x.id AND r.bucket >= %(since)s AND r.smoke_n > 0
ORDER BY x.id, r.bucket

-- name: peers
-- Detectors of a model in an area, as many as tell how it behaves.
SELECT p.gateway, p.detector FROM placement p
JOIN detector d ON d.id = p.detector
JOIN gateway g ON g.id = p.gateway
WHERE p.to_at IS NULL AND d.profile = %(profile)s AND g.area = %(area)s
ORDER BY p.detector LIMIT %(limit)s

-- name: findings
SELECT f.gateway, f.part, f.body FROM finding f
JOIN unnest(%(gateways)s::text[], %(parts)s::text[]) AS q (gateway, part) ON f.gateway = q.gateway AND f.part = q.part

-- name: forget_findings
DELETE FROM finding f USING unnest(%(gateways)s::text[], %(parts)s::text[]) AS q (gateway, part)
WHERE f.gateway = q.gateway AND f.part = q.part

-- name: keep_findings
INSERT INTO finding (gateway, part, rule, body)
SELECT gateway, part, rule, body FROM json_to_recordset(%(rows)s::json)
    AS r (gateway text, part text, rule text, body jsonb)

-- name: homeless
-- Findings about detectors that do not hang by that gateway any more.
SELECT DISTINCT f.gateway, f.part, g.area FROM finding f JOIN gateway g ON g.id = f.gateway
WHERE f.part <> '' AND NOT EXISTS (
    SELECT FROM placement p WHERE p.detector = f.part AND p.gateway = f.gateway AND p.to_at IS NULL)
LIMIT %(limit)s

-- name: note_clocks
INSERT INTO clock_sample (gateway, hour, at, boot, synchronised, offset_s)
SELECT gateway, date_trunc('hour', %(at)s::timestamptz), %(at)s, boot, synchronised, offset_s
FROM json_to_recordset(%(rows)s::json) AS r (gateway text, boot text, synchronised boolean, offset_s float8)
ON CONFLICT (gateway, hour) DO NOTHING

-- name: clock_samples
-- Of the last boot, and of others when their clock was known to be right.
SELECT c.gateway, c.at, c.offset_s FROM clock_sample c
WHERE c.gateway = ANY (%(gateways)s) AND c.at >= %(since)s AND (c.synchronised OR c.boot = (
    SELECT l.boot FROM clock_sample l WHERE l.gateway = c.gateway ORDER BY l.hour DESC LIMIT 1))
ORDER BY c.gateway, c.at

-- name: forget_clock_samples
DELETE FROM clock_sample WHERE at < %(before)s
