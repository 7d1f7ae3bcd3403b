-- depends: 0019_folding
-- When each gateway's hourly proof of the lane came in last.

CREATE TABLE canary (
    gateway text PRIMARY KEY REFERENCES gateway,
    stored_at timestamptz NOT NULL
);
