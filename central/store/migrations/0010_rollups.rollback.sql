DROP TABLE last_reading, rollup_day, rollup_hour, rollup_minute, touched_day, touched_hour, touched;
