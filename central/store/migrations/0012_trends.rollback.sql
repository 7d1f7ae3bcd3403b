DROP TABLE finding, judged, clock_sample;
