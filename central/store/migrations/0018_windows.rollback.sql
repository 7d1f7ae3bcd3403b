DROP TABLE gateway_command, held_smoke, notice_window_detector, notice_window;
