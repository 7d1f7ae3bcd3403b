-- name: limit_time
-- A question that takes longer than this has no use for a screen; and a plan
-- made for any parameters reads far more than one made for those that are given.
-- A detector's rows lie an hour's worth of all others apart: before version 18 the server asks the disk for one
-- page ahead, and a month that is in no cache takes four times as long.
SELECT set_config('statement_timeout', %(ms)s::text, true),
    set_config('plan_cache_mode', 'force_custom_plan', true),
    set_config('effective_io_concurrency', '16', true)

-- name: series_of
SELECT id, gateway FROM series WHERE detector = %(detector)s ORDER BY id

-- name: known_detector
SELECT EXISTS (SELECT FROM detector WHERE id = %(detector)s) AS known

-- name: buckets_raw
SELECT date_bin(%(width)s, at, '2000-01-01 00:00+08') AS at, count(*) AS n,
    min(smoke) AS smoke_min, max(smoke) AS smoke_max, avg(smoke::float8)::real AS smoke_avg,
    min(temperature) AS temperature_min, max(temperature) AS temperature_max,
    avg(temperature::float8)::real AS temperature_avg,
    min(battery) AS battery_min, max(battery) AS battery_max, avg(battery::float8)::real AS battery_avg,
    min(contamination) AS contamination_min, max(contamination) AS contamination_max,
    avg(contamination::float8)::real AS contamination_avg, bit_or(status) AS status_bits
FROM readings WHERE series = ANY (%(series)s) AND at >= %(from)s AND at < %(to)s
GROUP BY 1 ORDER BY 1

-- name: buckets_minute | buckets_hour | buckets_day
-- {table}: rollup_minute | rollup_hour | rollup_day
SELECT date_bin(%(width)s, bucket, '2000-01-01 00:00+08') AS at, sum(n)::bigint AS n,
    min(smoke_min) AS smoke_min, max(smoke_max) AS smoke_max,
    (sum(smoke_sum) / nullif(sum(smoke_n), 0))::real AS smoke_avg,
    min(temperature_min) AS temperature_min, max(temperature_max) AS temperature_max,
    (sum(temperature_sum) / nullif(sum(temperature_n), 0))::real AS temperature_avg,
    min(battery_min) AS battery_min, max(battery_max) AS battery_max,
    (sum(battery_sum) / nullif(sum(battery_n), 0))::real AS battery_avg,
    min(contamination_min) AS contamination_min, max(contamination_max) AS contamination_max,
    (sum(contamination_sum) / nullif(sum(contamination_n), 0))::real AS contamination_avg,
    bit_or(status_bits) AS status_bits
FROM {table} WHERE series = ANY (%(series)s) AND bucket >= %(from)s AND bucket < %(to)s
GROUP BY 1 ORDER BY 1

-- name: down
-- Changes of alarms that say that a detector, its line or its gateway could not be heard, until `to`, oldest first.
SELECT a.id, a.gateway, a.part, a.condition, l.from_state, l.to_state,
    CASE WHEN l.event IS NULL THEN l.at ELSE least(e.event_at, l.at) END AS at
FROM unnest(%(gateways)s::text[], %(parts)s::text[]) AS q (gateway, part)
JOIN alarm a ON coalesce(a.gateway, '') = q.gateway AND a.part = q.part
JOIN alarm_log l ON l.alarm = a.id
LEFT JOIN event e ON e.id = l.event
WHERE a.condition IN ('no_response', 'bus_down', 'bus_stuck', 'gateway_silent', 'events_stuck')
    AND l.to_state IS NOT NULL AND l.from_state IS DISTINCT FROM l.to_state
    AND (a.closed_at IS NULL OR a.closed_at >= %(from)s) AND a.opened_at < %(to)s
ORDER BY a.id, l.id

-- name: placed
-- Where detectors hung within the time; a page of them by id.
SELECT p.detector, p.gateway, p.bus, greatest(p.from_at, %(from)s) AS "from", least(p.to_at, %(to)s) AS "to"
FROM placement p
WHERE p.from_at < %(to)s AND coalesce(p.to_at, 'infinity') > %(from)s
    AND p.detector IN (
        SELECT w.detector FROM placement w
        WHERE w.detector > %(after)s AND w.from_at < %(to)s AND coalesce(w.to_at, 'infinity') > %(from)s
            AND (%(detector)s::text IS NULL OR w.detector = %(detector)s)
            AND (%(gateway)s::text IS NULL OR w.gateway = %(gateway)s)
        GROUP BY w.detector ORDER BY w.detector LIMIT %(limit)s)
ORDER BY p.detector, p.from_at

-- name: gateways_of
SELECT id AS gateway, greatest(registered_at, %(from)s) AS "from", least(retired_at, %(to)s) AS "to"
FROM gateway
WHERE id > %(after)s AND registered_at < %(to)s AND coalesce(retired_at, 'infinity') > %(from)s
    AND (%(gateway)s::text IS NULL OR id = %(gateway)s)
ORDER BY id LIMIT %(limit)s

-- name: lost
-- Readings that can never come, noted in this time.
SELECT gateway, noted_at, from_seq, to_seq FROM data_gap
WHERE gateway = ANY (%(gateways)s) AND lane = 'readings' AND noted_at >= %(from)s AND noted_at < %(to)s
ORDER BY noted_at, id LIMIT 200

