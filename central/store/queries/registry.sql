-- name: save_area
INSERT INTO area (id, name) VALUES (%(id)s, %(name)s)
ON CONFLICT (id) DO UPDATE SET name = excluded.name
WHERE area IS DISTINCT FROM excluded

-- name: save_community
INSERT INTO community (id, area, name) VALUES (%(id)s, %(area)s, %(name)s)
ON CONFLICT (id) DO UPDATE SET area = excluded.area, name = excluded.name
WHERE community IS DISTINCT FROM excluded

-- name: save_grid
INSERT INTO grid (id, community, name, lon, lat) VALUES (%(id)s, %(community)s, %(name)s, %(lon)s, %(lat)s)
ON CONFLICT (id) DO UPDATE
SET community = excluded.community, name = excluded.name, lon = excluded.lon, lat = excluded.lat
WHERE grid IS DISTINCT FROM excluded

-- name: save_building
INSERT INTO building (id, grid, name, address, floors, lon, lat)
VALUES (%(id)s, %(grid)s, %(name)s, %(address)s, %(floors)s, %(lon)s, %(lat)s)
ON CONFLICT (id) DO UPDATE
SET grid = excluded.grid, name = excluded.name, address = excluded.address, floors = excluded.floors,
    lon = excluded.lon, lat = excluded.lat
WHERE building IS DISTINCT FROM excluded

-- name: save_household
INSERT INTO household (id, building, unit, floor, room)
VALUES (%(id)s, %(building)s, %(unit)s, %(floor)s, %(room)s)
ON CONFLICT (id) DO UPDATE
SET building = excluded.building, unit = excluded.unit, floor = excluded.floor, room = excluded.room
WHERE household IS DISTINCT FROM excluded

-- name: save_resident
INSERT INTO resident (id, household, name, birth_year, phone, lives_alone, needs, family_name, family_phone)
VALUES (%(id)s, %(household)s, %(name)s, %(birth_year)s, %(phone)s, %(lives_alone)s, %(needs)s,
        %(family_name)s, %(family_phone)s)
ON CONFLICT (id) DO UPDATE
SET household = excluded.household, name = excluded.name, birth_year = excluded.birth_year,
    phone = excluded.phone, lives_alone = excluded.lives_alone, needs = excluded.needs,
    family_name = excluded.family_name, family_phone = excluded.family_phone
WHERE resident IS DISTINCT FROM excluded

-- name: save_worker
INSERT INTO worker (id, area, name, role, community, language, active, phone)
VALUES (%(id)s, %(area)s, %(name)s, %(role)s, %(community)s, %(language)s, %(active)s, %(phone)s)
ON CONFLICT (id) DO UPDATE
SET area = excluded.area, name = excluded.name, role = excluded.role, community = excluded.community,
    language = excluded.language, active = excluded.active, phone = excluded.phone
WHERE worker IS DISTINCT FROM excluded

-- name: drop_worker_grids
DELETE FROM worker_grid WHERE worker = %(worker)s

-- name: add_worker_grid
INSERT INTO worker_grid (worker, grid, duty) VALUES (%(worker)s, %(grid)s, %(duty)s)

-- name: drop_contacts
DELETE FROM contact WHERE worker = %(worker)s

-- name: add_contact
INSERT INTO contact (worker, rank, channel, address) VALUES (%(worker)s, %(rank)s, %(channel)s, %(address)s)

-- name: save_gateway
-- A gateway keeps its first registration; saving it again brings a retired one back.
INSERT INTO gateway (id, area, name, building, registered_at, registered_by)
VALUES (%(id)s, %(area)s, %(name)s, %(building)s, %(at)s, %(by)s)
ON CONFLICT (id) DO UPDATE
SET area = excluded.area, name = excluded.name, building = excluded.building, retired_at = NULL

-- name: begin_lease
-- Heard "now" by courtesy, so that a gateway that never reports is noticed when the lease ends.
INSERT INTO lease (gateway, heard_at, deaf)
VALUES (%(gateway)s, %(at)s, coalesce(
    (SELECT deaf FROM ear WHERE area IN (%(area)s, '') ORDER BY heard_at DESC LIMIT 1), interval '0'))
ON CONFLICT (gateway) DO NOTHING

-- name: lock_gateway
SELECT id, area, name, building, retired_at FROM gateway WHERE id = %(id)s FOR UPDATE

-- name: save_bus
INSERT INTO bus (gateway, id, settings) VALUES (%(gateway)s, %(id)s, %(settings)s)
ON CONFLICT (gateway, id) DO UPDATE SET settings = excluded.settings

-- name: save_detector
INSERT INTO detector (id, profile, serial_number) VALUES (%(id)s, %(profile)s, %(serial_number)s)
ON CONFLICT (id) DO UPDATE SET profile = excluded.profile, serial_number = excluded.serial_number,
    scrapped_at = NULL

