DROP TABLE held_smoke, notice_window_detector, notice_window;
