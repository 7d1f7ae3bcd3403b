-- depends: 0011_jobs
-- What the rules for early warnings found, when each part was judged last, and what they need of gateways' clocks.

CREATE TABLE finding (
    -- One trend of one part that holds; what is over is taken away when it has been told.
    gateway text NOT NULL,
    part text NOT NULL,                -- detector id, or '' for the gateway itself
    rule text NOT NULL,
    body jsonb NOT NULL,               -- central.trends.Finding
    PRIMARY KEY (gateway, part, rule)
);

CREATE TABLE judged (
    gateway text NOT NULL,
    part text NOT NULL,
    day date NOT NULL,                 -- of China's clock
    PRIMARY KEY (gateway, part)
);

CREATE TABLE clock_sample (
    gateway text NOT NULL,
    hour timestamptz NOT NULL,
    at timestamptz NOT NULL,
    boot text NOT NULL,
    synchronised boolean NOT NULL,
    offset_s double precision NOT NULL, -- the centre's clock minus the gateway's
    PRIMARY KEY (gateway, hour)
);