-- name: lock_detector
SELECT id, profile, serial_number, scrapped_at FROM detector WHERE id = %(id)s FOR UPDATE

-- name: current_placement
SELECT id, household, gateway, bus, unit, point, spot, allow_writes, from_at
FROM placement WHERE detector = %(detector)s AND to_at IS NULL

-- name: on_same_address
-- Whoever hangs on the same unit id of the same line now.
SELECT p.detector, p.unit, p.point, d.profile, p.household
FROM placement p JOIN detector d ON d.id = p.detector
WHERE p.gateway = %(gateway)s AND p.bus = %(bus)s AND p.unit = %(unit)s AND p.to_at IS NULL
  AND p.detector <> %(detector)s
ORDER BY p.detector

-- name: close_placement
UPDATE placement SET to_at = greatest(%(at)s, from_at + interval '1 microsecond')
WHERE detector = %(detector)s AND to_at IS NULL
RETURNING gateway, to_at

-- name: open_placement
INSERT INTO placement (detector, household, gateway, bus, unit, point, spot, allow_writes, from_at)
VALUES (%(detector)s, %(household)s, %(gateway)s, %(bus)s, %(unit)s, %(point)s, %(spot)s, %(allow_writes)s,
        greatest(%(at)s, (SELECT max(to_at) FROM placement WHERE detector = %(detector)s)))
RETURNING id, from_at

-- name: watched
-- All that a gateway has to watch now, in a stable order.
SELECT b.id AS bus, b.settings, p.detector, p.unit, p.point, p.allow_writes, d.profile,
       p.spot, bu.name AS building, h.unit AS entrance, h.floor, h.room
FROM bus b
LEFT JOIN placement p ON p.gateway = b.gateway AND p.bus = b.id AND p.to_at IS NULL
LEFT JOIN detector d ON d.id = p.detector
LEFT JOIN household h ON h.id = p.household
LEFT JOIN building bu ON bu.id = h.building
WHERE b.gateway = %(gateway)s
ORDER BY b.id, p.unit, p.point, p.detector

-- name: helpers
-- Whom the gateway calls by itself: those who answer for the homes behind it and have a number, the first to go first.
SELECT w.phone, min(duty.rank) AS rank, array_agg(DISTINCT p.detector ORDER BY p.detector) AS detectors
FROM placement p
JOIN household h ON h.id = p.household
JOIN building b ON b.id = h.building
JOIN grid g ON g.id = b.grid
JOIN LATERAL (
    SELECT wg.worker, CASE wg.duty WHEN 'primary' THEN 0 ELSE 1 END AS rank FROM worker_grid wg WHERE wg.grid = g.id
    UNION ALL
    SELECT lead.id, 2 FROM worker lead WHERE lead.role = 'community_lead' AND lead.community = g.community
) duty ON true
JOIN worker w ON w.id = duty.worker
WHERE p.gateway = %(gateway)s AND p.to_at IS NULL AND w.active AND w.phone <> ''
GROUP BY w.phone
ORDER BY rank, w.phone
LIMIT %(limit)s

-- name: gateways_of_worker
-- The gateways that watch homes this worker answers for.
SELECT DISTINCT p.gateway
FROM placement p
JOIN household h ON h.id = p.household
JOIN building b ON b.id = h.building
JOIN grid g ON g.id = b.grid
WHERE p.to_at IS NULL AND (
    EXISTS (SELECT FROM worker_grid wg WHERE wg.worker = %(worker)s AND wg.grid = g.id)
    OR EXISTS (SELECT FROM worker w
               WHERE w.id = %(worker)s AND w.role = 'community_lead' AND w.community = g.community))

-- name: gateways_of_places
-- The gateways that watch homes in these grids, buildings or households.
SELECT DISTINCT p.gateway
FROM placement p
JOIN household h ON h.id = p.household
JOIN building b ON b.id = h.building
WHERE p.to_at IS NULL AND CASE %(kind)s
    WHEN 'grid' THEN b.grid = ANY(%(ids)s)
    WHEN 'building' THEN b.id = ANY(%(ids)s)
    WHEN 'household' THEN h.id = ANY(%(ids)s)
    ELSE false
END

-- name: epoch
SELECT epoch FROM epoch

-- name: new_epoch
UPDATE epoch SET epoch = %(epoch)s, since = %(at)s

-- name: latest_config
SELECT version, hash, body, made_at, made_by, published_at, applied_at, refused
FROM gateway_config WHERE gateway = %(gateway)s ORDER BY version DESC LIMIT 1

-- name: add_config
INSERT INTO gateway_config (gateway, version, hash, body, made_at, made_by)
VALUES (%(gateway)s, %(version)s, %(hash)s, %(body)s, %(at)s, %(by)s)

