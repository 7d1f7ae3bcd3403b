DROP TABLE ear, lease, source, readings, quarantine, data_gap, event, lane;
