-- name: add
INSERT INTO notice_window (kind, area, begins, ends, why, person, made_at, made_by)
VALUES (%(kind)s, %(area)s, %(begins)s, %(ends)s, %(why)s, %(person)s, %(now)s, %(by)s)
RETURNING id

-- name: add_detectors
INSERT INTO notice_window_detector (notice_window, detector) SELECT %(id)s, unnest(%(detectors)s::text[])

-- name: lock
SELECT id, ends, ended_at FROM notice_window WHERE id = %(id)s FOR UPDATE

-- name: end
UPDATE notice_window SET ended_at = %(now)s, ended_by = %(by)s WHERE id = %(id)s

-- name: tell_now
-- What the end of a window would tell is told now.
UPDATE due SET due_at = %(now)s
FROM alarm a JOIN notice_window_detector d ON d.detector = a.part
WHERE d.notice_window = %(id)s AND due.alarm = a.id AND a.state <> 'closed' AND a.severity <> 'life'
  AND due.due_at = %(ends)s

-- name: of_detectors
-- Windows that are open now.
SELECT d.detector, w.id, w.kind, w.begins, w.ends, w.why, w.person
FROM notice_window_detector d JOIN notice_window w ON w.id = d.notice_window
WHERE d.detector = ANY (%(detectors)s) AND w.ended_at IS NULL AND w.begins <= %(now)s AND w.ends > %(now)s
ORDER BY w.id

-- name: listed
-- Those that are not over, and with `past` the others too; what is out of service and past its date stays until ended.
SELECT w.id, w.kind, w.area, w.begins, w.ends, w.why, w.person, p.name AS person_name, w.made_at, w.made_by,
    w.ended_at, w.ended_by,
    ARRAY(SELECT detector FROM notice_window_detector d WHERE d.notice_window = w.id ORDER BY detector) AS detectors,
    w.ended_at IS NULL AND w.begins <= %(now)s AND w.ends > %(now)s AS open,
    w.ended_at IS NULL AND w.kind = 'out_of_service' AND w.ends <= %(now)s AS overdue
FROM notice_window w LEFT JOIN worker p ON p.id = w.person
WHERE (%(area)s::text IS NULL OR w.area = %(area)s) AND w.id > %(after)s
  AND (%(past)s OR (w.ended_at IS NULL AND (w.ends > %(now)s OR w.kind = 'out_of_service')))
ORDER BY w.id LIMIT %(limit)s

-- name: areas_of_detectors
-- Where detectors hang now; one that hangs nowhere has no area.
SELECT d.id, c.area FROM detector d
LEFT JOIN placement p ON p.detector = d.id AND p.to_at IS NULL
LEFT JOIN household h ON h.id = p.household
LEFT JOIN building b ON b.id = h.building
LEFT JOIN grid g ON g.id = b.grid
LEFT JOIN community c ON c.id = g.community
WHERE d.id = ANY (%(detectors)s) ORDER BY d.id

-- name: reachable
SELECT w.id FROM worker w
WHERE w.id = %(worker)s AND w.active AND EXISTS (SELECT FROM contact WHERE worker = w.id)
