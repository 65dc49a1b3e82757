"""`python -m auditor`."""
