"""Questions of the desktop about where runs can be carried out; see `auditor.tasks`."""

from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

Question = Mapping[str, Any]
Progress = Callable[[int, int, str], None]


def machine(_asked: Question, _progress: Progress) -> Any:
    """What runs find on this machine: processor, cores that may be used, memory, and where torch computes."""
    import psutil

    from auditor.models.precision import device_name, pick_device
    from auditor.processor import usable_cores
    from auditor.runs.ask import processor

    device = pick_device("auto")
    memory = psutil.virtual_memory()
    return {
        "processor": processor(),
        "cores": usable_cores(),
        "memory_bytes": memory.total,
        "free_bytes": memory.available,
        "device": device_name(device),
        "has_gpu": device.type != "cpu",
    }


def backends_test(asked: Question, _progress: Progress) -> Any:
    """What a stored backend answers; asked: name. This goes over the network."""
    from auditor.runs.ray import connection, store

    return asdict(connection.test(store.backend(asked["name"])))


def backends_clean(asked: Question, _progress: Progress) -> Any:
    """The runs that lie on a stored backend, once those that are asked for were removed there. This goes over the network.

    Asked: name, cases in which runs may be sealed, remove (run -> SHA-256 of its seal, as they were listed).
    """
    from auditor.case.sealed import sealed_runs
    from auditor.runs.ray import cleaning, store

    backend, sealed = store.backend(asked["name"]), sealed_runs(Path(case) for case in asked["cases"])
    found = cleaning.find(backend, sealed)
    going = [one for one in found if not one.stays and asked["remove"].get(one.lying.run) == one.lying.seal]
    removed, freed = cleaning.remove(backend, going) if going else ([], 0)
    left = [one for one in found if one.lying.run not in removed]
    return {
        "runs": [one.lying.model_dump() | {"stays": one.stays} for one in left],
        "n_removed": len(removed),
        "freed_bytes": freed,
    }


TASKS: tuple[Callable[[Question, Progress], Any], ...] = (machine, backends_test, backends_clean)
