"""GB/T 26875.3-2011, between a transmitter and a fire-brigade centre: bytes to meaning and back. Sans I/O.

`frame` has the packets, `data` what they carry, `exchange` the sending until it is confirmed. Clauses are
those of the standard; what it does not fix stands in docs/reference/gb26875.md.
"""
