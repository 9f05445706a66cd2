"""Turns that are recorded: what is kept of one, and how it is run again and compared."""
