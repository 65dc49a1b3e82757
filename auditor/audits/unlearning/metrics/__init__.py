"""Metrics of forgetting and retention, as numbers of answers and models that have been read. Imports no torch."""
