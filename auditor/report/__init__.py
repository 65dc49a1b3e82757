"""Findings -> a self-contained HTML file and a tagged, reproducible PDF, both from the same content.

Heavy modules are imported by the functions that need them.
"""
