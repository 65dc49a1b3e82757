"""The one spelling of time in every record, and of how long something takes for people."""

from datetime import UTC, datetime


def utc_now() -> str:
    """UTC time now, ISO 8601 with milliseconds and a Z."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def minute(time: str) -> str:
    """A recorded time for people, to the minute: 2026-11-26 16:31 UTC."""
    return f"{time[:10]} {time[11:16]} UTC"


def duration(seconds: float) -> str:
    """Seconds in words, rounded to what a person plans with."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    if seconds < 5400:
        return f"{round(seconds / 60)} min"
    return f"{seconds / 3600:.1f} h"
