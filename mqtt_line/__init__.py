"""MQTT 3.1.1 for streams of messages that a general client library costs more than the rest (ADR 0019)."""
