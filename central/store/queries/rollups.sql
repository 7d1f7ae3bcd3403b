-- name: note
INSERT INTO touched (gateway, low, high)
SELECT q.gateway, timestamptz '2000-01-01 00:00+00' + q.low * interval '1 microsecond',
    timestamptz '2000-01-01 00:00+00' + q.high * interval '1 microsecond'
FROM unnest(%(gateways)s::text[], %(lows)s::bigint[], %(highs)s::bigint[]) AS q (gateway, low, high)

-- name: alone
-- One job rolls up at a time: it would overwrite what another has seen more of. A fresh chunk has no statistics yet:
-- the planner is told that each series is looked up by its index.
SELECT pg_try_advisory_xact_lock(%(key)s) AS held, set_config('enable_seqscan', 'off', true),
    set_config('enable_bitmapscan', 'off', true), set_config(%(option)s, 'off', true)

-- name: take_touched
-- Rows that are visible, and so are the readings they speak of: both were committed at once. Whole minutes come back.
-- All rows of a gateway together: each message leaves one, and a minute is made anew once for all of them. Who has
-- waited longest comes first. After an outage a few gateways have enough for one transaction.
WITH waiting AS (
    SELECT gateway, min(ctid) AS first, count(*) AS n FROM touched GROUP BY gateway
), taken AS (
    DELETE FROM touched WHERE gateway IN (
        SELECT gateway FROM (SELECT gateway, first, sum(n) OVER (ORDER BY first) - n AS before FROM waiting) w
        WHERE before < %(rows)s ORDER BY first LIMIT %(piece)s)
    RETURNING gateway, low, high, date_bin('1 hour', low, '2000-01-01 00:00+08') AS hour
), counted AS (
    SELECT gateway, hour, min(low) AS low, max(high) AS high FROM taken GROUP BY gateway, hour
)
SELECT gateway, hour, date_bin('1 minute', low, '2000-01-01 00:00+08') AS low,
    date_bin('1 minute', high, '2000-01-01 00:00+08') + interval '1 minute' AS high
FROM counted ORDER BY hour, gateway

-- name: count_touched
SELECT count(DISTINCT gateway) AS n FROM touched

-- name: roll_minutes
-- From what is stored now; the same again changes nothing. A bucket never loses readings: they may be forgotten.
-- Last readings: of readings that share a moment the one received last counts, then the highest.
WITH minutes AS MATERIALIZED (
    SELECT s.id AS series, m.*
    FROM unnest(%(gateways)s::text[], %(lows)s::timestamptz[], %(highs)s::timestamptz[]) AS q (gateway, low, high)
    JOIN series s ON s.gateway = q.gateway
    CROSS JOIN LATERAL (
        SELECT date_bin('1 minute', r.at, '2000-01-01 00:00+08') AS bucket, count(*) AS n,
            count(r.smoke) AS smoke_n, min(r.smoke) AS smoke_min, max(r.smoke) AS smoke_max,
            sum(r.smoke::double precision) AS smoke_sum,
            count(r.temperature) AS temperature_n, min(r.temperature) AS temperature_min,
            max(r.temperature) AS temperature_max, sum(r.temperature::double precision) AS temperature_sum,
            count(r.battery) AS battery_n, min(r.battery) AS battery_min, max(r.battery) AS battery_max,
            sum(r.battery::double precision) AS battery_sum,
            count(r.contamination) AS contamination_n, min(r.contamination) AS contamination_min,
            max(r.contamination) AS contamination_max, sum(r.contamination::double precision) AS contamination_sum,
            bit_or(r.status) AS status_bits, max(r.at) AS at,
            max(r.at) FILTER (WHERE r.smoke IS NOT NULL) AS smoke_at,
            max(r.at) FILTER (WHERE r.temperature IS NOT NULL) AS temperature_at,
            max(r.at) FILTER (WHERE r.battery IS NOT NULL) AS battery_at,
            max(r.at) FILTER (WHERE r.contamination IS NOT NULL) AS contamination_at,
            max(r.at) FILTER (WHERE r.status IS NOT NULL) AS status_at
        FROM readings r
        WHERE r.series = s.id AND r.at >= q.low AND r.at < q.high AND r.at >= %(low)s AND r.at < %(high)s
        GROUP BY 1
    ) m
), kept AS (
    INSERT INTO rollup_minute AS old (series, bucket, n,
        smoke_n, smoke_min, smoke_max, smoke_sum,
        temperature_n, temperature_min, temperature_max, temperature_sum,
        battery_n, battery_min, battery_max, battery_sum,
        contamination_n, contamination_min, contamination_max, contamination_sum, status_bits)
    SELECT series, bucket, n,
        smoke_n, smoke_min, smoke_max, smoke_sum,
        temperature_n, temperature_min, temperature_max, temperature_sum,
        battery_n, battery_min, battery_max, battery_sum,
        contamination_n, contamination_min, contamination_max, contamination_sum, status_bits
    FROM minutes
    ON CONFLICT (series, bucket) DO UPDATE SET n = excluded.n,
        smoke_n = excluded.smoke_n, smoke_min = excluded.smoke_min,
        smoke_max = excluded.smoke_max, smoke_sum = excluded.smoke_sum,
        temperature_n = excluded.temperature_n, temperature_min = excluded.temperature_min,
        temperature_max = excluded.temperature_max, temperature_sum = excluded.temperature_sum,
        battery_n = excluded.battery_n, battery_min = excluded.battery_min,
        battery_max = excluded.battery_max, battery_sum = excluded.battery_sum,
        contamination_n = excluded.contamination_n, contamination_min = excluded.contamination_min,
        contamination_max = excluded.contamination_max, contamination_sum = excluded.contamination_sum,
        status_bits = excluded.status_bits
    WHERE excluded.n >= old.n AND old IS DISTINCT FROM excluded
), newest AS (
    SELECT series, max(at) AS at, max(smoke_at) AS smoke_at, max(temperature_at) AS temperature_at,
        max(battery_at) AS battery_at, max(contamination_at) AS contamination_at, max(status_at) AS status_at
    FROM minutes GROUP BY series
)
INSERT INTO last_reading AS old (series, at,
    smoke, temperature, battery, contamination, status,
    smoke_at, temperature_at, battery_at, contamination_at, status_at)
