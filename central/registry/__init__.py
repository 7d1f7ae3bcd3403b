"""The registry: places, people, gateways, detectors; and what each gateway is told to watch."""
