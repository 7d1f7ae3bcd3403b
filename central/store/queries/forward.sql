-- What waits for fire-brigade centres. A centre's rows are sent by one process at a time, which holds its lock.

-- name: register
INSERT INTO forward_centre (id, area, only_firm, active, since)
SELECT id, area, only_firm, true, %(now)s
FROM json_to_recordset(%(rows)s::json) AS r (id text, area text, only_firm boolean)
ON CONFLICT (id) DO UPDATE SET area = excluded.area, only_firm = excluded.only_firm, active = true,
    since = CASE WHEN forward_centre.active THEN forward_centre.since ELSE excluded.since END

-- name: retire
UPDATE forward_centre SET active = false WHERE active AND id <> ALL (%(ids)s)

-- name: end_what_is_over
-- Alarms that were closed while their centre was not among the configured ones.
INSERT INTO forward (centre, alarm, what, round, urgent, happened_at, made_at, due_at)
SELECT DISTINCT f.centre, f.alarm, 'over', a.round, false, a.closed_at, %(now)s, %(now)s
FROM forward f JOIN forward_centre c ON c.id = f.centre AND c.active JOIN alarm a ON a.id = f.alarm
WHERE f.what IN ('fire', 'state') AND a.state = 'closed'
  AND NOT EXISTS (SELECT FROM forward o WHERE o.centre = f.centre AND o.alarm = f.alarm AND o.what = 'over')

-- name: begin
-- What begins something at a centre. `known`: it has been told of this alarm's fire.
INSERT INTO forward (centre, alarm, what, round, urgent, happened_at, made_at, due_at)
SELECT c.id, r.alarm, r.what, r.round, r.what = 'fire', r.at, %(now)s, %(now)s
FROM ROWS FROM (json_to_recordset(%(rows)s::json) AS (alarm bigint, area text, what text, round int, at timestamptz,
    firm boolean, once boolean, centre text))
    WITH ORDINALITY AS r (alarm, area, what, round, at, firm, once, centre, n)
JOIN forward_centre c ON c.active AND (c.area = '' OR c.area = r.area) AND (r.centre IS NULL OR r.centre = c.id)
CROSS JOIN LATERAL (
    SELECT EXISTS (SELECT FROM forward f WHERE f.centre = c.id AND f.alarm = r.alarm AND f.what = 'fire') AS known) k
WHERE r.what <> 'fire' OR ((r.firm OR known OR NOT c.only_firm) AND NOT (r.once AND known))
ORDER BY r.n, c.id
ON CONFLICT (centre, alarm, what, round) DO NOTHING

-- name: go_on
-- What only matters to a centre that knows of the beginning.
INSERT INTO forward (centre, alarm, what, round, urgent, happened_at, made_at, due_at)
SELECT c.id, r.alarm, r.what, r.round, false, r.at, %(now)s, %(now)s
FROM ROWS FROM (json_to_recordset(%(rows)s::json) AS (alarm bigint, what text, round int, at timestamptz))
    WITH ORDINALITY AS r (alarm, what, round, at, n)
JOIN forward_centre c ON c.active
WHERE EXISTS (SELECT FROM forward f WHERE f.centre = c.id AND f.alarm = r.alarm AND f.what IN ('fire', 'state'))
ORDER BY r.n, c.id
ON CONFLICT (centre, alarm, what, round) DO NOTHING

-- name: wake
SELECT pg_notify('forward', '') WHERE EXISTS (SELECT FROM forward_centre WHERE active)

-- name: untold
-- Open alarms that some centre should know of and does not: it is new, or was made active at that very moment.
SELECT a.*, EXISTS (SELECT FROM delivery d WHERE d.alarm = a.id AND d.purpose = 'alarm' AND d.step > 0) AS climbed
FROM alarm a
WHERE a.state <> 'closed' AND a.condition = ANY (%(conditions)s)
  AND EXISTS (
    SELECT FROM forward_centre c
    WHERE c.active AND (c.area = '' OR c.area = a.area)
      AND NOT EXISTS (SELECT FROM forward f WHERE f.centre = c.id AND f.alarm = a.id)
      AND (a.severity <> 'life' OR NOT c.only_firm OR a.disposition = 'real_fire' OR EXISTS (
            SELECT FROM delivery d WHERE d.alarm = a.id AND d.purpose = 'alarm' AND d.step > 0)))
ORDER BY a.severity <> 'life', a.id LIMIT 500

-- name: waiting
-- What may be sent now to one centre: of one alarm nothing before what came earlier, but a fire waits for fires only. A time further ahead than any that
-- we plan comes from a clock that was set back since.
SELECT f.id, f.alarm, f.what, a.condition, k.component, a.area, a.building, f.happened_at, f.serial,
    d.system, d.zone, d.point, b.name AS building_name, concat(h.unit, h.room) AS door, coalesce(p.spot, '') AS spot,
    ARRAY(SELECT DISTINCT o.condition FROM alarm o
          WHERE o.state <> 'closed' AND o.part = a.part AND (k.component = a.part OR o.gateway = a.gateway)
            AND EXISTS (SELECT FROM forward g
                        WHERE g.centre = f.centre AND g.alarm = o.id AND g.what IN ('fire', 'state'))) AS standing,
    CASE WHEN f.what = 'analogue' THEN (
        SELECT l.temperature FROM series x JOIN last_reading l ON l.series = x.id
        WHERE x.detector = a.part AND l.temperature_at > %(now)s - interval '15 minutes'
        ORDER BY l.temperature_at DESC LIMIT 1) END AS temperature