SELECT k.series, k.at,
    CASE WHEN k.smoke_at = k.at THEN o.smoke ELSE (
        SELECT r.smoke FROM readings r
        WHERE r.series = k.series AND r.at = k.smoke_at AND r.smoke IS NOT NULL
            AND r.at >= %(low)s AND r.at < %(high)s
        ORDER BY r.received_at DESC, r.smoke DESC LIMIT 1) END,
    CASE WHEN k.temperature_at = k.at THEN o.temperature ELSE (
        SELECT r.temperature FROM readings r
        WHERE r.series = k.series AND r.at = k.temperature_at AND r.temperature IS NOT NULL
            AND r.at >= %(low)s AND r.at < %(high)s
        ORDER BY r.received_at DESC, r.temperature DESC LIMIT 1) END,
    CASE WHEN k.battery_at = k.at THEN o.battery ELSE (
        SELECT r.battery FROM readings r
        WHERE r.series = k.series AND r.at = k.battery_at AND r.battery IS NOT NULL
            AND r.at >= %(low)s AND r.at < %(high)s
        ORDER BY r.received_at DESC, r.battery DESC LIMIT 1) END,
    CASE WHEN k.contamination_at = k.at THEN o.contamination ELSE (
        SELECT r.contamination FROM readings r
        WHERE r.series = k.series AND r.at = k.contamination_at AND r.contamination IS NOT NULL
            AND r.at >= %(low)s AND r.at < %(high)s
        ORDER BY r.received_at DESC, r.contamination DESC LIMIT 1) END,
    CASE WHEN k.status_at = k.at THEN o.status ELSE (
        SELECT r.status FROM readings r
        WHERE r.series = k.series AND r.at = k.status_at AND r.status IS NOT NULL
            AND r.at >= %(low)s AND r.at < %(high)s
        ORDER BY r.received_at DESC, r.status DESC LIMIT 1) END,
    k.smoke_at, k.temperature_at, k.battery_at, k.contamination_at, k.status_at
