-- name: columns_alarm
SELECT * FROM alarm WHERE id = %(id)s

-- name: lock_alarm
SELECT * FROM alarm WHERE id = %(id)s FOR UPDATE

-- name: lock_open
-- The open alarm of one source, locked.
SELECT * FROM alarm
WHERE coalesce(gateway, '') = coalesce(%(gateway)s, '') AND part = %(part)s AND condition = %(condition)s
  AND state <> 'closed'
FOR UPDATE

-- name: lock_latest
-- The open alarm of one source, else the last one that had begun by then and was not closed long before, locked.
SELECT * FROM alarm
WHERE coalesce(gateway, '') = coalesce(%(gateway)s, '') AND part = %(part)s AND condition = %(condition)s
  AND (state <> 'closed'
       OR (event_at <= %(at)s + interval '2 seconds' AND closed_at >= %(at)s - %(span)s::interval))
ORDER BY state <> 'closed' DESC, event_at DESC, id DESC LIMIT 1 FOR UPDATE

-- name: lock_open_of_part
-- Open alarms of one part by whatever gateway, locked in the order of their ids.
SELECT * FROM alarm
WHERE part = %(part)s AND part <> '' AND state <> 'closed'
  AND (%(condition)s::text IS NULL OR condition = %(condition)s)
ORDER BY id FOR UPDATE

-- name: lock_open_life_of_gateway
-- Open smoke and heat behind one gateway (or one of its buses, by the present placement), locked.
SELECT * FROM alarm
WHERE gateway = %(gateway)s AND severity = 'life' AND state IN ('active_unacknowledged', 'active_acknowledged')
  AND (%(bus)s::text IS NULL OR part IN (
        SELECT detector FROM placement WHERE gateway = %(gateway)s AND bus = %(bus)s AND to_at IS NULL))
ORDER BY id FOR UPDATE

-- name: open_alarms
SELECT * FROM alarm WHERE state <> 'closed'
ORDER BY array_position(ARRAY['life', 'unwatched', 'care', 'note'], severity), opened_at, id

-- name: covering
-- A closed alarm of the same source within whose span `at` lies (2 s of tolerance for corrected clocks).
SELECT id FROM alarm
WHERE coalesce(gateway, '') = coalesce(%(gateway)s, '') AND part = %(part)s AND condition = %(condition)s
  AND event_at <= %(at)s + interval '2 seconds'
  AND coalesce(cleared_at, closed_at, 'infinity') >= %(at)s - interval '2 seconds'
LIMIT 1

-- name: last_closed
-- The last alarm of the same part and condition, when it was closed less than a day ago.
SELECT id FROM alarm
WHERE coalesce(gateway, '') = coalesce(%(gateway)s, '') AND part = %(part)s AND condition = %(condition)s
  AND state = 'closed' AND closed_at > %(now)s - interval '1 day'
ORDER BY closed_at DESC, id DESC LIMIT 1

-- name: insert_alarm
INSERT INTO alarm (condition, severity, area, grid, building, household, placement, gateway, part, address_known,
                   state, late, opened_at, event_at, event, cleared_at, linked_to, detail)
VALUES (%(condition)s, %(severity)s, %(area)s, %(grid)s, %(building)s, %(household)s, %(placement)s, %(gateway)s,
        %(part)s, %(address_known)s, %(state)s, %(late)s, %(opened_at)s, %(event_at)s, %(event)s, %(cleared_at)s,
        %(linked_to)s, %(detail)s)
ON CONFLICT (coalesce(gateway, ''), part, condition) WHERE state <> 'closed' DO NOTHING
RETURNING *

-- name: save_alarm
UPDATE alarm SET state = %(state)s, round = %(round)s, cleared_at = %(cleared_at)s,
    acknowledged_at = %(acknowledged_at)s, acknowledged_by = %(acknowledged_by)s, on_way_at = %(on_way_at)s,
    closed_at = %(closed_at)s, closed_by = %(closed_by)s, disposition = %(disposition)s, cause = %(cause)s,
    remark = %(remark)s
WHERE id = %(id)s

-- name: set_detail
UPDATE alarm SET detail = %(detail)s WHERE id = %(id)s

-- name: insert_log
INSERT INTO alarm_log (alarm, at, what, from_state, to_state, who, from_where, reason, event, detail)
VALUES (%(alarm)s, %(at)s, %(what)s, %(from_state)s, %(to_state)s, %(who)s, %(from_where)s, %(reason)s, %(event)s,
        %(detail)s)
RETURNING id

-- name: timeline
SELECT l.*, w.name AS who_name FROM alarm_log l LEFT JOIN worker w ON w.id = l.who WHERE l.alarm = %(id)s ORDER BY l.id

-- name: describe
SELECT a.id, a.condition, a.severity, a.state, a.round, a.late, a.address_known, a.area, ar.name AS area_name,
    c.id AS community, c.name AS community_name, a.grid, g.name AS grid_name, a.building, b.name AS building_name,
    b.address, coalesce(b.lon, g.lon) AS lon, coalesce(b.lat, g.lat) AS lat,
    a.household, h.unit, h.floor, h.room, p.spot, a.gateway, gw.name AS gateway_name, a.part,
    a.opened_at, a.event_at, a.cleared_at, a.acknowledged_at, a.acknowledged_by,
    coalesce(wa.name, a.acknowledged_by) AS acknowledged_name, a.on_way_at, a.closed_at, a.closed_by,
    coalesce(wc.name, a.closed_by) AS closed_name, a.disposition, a.cause, a.remark, a.linked_to, a.detail
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
WHERE a.id = %(id)s

-- name: residents
SELECT id, name, birth_year, phone, lives_alone, needs, family_name, family_phone
FROM resident WHERE household = %(household)s ORDER BY id
