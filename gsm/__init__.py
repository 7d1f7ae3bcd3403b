"""SMS through a modem that speaks AT commands, for gateways and for the centre. Pure: no I/O, no clock."""