FROM newest k
CROSS JOIN LATERAL (
    SELECT (array_agg(r.smoke ORDER BY r.received_at DESC, r.smoke DESC)
            FILTER (WHERE r.smoke IS NOT NULL))[1] AS smoke,
        (array_agg(r.temperature ORDER BY r.received_at DESC, r.temperature DESC)
            FILTER (WHERE r.temperature IS NOT NULL))[1] AS temperature,
        (array_agg(r.battery ORDER BY r.received_at DESC, r.battery DESC)
            FILTER (WHERE r.battery IS NOT NULL))[1] AS battery,
        (array_agg(r.contamination ORDER BY r.received_at DESC, r.contamination DESC)
            FILTER (WHERE r.contamination IS NOT NULL))[1] AS contamination,
        (array_agg(r.status ORDER BY r.received_at DESC, r.status DESC)
            FILTER (WHERE r.status IS NOT NULL))[1] AS status
    FROM readings r WHERE r.series = k.series AND r.at = k.at AND r.at >= %(low)s AND r.at < %(high)s
) o
ON CONFLICT (series) DO UPDATE SET at = greatest(old.at, excluded.at),
    smoke = CASE WHEN excluded.smoke_at >= coalesce(old.smoke_at, '-infinity')
        THEN excluded.smoke ELSE old.smoke END,
    smoke_at = greatest(old.smoke_at, excluded.smoke_at),
    temperature = CASE WHEN excluded.temperature_at >= coalesce(old.temperature_at, '-infinity')
        THEN excluded.temperature ELSE old.temperature END,
    temperature_at = greatest(old.temperature_at, excluded.temperature_at),
    battery = CASE WHEN excluded.battery_at >= coalesce(old.battery_at, '-infinity')
        THEN excluded.battery ELSE old.battery END,
    battery_at = greatest(old.battery_at, excluded.battery_at),
    contamination = CASE WHEN excluded.contamination_at >= coalesce(old.contamination_at, '-infinity')
        THEN excluded.contamination ELSE old.contamination END,
    contamination_at = greatest(old.contamination_at, excluded.contamination_at),
    status = CASE WHEN excluded.status_at >= coalesce(old.status_at, '-infinity')
        THEN excluded.status ELSE old.status END,
    status_at = greatest(old.status_at, excluded.status_at)

-- name: note_hours
INSERT INTO touched_hour (gateway, hour)
SELECT * FROM unnest(%(gateways)s::text[], %(hours)s::timestamptz[]) ON CONFLICT DO NOTHING

-- name: take_hours
DELETE FROM touched_hour WHERE (gateway, hour) IN (
    SELECT gateway, hour FROM touched_hour ORDER BY hour, gateway LIMIT %(piece)s)
RETURNING gateway, hour AS low

-- name: roll_hours | roll_days
-- {table}: rollup_hour | rollup_day
-- {below}: rollup_minute | rollup_hour
-- {width}: 1 hour | 1 day
INSERT INTO {table} AS old (series, bucket, n,
    smoke_n, smoke_min, smoke_max, smoke_sum,
    temperature_n, temperature_min, temperature_max, temperature_sum,
    battery_n, battery_min, battery_max, battery_sum,
    contamination_n, contamination_min, contamination_max, contamination_sum, status_bits)
SELECT s.id, q.low, b.*
FROM unnest(%(gateways)s::text[], %(lows)s::timestamptz[]) AS q (gateway, low)
JOIN series s ON s.gateway = q.gateway
CROSS JOIN LATERAL (
    SELECT sum(m.n),
        sum(m.smoke_n), min(m.smoke_min), max(m.smoke_max), sum(m.smoke_sum),
        sum(m.temperature_n), min(m.temperature_min), max(m.temperature_max), sum(m.temperature_sum),
        sum(m.battery_n), min(m.battery_min), max(m.battery_max), sum(m.battery_sum),
        sum(m.contamination_n), min(m.contamination_min), max(m.contamination_max), sum(m.contamination_sum),
        bit_or(m.status_bits)
    FROM {below} m
    WHERE m.series = s.id AND m.bucket >= q.low AND m.bucket < q.low + interval '{width}'
        AND m.bucket >= %(low)s AND m.bucket < %(high)s
    HAVING count(*) > 0
) b
ON CONFLICT (series, bucket) DO UPDATE SET n = excluded.n,
    smoke_n = excluded.smoke_n, smoke_min = excluded.smoke_min,
    smoke_max = excluded.smoke_max, smoke_sum = excluded.smoke_sum,
    temperature_n = excluded.temperature_n, temperature_min = excluded.temperature_min,
    temperature_max = excluded.temperature_max, temperature_sum = excluded.temperature_sum,
    battery_n = excluded.battery_n, battery_min = excluded.battery_min,
    battery_max = excluded.battery_max, battery_sum = excluded.battery_sum,
    contamination_n = excluded.contamination_n, contamination_min = excluded.contamination_min,
    contamination_max = excluded.contamination_max, contamination_sum = excluded.contamination_sum,
    status_bits = excluded.status_bits
WHERE excluded.n >= old.n AND old IS DISTINCT FROM excluded

-- name: take_days
DELETE FROM touched_day WHERE (gateway, day) IN (
    SELECT gateway, day FROM touched_day ORDER BY day, gateway LIMIT %(piece)s)
RETURNING gateway, day AS low

-- name: note_days
INSERT INTO touched_day (gateway, day)
SELECT DISTINCT q.gateway, date_bin('1 day', q.hour, '2000-01-01 00:00+08')
FROM unnest(%(gateways)s::text[], %(hours)s::timestamptz[]) AS q (gateway, hour) ON CONFLICT DO NOTHING
