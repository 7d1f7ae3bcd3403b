DROP FUNCTION watch(timestamptz);
