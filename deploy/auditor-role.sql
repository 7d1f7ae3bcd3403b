-- The auditor's own role in the database: reads what it judges by, no resident, no address, no message; writes one
-- column. Run as the database's owner or a superuser, once and again after an upgrade that says so:
--   psql -d smokewatch -f deploy/auditor-role.sql
-- then give it a password (psql: \password smokewatch_auditor), and its DSN to [auditor] dsn_file.
DO $$ BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'smokewatch_auditor') THEN
        CREATE ROLE smokewatch_auditor LOGIN CONNECTION LIMIT 10;
    END IF;
END $$;
GRANT USAGE ON SCHEMA public TO smokewatch_auditor;
GRANT SELECT (state, urgent, due_at, claimed_until) ON delivery TO smokewatch_auditor;
GRANT SELECT (due_at) ON due TO smokewatch_auditor;
GRANT SELECT (due_at) ON held_smoke TO smokewatch_auditor;
GRANT SELECT (id) ON area TO smokewatch_auditor;
GRANT SELECT (id, area, retired_at) ON gateway TO smokewatch_auditor;
GRANT SELECT (gateway, heard_at) ON lease TO smokewatch_auditor;
GRANT SELECT (area, heard_at) ON ear TO smokewatch_auditor;
GRANT SELECT ON job TO smokewatch_auditor;
GRANT UPDATE (succeeded_at) ON job TO smokewatch_auditor;
