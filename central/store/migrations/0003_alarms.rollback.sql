DROP TABLE link, attempt, delivery, due, alarm_log, alarm;
