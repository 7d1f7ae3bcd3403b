-- name: find
-- Numbers of gateways' detectors, where they have one.
SELECT s.id, s.gateway, s.detector FROM series s
JOIN unnest(%(gateways)s::text[], %(detectors)s::text[]) AS q (gateway, detector)
    ON s.gateway = q.gateway AND s.detector = q.detector

-- name: add
-- A number for those that the registry knows; in one order, whoever asks.
INSERT INTO series (gateway, detector)
SELECT q.gateway, q.detector FROM unnest(%(gateways)s::text[], %(detectors)s::text[]) AS q (gateway, detector)
JOIN detector d ON d.id = q.detector
ORDER BY q.gateway, q.detector
ON CONFLICT (gateway, detector) DO NOTHING
