"""The processor's cores, as far as this process may use them."""

import os
from pathlib import Path

_CPUS = Path("/sys/devices/system/cpu")


def usable_cores() -> int:
    """Physical cores that this process may use: more threads than that only get into each other's way.

    A process may be held to some cores, by its container or by a person who keeps the others free.
    """
    import psutil

    physical = psutil.cpu_count(logical=False) or os.cpu_count() or 1
    if not hasattr(os, "sched_getaffinity"):
        return physical
    allowed = os.sched_getaffinity(0)
    # Two logical processors of one core count once.
    cores = {_core_of(cpu) for cpu in allowed}
    return max(1, min(physical, len(cores)))


def _core_of(cpu: int) -> tuple[str, ...]:
    """What tells the core of a logical processor from others: package and number, else the processor itself."""
    try:
        topology = _CPUS / f"cpu{cpu}" / "topology"
        return tuple((topology / name).read_text() for name in ("physical_package_id", "core_id"))
    except OSError:
        return (str(cpu),)
