"""Findings to documents: self-contained HTML and tagged PDF."""
