DROP TABLE link_alarm, pace;
