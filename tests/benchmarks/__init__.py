"""Benchmarks: ``python -m tests.benchmarks.NAME [--quick]`` prints one JSON object."""
