"""The one spelling of time in every record."""

from datetime import UTC, datetime


def utc_now() -> str:
    """UTC time now, ISO 8601 with milliseconds and a Z."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
