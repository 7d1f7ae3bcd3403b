"""A fleet: many gateways with many detectors on the wire contract, without lines and files of their own."""
