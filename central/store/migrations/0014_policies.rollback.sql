DROP INDEX worker_role;
DROP TABLE policy, shift, leave, roster_report;
