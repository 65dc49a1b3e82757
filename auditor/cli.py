"""The front door: the same audits from a terminal, and opens the desktop."""
