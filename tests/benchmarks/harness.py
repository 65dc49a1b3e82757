"""What benchmarks share: the machine, medians and ranges, the JSON they print."""

import inspect
import json
import os
import platform
import statistics
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import psutil
from auditor.runs.ask import processor


def _tell_and_leave() -> None:
    """Print what the benchmark that was started is and takes, where that is asked for: measuring takes minutes."""
    started = sys.modules["__main__"]
    name = started.__spec__.name if started.__spec__ else ""
    if name.startswith("tests.benchmarks.") and not {"--help", "-h"}.isdisjoint(sys.argv[1:]):
        sys.stdout.write(f"{inspect.cleandoc(started.__doc__ or name)}\n")
        sys.exit(0)


# Every benchmark imports this before it does anything.
_tell_and_leave()


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
    """The value of a command-line option; one that is given twice is refused, since only the first would count."""
    if sys.argv.count(name) > 1:
        raise SystemExit(f"{name} is given twice: join its values with commas.")
    return sys.argv[sys.argv.index(name) + 1] if name in sys.argv else default


def is_quick() -> bool:
    """Whether --quick was given."""
    return "--quick" in sys.argv


def report(settings: Mapping[str, Any], figures: Mapping[str, Any], ratios: Mapping[str, Any]) -> None:
    """Print the JSON object."""
    print(json.dumps({"machine": machine(), "settings": settings, "figures": figures, "ratios": ratios}, indent=2))  # noqa: T201
