-- depends: 0013_forward 0014_policies 0015_bundles
-- A look at all gateways every two seconds must not read them all.
CREATE INDEX gateway_area ON gateway (area) WHERE retired_at IS NULL;
