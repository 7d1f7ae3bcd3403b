"""Figures of a month: how fast people were told and came, what was false, what was too loud.

Law of this room: pure; rows come in, figures go out. No resident is in any of it.
"""
