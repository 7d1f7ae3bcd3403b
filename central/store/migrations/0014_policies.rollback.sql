DROP TABLE policy, shift, leave, roster_report;
