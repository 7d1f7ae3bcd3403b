DROP INDEX alarm_open_part;
DROP INDEX alarm_source;
