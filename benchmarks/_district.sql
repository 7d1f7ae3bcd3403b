-- Registry, alarms and what gateways said; the numbers in braces are those of benchmarks/_district.py.
INSERT INTO area SELECT 'area-' || n, 'area ' || n FROM generate_series(0, {AREAS} - 1) n;
INSERT INTO community SELECT 'com-' || n, 'area-' || n % {AREAS}, 'community ' || n
    FROM generate_series(0, {COMMUNITIES} - 1) n;
INSERT INTO grid SELECT 'grid-' || n, 'com-' || n % {COMMUNITIES}, 'grid ' || n, 114.3, 30.6
    FROM generate_series(0, {GRIDS} - 1) n;
INSERT INTO building SELECT 'b-' || n, 'grid-' || n % {GRIDS}, 'building ' || n, '', 6, NULL, NULL
    FROM generate_series(0, {BUILDINGS} - 1) n;
INSERT INTO household SELECT 'h-' || n, 'b-' || n % {BUILDINGS}, '1', 1 + n % 6, n::text
    FROM generate_series(0, {DETECTORS} - 1) n;
INSERT INTO gateway SELECT 'gw-' || n, 'area-' || n % {AREAS}, '', 'b-' || n, now() - interval '1 year', 'benchmark'
    FROM generate_series(0, {GATEWAYS} - 1) n;
INSERT INTO bus SELECT id, 'l-1', '{{}}' FROM gateway;
INSERT INTO detector SELECT 'd-' || n, 'smokewatch-reference' FROM generate_series(0, {DETECTORS} - 1) n;
INSERT INTO placement (detector, household, gateway, bus, unit, spot, from_at)
    SELECT 'd-' || n, 'h-' || n, 'gw-' || n % {GATEWAYS}, 'l-1', 1 + n / {GATEWAYS}, 'kitchen', now() - interval '1 year'
    FROM generate_series(0, {DETECTORS} - 1) n;
INSERT INTO series (gateway, detector) SELECT gateway, detector FROM placement ORDER BY id;
INSERT INTO lease SELECT id, now() + interval '1 day', '0', NULL, false,
    '{{"online": true, "version": "1.4.2", "outbox_depth": 0, "clock": {{"synchronised": true}}}}' FROM gateway;
INSERT INTO source SELECT gateway, detector, c, CASE WHEN hashtext(detector || c) % 50 = 0 THEN 'present' ELSE 'absent' END,
    repeat('a', 32), 1, now() FROM placement, unnest(ARRAY['no_response', 'low_battery', 'contaminated', 'fault']) c;
INSERT INTO alarm (condition, severity, area, gateway, part, state, opened_at, event_at, cleared_at, closed_at,
                   disposition)
    SELECT CASE WHEN d.part = '' THEN 'gateway_silent' ELSE 'no_response' END, 'unwatched', 'area-0', d.gateway, d.part,
        'closed', at, at, at + interval '20 minutes', at + interval '20 minutes', 'returned_to_normal'
    FROM (SELECT gateway, detector AS part FROM placement UNION ALL SELECT id, '' FROM gateway) d,
        LATERAL (SELECT now() - make_interval(hours => abs(hashtext(d.part || d.gateway || n)) % 2160) AS at
                 FROM generate_series(1, 10) n) w;
INSERT INTO alarm_log (alarm, at, what, from_state, to_state, who, reason)
    SELECT id, opened_at, 'opened', NULL, 'active_unacknowledged', 'system', 'first_assert' FROM alarm
    UNION ALL SELECT id, closed_at, 'cleared', 'active_unacknowledged', 'closed', 'system', 'cleared' FROM alarm;
