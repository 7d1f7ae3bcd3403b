DROP TABLE notice_window_detector, notice_window;