-- name: state
-- A page of detectors by id. Which are in the place is decided first: the rest is looked up for these alone.
WITH page AS MATERIALIZED (
    SELECT p.detector FROM placement p
    JOIN household h ON h.id = p.household
    JOIN building b ON b.id = h.building
    JOIN grid g ON g.id = b.grid
    JOIN community c ON c.id = g.community
    WHERE p.to_at IS NULL AND p.detector > %(after)s
        AND (%(building)s::text IS NULL OR b.id = %(building)s)
        AND (%(grid)s::text IS NULL OR g.id = %(grid)s)
        AND (%(community)s::text IS NULL OR c.id = %(community)s)
        AND (%(area)s::text IS NULL OR c.area = %(area)s)
    ORDER BY p.detector LIMIT %(limit)s
)
SELECT w.detector, w.household, w.building, w.grid, w.gateway, w.bus, w.state,
    l.at, l.smoke, l.smoke_at, l.temperature, l.temperature_at, l.battery, l.battery_at,
    l.contamination, l.contamination_at, l.status, l.status_at,
    ARRAY(SELECT s.condition FROM source s
          WHERE s.part = w.detector AND s.gateway = w.gateway AND s.state = 'present' ORDER BY 1) AS conditions,
    ARRAY(SELECT s.condition FROM source s
          WHERE s.part = w.detector AND s.gateway = w.gateway AND s.state = 'unknown' ORDER BY 1) AS unknown
FROM watch(%(now)s) w
LEFT JOIN series x ON x.detector = w.detector AND x.gateway = w.gateway
LEFT JOIN last_reading l ON l.series = x.id
WHERE w.detector IN (SELECT detector FROM page)
ORDER BY w.detector

-- name: fleet_detectors
WITH judged AS MATERIALIZED (SELECT state FROM watch(%(now)s))
SELECT count(*) AS detectors, count(*) FILTER (WHERE state = 'watched') AS watched,
    count(*) FILTER (WHERE state = 'alarm') AS alarm, count(*) FILTER (WHERE state = 'unwatched') AS unwatched
FROM judged

-- name: fleet_conditions
SELECT s.condition, s.state, count(*) AS n
FROM source s JOIN placement p ON p.detector = s.part AND p.gateway = s.gateway AND p.to_at IS NULL
WHERE s.state <> 'absent' GROUP BY 1, 2 ORDER BY 1, 2

-- name: fleet_counts
SELECT count(*) AS gateways, count(*) FILTER (WHERE l.silent_since IS NOT NULL) AS silent,
    count(*) FILTER (WHERE l.status = '{}') AS never_heard
FROM gateway g LEFT JOIN lease l ON l.gateway = g.id WHERE g.retired_at IS NULL

-- name: fleet_gateways
SELECT g.id, g.area, g.name, l.heard_at, l.silent_since, l.status ->> 'version' AS version,
    (l.status ->> 'outbox_depth')::bigint AS outbox_depth,
    (l.status ->> 'oldest_unacked_event_s')::float8 AS oldest_unacked_event_s,
    (l.status ->> 'readings_dropped')::bigint AS readings_dropped,
    l.status ->> 'storage_error' AS storage_error, l.status ->> 'config_error' AS config_error,
    (SELECT count(*) FROM placement p WHERE p.gateway = g.id AND p.to_at IS NULL) AS detectors,
    ARRAY(SELECT s.condition || CASE WHEN s.part = '' THEN '' ELSE ' ' || s.part END FROM source s
          WHERE s.gateway = g.id AND s.state <> 'absent' AND (s.part = '' OR s.part LIKE 'bus:%%')
          ORDER BY 1) AS conditions
FROM gateway g LEFT JOIN lease l ON l.gateway = g.id
WHERE g.retired_at IS NULL AND g.id > %(after)s AND (%(area)s::text IS NULL OR g.area = %(area)s)
ORDER BY g.id LIMIT %(limit)s

-- name: trend
SELECT bucket AS day, sum(n)::bigint AS n,
    sum(battery_n)::bigint AS battery_n, min(battery_min) AS battery_min, max(battery_max) AS battery_max,
    (sum(battery_sum) / nullif(sum(battery_n), 0))::real AS battery_avg,
    sum(contamination_n)::bigint AS contamination_n, min(contamination_min) AS contamination_min,
    max(contamination_max) AS contamination_max,
    (sum(contamination_sum) / nullif(sum(contamination_n), 0))::real AS contamination_avg
FROM rollup_day
WHERE series = ANY (%(series)s) AND bucket >= %(from)s AND bucket < %(to)s
GROUP BY 1 ORDER BY 1

-- name: export_series
-- Series by number, behind `after`, of one detector, gateway, building or grid; and of what was there before.
SELECT x.id, x.gateway, x.detector FROM series x
WHERE x.id > %(after)s
    AND (%(detector)s::text IS NULL OR x.detector = %(detector)s)
    AND (%(gateway)s::text IS NULL OR x.gateway = %(gateway)s)
    AND (%(building)s::text IS NULL AND %(grid)s::text IS NULL OR x.detector IN (
        SELECT p.detector FROM placement p
        JOIN household h ON h.id = p.household JOIN building b ON b.id = h.building
        WHERE p.from_at < %(to)s AND coalesce(p.to_at, 'infinity') > %(from)s
            AND (%(building)s::text IS NULL OR b.id = %(building)s)
            AND (%(grid)s::text IS NULL OR b.grid = %(grid)s)))
ORDER BY x.id LIMIT %(limit)s

-- name: export_rows
SELECT series, at, received_at, smoke, temperature, battery, contamination, status
FROM readings WHERE series = ANY (%(series)s) AND at >= %(from)s AND at < %(to)s
ORDER BY series, at, received_at, smoke, temperature, battery, contamination, status
