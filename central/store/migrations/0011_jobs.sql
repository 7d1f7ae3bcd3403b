-- depends: 0010_rollups
-- When each periodic job last did its work: whoever watches them looks here, from another process if need be.

CREATE TABLE job (
    name text PRIMARY KEY,
    every interval,                    -- its period; NULL: no such job any more
    succeeded_at timestamptz NOT NULL  -- never reset by a restart
);
