"""Auditor: a workbench in which people audit AI systems."""

__version__ = "0.1.0"
