-- Rows are locked FOR NO KEY UPDATE: a worker that notes a link or a try of an alarm need not wait for its lock.

-- name: columns_alarm
SELECT * FROM alarm WHERE id = %(id)s

-- name: lock_alarms
SELECT * FROM alarm WHERE id = ANY(%(ids)s) ORDER BY id FOR NO KEY UPDATE

-- name: lock_open
-- Open alarms of these parts of gateways ('': of the centre), and of these detectors by whatever gateway, locked in
-- the order of their ids.
SELECT * FROM alarm
WHERE state <> 'closed' AND id IN (
    SELECT a.id FROM unnest(%(gateways)s::text[], %(parts)s::text[]) AS q (gateway, part)
    JOIN alarm a ON coalesce(a.gateway, '') = q.gateway AND a.part = q.part AND a.state <> 'closed'
    UNION ALL
    SELECT id FROM alarm WHERE part = ANY(%(detectors)s) AND state <> 'closed')
ORDER BY id FOR NO KEY UPDATE

-- name: lock_latest
-- The open alarm of one source, else the last one that had begun by then and was not closed long before, locked.
SELECT * FROM alarm
WHERE coalesce(gateway, '') = coalesce(%(gateway)s, '') AND part = %(part)s AND condition = %(condition)s
  AND (state <> 'closed'
       OR (event_at <= %(at)s + interval '2 seconds' AND closed_at >= %(at)s - %(span)s::interval))
ORDER BY state <> 'closed' DESC, event_at DESC, id DESC LIMIT 1 FOR NO KEY UPDATE

-- name: lock_open_life_of_gateways
-- Open smoke and heat behind gateways (or a bus of theirs, by the present placement), locked.
SELECT * FROM alarm
WHERE gateway = ANY (%(gateways)s) AND severity = 'life' AND state IN ('active_unacknowledged', 'active_acknowledged')
  AND (%(bus)s::text IS NULL OR part IN (
        SELECT detector FROM placement p WHERE p.gateway = alarm.gateway AND bus = %(bus)s AND to_at IS NULL))
ORDER BY id FOR NO KEY UPDATE

-- name: unanswered_life
SELECT EXISTS (SELECT FROM alarm WHERE severity = 'life' AND state <> 'closed' AND acknowledged_at IS NULL) AS waits

-- name: gateways_of_unknown_life
SELECT DISTINCT gateway FROM alarm
WHERE gateway = ANY (%(gateways)s) AND severity = 'life' AND state = 'active_unknown'

-- name: covering
-- A closed alarm of the same source within whose span `at` lies (2 s of tolerance for corrected clocks).
SELECT id FROM alarm
WHERE coalesce(gateway, '') = coalesce(%(gateway)s, '') AND part = %(part)s AND condition = %(condition)s
  AND event_at <= %(at)s + interval '2 seconds'
  AND coalesce(cleared_at, closed_at, 'infinity') >= %(at)s - interval '2 seconds'
LIMIT 1

-- name: last_closed
-- The last alarm of each of these parts and conditions, where it was closed less than a day ago.
SELECT q.n, a.id FROM unnest(%(gateways)s::text[], %(parts)s::text[], %(conditions)s::text[])
    WITH ORDINALITY AS q (gateway, part, condition, n)
CROSS JOIN LATERAL (
    SELECT id FROM alarm
    WHERE coalesce(gateway, '') = q.gateway AND part = q.part AND condition = q.condition
      AND state = 'closed' AND closed_at > %(now)s - interval '1 day'
    ORDER BY closed_at DESC, id DESC LIMIT 1
) a

-- name: reserve
-- Ids for alarms that are about to be opened.
SELECT nextval(pg_get_serial_sequence('alarm', 'id')) AS id FROM generate_series(1, %(count)s)

-- name: insert
-- Alarms as they are at the end of the transaction that opened them. One whose source has an open alarm already is
-- left out.
INSERT INTO alarm (id, condition, severity, area, grid, building, household, placement, gateway, part, address_known,
                   state, round, late, opened_at, event_at, event, cleared_at, acknowledged_at,
                   acknowledged_by, on_way_at, closed_at, closed_by, disposition, cause, remark,
                   linked_to, detail, on_scene_at, offered_to, offered_by, offered_at, handovers, grade, verify_at)
OVERRIDING SYSTEM VALUE
SELECT id, condition, severity, area, grid, building, household, placement, gateway, part, address_known, state,
       round, late, opened_at, event_at, event, cleared_at, acknowledged_at, acknowledged_by, on_way_at,
       closed_at, closed_by, disposition, cause, remark, linked_to, detail, on_scene_at, offered_to, offered_by,
       offered_at, handovers, grade, verify_at
