"""The demo: a whole street on one machine, every part a process of its own, as an operator would run it."""