-- name: ids_area
SELECT id FROM area
-- name: ids_community
SELECT id FROM community
-- name: ids_grid
SELECT id FROM grid
-- name: ids_building
SELECT id FROM building
-- name: ids_household
SELECT id FROM household
-- name: ids_worker
SELECT id FROM worker
-- name: ids_gateway
SELECT id FROM gateway WHERE retired_at IS NULL
-- name: ids_bus
SELECT gateway || '/' || id AS id FROM bus
-- name: ids_detector
SELECT id FROM detector

-- name: known_area
SELECT FROM area WHERE id = %(id)s
-- name: known_community
SELECT FROM community WHERE id = %(id)s
-- name: known_grid
SELECT FROM grid WHERE id = %(id)s
-- name: known_building
SELECT FROM building WHERE id = %(id)s
-- name: known_household
SELECT FROM household WHERE id = %(id)s
-- name: known_worker
SELECT FROM worker WHERE id = %(id)s
-- name: known_detector
SELECT FROM detector WHERE id = %(id)s
-- name: known_gateway
SELECT FROM gateway WHERE id = %(id)s AND retired_at IS NULL
-- name: known_bus
SELECT FROM bus WHERE gateway || '/' || id = %(id)s

-- name: gateways
SELECT g.id, g.area, g.name, g.building, g.registered_at, g.registered_by, g.retired_at,
       l.heard_at, l.silent_since, c.version AS config_version, c.published_at, c.applied_at, c.refused,
       (SELECT count(*) FROM placement p WHERE p.gateway = g.id AND p.to_at IS NULL) AS detectors,
       coalesce((SELECT jsonb_agg(b.settings || jsonb_build_object('id', b.id) ORDER BY b.id)
                 FROM bus b WHERE b.gateway = g.id), '[]') AS buses
FROM gateway g
LEFT JOIN lease l ON l.gateway = g.id
LEFT JOIN LATERAL (SELECT version, published_at, applied_at, refused FROM gateway_config
                   WHERE gateway = g.id ORDER BY version DESC LIMIT 1) c ON true
WHERE (%(id)s::text IS NULL OR g.id = %(id)s) AND g.id > %(after)s
ORDER BY g.id LIMIT %(limit)s

-- name: detectors
SELECT d.id, d.profile, d.serial_number, d.scrapped_at,
       p.household, p.gateway, p.bus, p.unit, p.point, p.spot, p.allow_writes, p.from_at,
       b.grid, b.name AS building, h.unit AS entrance, h.floor, h.room
FROM detector d
LEFT JOIN placement p ON p.detector = d.id AND p.to_at IS NULL
LEFT JOIN household h ON h.id = p.household
LEFT JOIN building b ON b.id = h.building
WHERE (%(id)s::text IS NULL OR d.id = %(id)s) AND (%(gateway)s::text IS NULL OR p.gateway = %(gateway)s)
  AND d.id > %(after)s
ORDER BY d.id LIMIT %(limit)s

-- name: placements
SELECT id, household, gateway, bus, unit, point, spot, allow_writes, from_at, to_at
FROM placement WHERE detector = %(detector)s ORDER BY from_at, id

-- name: households
-- Addresses only; who lives there is asked for by itself and audited.
SELECT h.id, h.building, h.unit, h.floor, h.room, b.name AS building_name, b.address, b.grid
FROM household h JOIN building b ON b.id = h.building
WHERE (%(building)s::text IS NULL OR h.building = %(building)s) AND h.id > %(after)s
ORDER BY h.id LIMIT %(limit)s

-- name: residents
SELECT id, household, name, birth_year, phone, lives_alone, needs, family_name, family_phone
FROM resident
WHERE (%(id)s::text IS NULL OR id = %(id)s) AND (%(household)s::text IS NULL OR household = %(household)s)
  AND id > %(after)s
ORDER BY id LIMIT %(limit)s

-- name: workers
SELECT w.id, w.area, w.name, w.role, w.community, w.language, w.active, w.phone,
       coalesce((SELECT jsonb_agg(jsonb_build_object('grid', g.grid, 'duty', g.duty) ORDER BY g.duty DESC, g.grid)
                 FROM worker_grid g WHERE g.worker = w.id), '[]') AS grids,
       coalesce((SELECT jsonb_agg(jsonb_build_object('channel', c.channel, 'address', c.address) ORDER BY c.rank)
                 FROM contact c WHERE c.worker = w.id), '[]') AS contacts
FROM worker w
WHERE w.id > %(after)s AND w.role <> 'family'
ORDER BY w.id LIMIT %(limit)s

-- name: areas
SELECT id, name FROM area ORDER BY id

-- name: communities
SELECT id, area, name FROM community ORDER BY id

-- name: grids
SELECT id, community, name, lon, lat FROM grid ORDER BY id

-- name: buildings
SELECT id, grid, name, address, floors, lon, lat FROM building
WHERE id > %(after)s ORDER BY id LIMIT %(limit)s

-- name: set_worker_active
UPDATE worker SET active = %(active)s WHERE id = %(id)s
