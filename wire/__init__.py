"""The contract between gateways and the centre: topics, messages, codec, delivery. Pure: no I/O, no clock."""
