"""Questions of the desktop about where runs can be carried out; see `auditor.tasks`."""

from collections.abc import Callable, Mapping
from dataclasses import asdict
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
    """What a stored backend answers; asked: name. This is the one question that goes over the network."""
    from auditor.runs.ray import connection, store

    return asdict(connection.test(store.backend(asked["name"])))


TASKS: tuple[Callable[[Question, Progress], Any], ...] = (machine, backends_test)
