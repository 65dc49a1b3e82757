"""What benchmarks share: the machine, medians and ranges, the JSON they print."""

import json
import os
import platform
import statistics
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import psutil
from auditor.runs.ask import processor


def machine() -> dict[str, Any]:
    """What this machine is."""
    return {
        "system": platform.platform(),
        "processor": processor(),
        "cores": os.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 1024**3, 1),
        "python": platform.python_version(),
    }


def summary(values: Sequence[float], unit: str) -> dict[str, Any]:
    """Median and range."""
    return {"median": statistics.median(values), "min": min(values), "max": max(values), "unit": unit, "n": len(values)}


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> dict[str, float]:
    """Ratios paired within a round."""
    pairs = [a / b for a, b in zip(ours, theirs, strict=True)]
    return {"median": statistics.median(pairs), "min": min(pairs), "max": max(pairs)}


def option(name: str, default: str) -> str:
    """The value of a command-line option."""
    return sys.argv[sys.argv.index(name) + 1] if name in sys.argv else default


def is_quick() -> bool:
    """Whether --quick was given."""
    return "--quick" in sys.argv


def report(settings: Mapping[str, Any], figures: Mapping[str, Any], ratios: Mapping[str, Any]) -> None:
    """Print the JSON object."""
    print(json.dumps({"machine": machine(), "settings": settings, "figures": figures, "ratios": ratios}, indent=2))  # noqa: T201
