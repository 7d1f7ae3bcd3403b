"""MQTT 3.1.1 where a general client library costs too much (ADR 0019), and how that one is stopped."""
