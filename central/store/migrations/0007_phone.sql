-- depends: 0006_watch
-- The number by which a gateway calls a worker itself while the centre is silent; no channel's address.

ALTER TABLE worker ADD COLUMN phone text NOT NULL DEFAULT '';
