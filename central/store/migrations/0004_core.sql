-- depends: 0003_alarms
-- The same observation may come again under another stream (an outbox that started anew): found by its boot.
CREATE INDEX event_boot ON event (gateway, boot, mono_ms);