FROM json_to_recordset(%(rows)s::json) AS r (id bigint, condition text, severity text, area text, grid text, building text, household text, placement bigint,
    gateway text, part text, address_known boolean, state text, round int, late boolean, opened_at timestamptz,
    event_at timestamptz, event bigint, cleared_at timestamptz, acknowledged_at timestamptz, acknowledged_by text,
    on_way_at timestamptz, closed_at timestamptz, closed_by text, disposition text, cause text, remark text,
    linked_to bigint, detail jsonb, on_scene_at timestamptz, offered_to text, offered_by text, offered_at timestamptz,
    handovers int, grade text, verify_at timestamptz)
ON CONFLICT (coalesce(gateway, ''), part, condition) WHERE state <> 'closed' DO NOTHING

-- name: save
UPDATE alarm SET state = r.state, round = r.round, cleared_at = r.cleared_at, acknowledged_at = r.acknowledged_at,
    acknowledged_by = r.acknowledged_by, on_way_at = r.on_way_at, closed_at = r.closed_at, closed_by = r.closed_by,
    disposition = r.disposition, cause = r.cause, remark = r.remark, detail = r.detail,
    on_scene_at = r.on_scene_at, offered_to = r.offered_to, offered_by = r.offered_by, offered_at = r.offered_at,
    handovers = r.handovers, grade = r.grade, verify_at = r.verify_at
FROM json_to_recordset(%(rows)s::json) AS r (id bigint, state text, round int, cleared_at timestamptz,
    acknowledged_at timestamptz, acknowledged_by text, on_way_at timestamptz, closed_at timestamptz, closed_by text,
    disposition text, cause text, remark text, detail jsonb, on_scene_at timestamptz, offered_to text,
    offered_by text, offered_at timestamptz, handovers int, grade text, verify_at timestamptz)
WHERE alarm.id = r.id

-- name: log
INSERT INTO alarm_log (alarm, at, what, from_state, to_state, who, from_where, reason, event, detail)
SELECT alarm, %(now)s, what, from_state, to_state, who, from_where, reason, event, detail
FROM ROWS FROM (json_to_recordset(%(rows)s::json) AS (
    alarm bigint, what text, from_state text, to_state text, who text, from_where text, reason text, event bigint,
    detail jsonb)) WITH ORDINALITY AS r (alarm, what, from_state, to_state, who, from_where, reason, event, detail, n)
ORDER BY n

-- name: wake
-- Whoever shows alarms looks at these again when the transaction commits.
SELECT pg_notify('alarm', id::text) FROM unnest(%(ids)s::bigint[]) AS id

-- name: timeline
SELECT l.*, w.name AS who_name FROM alarm_log l LEFT JOIN worker w ON w.id = l.who WHERE l.alarm = %(id)s ORDER BY l.id

-- name: describe
SELECT a.id, a.condition, a.severity, a.state, a.round, a.late, a.address_known, a.area, ar.name AS area_name,
    c.id AS community, c.name AS community_name, a.grid, g.name AS grid_name, a.building, b.name AS building_name,
    b.address, coalesce(b.lon, g.lon) AS lon, coalesce(b.lat, g.lat) AS lat,
    a.household, h.unit, h.floor, h.room, p.spot, a.gateway, gw.name AS gateway_name, a.part,
    a.opened_at, a.event_at, a.cleared_at, a.acknowledged_at, a.acknowledged_by,
    coalesce(wa.name, a.acknowledged_by) AS acknowledged_name, a.on_way_at, a.closed_at, a.closed_by,
    coalesce(wc.name, a.closed_by) AS closed_name, a.disposition, a.cause, a.remark, a.linked_to, a.detail,
    a.on_scene_at, a.offered_to, coalesce(wo.name, a.offered_to) AS offered_name,
    coalesce(wb.name, a.offered_by) AS offered_by_name, a.offered_at, a.grade
FROM alarm a
LEFT JOIN area ar ON ar.id = a.area
LEFT JOIN grid g ON g.id = a.grid
LEFT JOIN community c ON c.id = g.community
LEFT JOIN building b ON b.id = a.building
LEFT JOIN household h ON h.id = a.household
LEFT JOIN placement p ON p.id = a.placement
LEFT JOIN gateway gw ON gw.id = a.gateway
LEFT JOIN worker wa ON wa.id = a.acknowledged_by
LEFT JOIN worker wc ON wc.id = a.closed_by
LEFT JOIN worker wo ON wo.id = a.offered_to
LEFT JOIN worker wb ON wb.id = a.offered_by
WHERE a.id = ANY (%(ids)s::bigint[])

-- name: residents
SELECT household, id, name, birth_year, phone, lives_alone, needs, family_name, family_phone
FROM resident WHERE household IN (SELECT household FROM alarm WHERE id = ANY (%(ids)s::bigint[]))
ORDER BY household, id