FROM forward f
JOIN alarm a ON a.id = f.alarm
CROSS JOIN LATERAL (
    SELECT CASE WHEN a.part = '' OR a.part LIKE 'bus:%%' THEN concat(a.gateway, '/', a.part) ELSE a.part END
        AS component) k
LEFT JOIN forward_address d ON d.component = k.component
LEFT JOIN building b ON b.id = a.building
LEFT JOIN household h ON h.id = a.household
LEFT JOIN placement p ON p.id = a.placement
WHERE f.centre = %(centre)s AND f.confirmed_at IS NULL AND f.urgent = %(urgent)s AND f.id <> ALL (%(under_way)s)
  AND (f.due_at <= %(now)s OR f.due_at > %(now)s + interval '11 minutes')
  AND NOT EXISTS (SELECT FROM forward e
                  WHERE e.centre = f.centre AND e.alarm = f.alarm AND e.confirmed_at IS NULL AND e.id < f.id
                    AND (e.urgent OR NOT f.urgent))
ORDER BY f.id LIMIT %(limit)s

-- name: hold_addresses
-- One process at a time gives addresses.
LOCK TABLE forward_address IN SHARE ROW EXCLUSIVE MODE

-- name: give_address
-- A system for each area, a zone for each building, points in the order in which they were first needed. Numbers that
-- run out are shared: a point then says which it is.
INSERT INTO forward_address (component, area, building, system, zone, point, given_at)
SELECT %(component)s, %(area)s, %(building)s, s.system, z.zone,
    (SELECT coalesce(max(point), 0) + 1 FROM forward_address WHERE system = s.system AND zone = z.zone), %(now)s
FROM (SELECT coalesce((SELECT min(system) FROM forward_address WHERE area = %(area)s),
        (SELECT least(coalesce(max(system), 0) + 1, 255) FROM forward_address)) AS system) s
CROSS JOIN (SELECT coalesce((SELECT min(zone) FROM forward_address WHERE area = %(area)s AND building = %(building)s),
        (SELECT least(coalesce(max(zone), 0) + 1, 65535) FROM forward_address)) AS zone) z
ON CONFLICT (component) DO NOTHING

-- name: unaddressed
SELECT p.detector AS component, c.area, h.building FROM placement p
JOIN household h ON h.id = p.household
JOIN building b ON b.id = h.building
JOIN grid g ON g.id = b.grid
JOIN community c ON c.id = g.community
WHERE p.to_at IS NULL AND NOT EXISTS (SELECT FROM forward_address d WHERE d.component = p.detector)
ORDER BY c.area, h.building, h.unit, h.floor, h.room, p.detector

-- name: addresses
SELECT system, zone, point, component, area, building FROM forward_address
WHERE %(component)s::text IS NULL OR component = %(component)s
ORDER BY system, zone, point

-- name: take_serial
UPDATE forward_centre SET serial = (serial + 1) %% 65536 WHERE id = %(centre)s
RETURNING (serial + 65535) %% 65536 AS serial

-- name: sending
UPDATE forward SET serial = %(serial)s, sent_at = coalesce(sent_at, %(now)s) WHERE id = %(id)s

-- name: confirmed
UPDATE forward SET confirmed_at = %(now)s WHERE id = ANY (%(ids)s) AND confirmed_at IS NULL

-- name: proved
UPDATE forward_centre SET proved_at = %(now)s WHERE id = %(centre)s

-- name: failed
-- The exchange is over; the next one has a serial of its own.
UPDATE forward SET serial = NULL, failed = failed + 1, due_at = %(now)s + CASE WHEN urgent THEN interval '2 seconds'
    ELSE least(interval '10 seconds' * 2 ^ least(failed, 6), interval '10 minutes') END
WHERE id = %(id)s

-- name: nothing_to_say
DELETE FROM forward WHERE id = %(id)s

-- name: fire_stands
SELECT EXISTS (SELECT FROM forward f JOIN alarm a ON a.id = f.alarm
               WHERE f.centre = %(centre)s AND f.what = 'fire' AND a.state <> 'closed') AS stands

-- name: standing_of
-- How each centre stands: what waits for how long (s), and when it last confirmed anything.
SELECT c.id, c.area, c.since, c.proved_at, count(f.id) AS waiting,
    coalesce(extract(epoch FROM %(now)s - min(f.made_at)), 0)::float8 AS oldest_s,
    coalesce(extract(epoch FROM %(now)s - min(f.made_at) FILTER (WHERE f.urgent)), 0)::float8 AS oldest_fire_s
FROM forward_centre c LEFT JOIN forward f ON f.centre = c.id AND f.confirmed_at IS NULL
WHERE c.id = ANY (%(ids)s) GROUP BY c.id ORDER BY c.id
