-- depends: 0009_series
-- Roll-ups of readings by minute, hour and day, the last reading of each series, and what is still to be rolled up.

CREATE TABLE touched (
    -- Ingest says in its own transaction where it put readings; the job that rolls them up takes the row away.
    -- No index: there is one reader, and it takes all. A row lies within one hour.
    gateway text NOT NULL,
    low timestamptz NOT NULL,
    high timestamptz NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 20000);
-- What is there already is rolled up as if it had just come.
INSERT INTO touched (gateway, low, high)
SELECT s.gateway, min(r.at), max(r.at)
FROM readings r JOIN series s ON s.id = r.series GROUP BY s.gateway, date_bin('1 hour', r.at, '2000-01-01 00:00+08');

CREATE TABLE touched_hour (gateway text NOT NULL, hour timestamptz NOT NULL, PRIMARY KEY (gateway, hour));
CREATE TABLE touched_day (gateway text NOT NULL, day timestamptz NOT NULL, PRIMARY KEY (gateway, day));

CREATE TABLE rollup_minute (
    -- Made from readings. A hypertable by `bucket` where TimescaleDB is present, as is the next.
    bucket timestamptz NOT NULL,
    smoke_sum double precision,
    temperature_sum double precision,
    battery_sum double precision,
    contamination_sum double precision,
    smoke_min real,
    smoke_max real,
    temperature_min real,
    temperature_max real,
    battery_min real,
    battery_max real,
    contamination_min real,
    contamination_max real,
    smoke_n integer NOT NULL,
    temperature_n integer NOT NULL,
    battery_n integer NOT NULL,
    contamination_n integer NOT NULL,
    series integer NOT NULL,
    n integer NOT NULL,
    status_bits integer,               -- every bit that any status in it had
    PRIMARY KEY (series, bucket)
);
CREATE INDEX ON rollup_minute USING brin (bucket);

CREATE TABLE rollup_hour (
    -- Made from minutes.
    bucket timestamptz NOT NULL,
    smoke_sum double precision,
    temperature_sum double precision,
    battery_sum double precision,
    contamination_sum double precision,
    smoke_min real,
    smoke_max real,
    temperature_min real,
    temperature_max real,
    battery_min real,
    battery_max real,
    contamination_min real,
    contamination_max real,
    smoke_n integer NOT NULL,
    temperature_n integer NOT NULL,
    battery_n integer NOT NULL,
    contamination_n integer NOT NULL,
    series integer NOT NULL,
    n integer NOT NULL,
    status_bits integer,               -- every bit that any status in it had
    PRIMARY KEY (series, bucket)
) WITH (fillfactor = 90);
CREATE INDEX ON rollup_hour USING brin (bucket);

CREATE TABLE rollup_day (
    -- Made from hours; a day of China's clock (UTC+8, the whole year).
    bucket timestamptz NOT NULL,
    smoke_sum double precision,
    temperature_sum double precision,
    battery_sum double precision,
    contamination_sum double precision,
    smoke_min real,
    smoke_max real,
    temperature_min real,
    temperature_max real,
    battery_min real,
    battery_max real,
    contamination_min real,
    contamination_max real,
    smoke_n integer NOT NULL,
    temperature_n integer NOT NULL,
    battery_n integer NOT NULL,
    contamination_n integer NOT NULL,
    series integer NOT NULL,
    n integer NOT NULL,
    status_bits integer,               -- every bit that any status in it had
    PRIMARY KEY (series, bucket)
) WITH (fillfactor = 80);

CREATE TABLE last_reading (
    -- The newest reading of each series, and the newest value of each kind with its moment: a value that did not come
    -- with the newest reading is older than that. Written by the job, once a turn for each series that spoke.
    at timestamptz NOT NULL,
    smoke_at timestamptz,
    temperature_at timestamptz,
    battery_at timestamptz,
    contamination_at timestamptz,
    status_at timestamptz,
    series integer PRIMARY KEY,
    smoke real,
    temperature real,
    battery real,
    contamination real,
    status integer
) WITH (fillfactor = 50);
