"""What the last test of each backend found: kept between starts, in words. Tokens are no part of it."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QSettings

from auditor.runs.clock import minute
from auditor.sizes import size_words

if TYPE_CHECKING:
    from auditor.runs.ray.backend import Backend


@dataclass(frozen=True)
class Tested:
    """The outcome of a test.

    Attributes
    ----------
    time : str
        UTC time, ISO 8601.
    address : str
        What was asked; a backend that was moved since has not been tested.
    problem : str
        Why it failed and what would help; empty if it answered.
    seen : mapping of str to Any
        Fields of `auditor.runs.ray.connection.Seen`; empty if it failed.
    """

    time: str
    address: str
    problem: str
    seen: Mapping[str, Any]

    @property
    def short(self) -> str:
        """Outcome and time for a table."""
        return f"{'failed' if self.problem else 'answered'} {minute(self.time)}"

    @property
    def gpus(self) -> str:
        """Number and names of the graphics processors; empty if it failed."""
        if not self.seen:
            return ""
        names = ", ".join(dict.fromkeys(self.seen["gpu_names"]))
        count = f"{self.seen['gpus']:g}" if self.seen["gpus"] else "none"
        return f"{count} ({names})" if names else count

    @property
    def memory(self) -> str:
        """Memory of all nodes; empty if it failed."""
        return size_words(self.seen["memory_bytes"], 1) if self.seen else ""

    @property
    def processors(self) -> str:
        """Processors and the nodes that have them; empty if it failed."""
        return f"{self.seen['cpus']:g} on {_counted(self.seen['nodes'], 'node')}" if self.seen else ""

    def sentence(self, name: str) -> str:
        """What was found, or what went wrong."""
        if self.problem:
            return self.problem
        count, (number, _, kinds) = self.seen["gpus"], self.gpus.partition(" ")
        gpus = f"{number} GPU{'s' if count != 1 else ''} {kinds}".rstrip() if count else "no GPU"
        nodes, processors = _counted(self.seen["nodes"], "node"), _counted(self.seen["cpus"], "processor")
        return f"{name} answers: {nodes} with {processors}, {self.memory} of memory and {gpus}."

    @property
    def versions(self) -> str:
        """Software that was found there; empty if it failed."""
        if not self.seen:
            return ""
        versions = {"Ray": "ray_version", "Python": "python_version", "Auditor": "auditor_version"}
        return " · ".join(f"{name} {self.seen[field]}" for name, field in versions.items() if self.seen[field])


def _counted(count: float, what: str) -> str:
    return f"{count:g} {what}{'s' if count != 1 else ''}"


def keep(settings: QSettings, name: str, tested: Tested) -> None:
    """Remember the outcome of a test."""
    settings.setValue(_key(name), json.dumps(asdict(tested)))


def forget(settings: QSettings, name: str) -> None:
    """A backend was changed or removed: what was found before says nothing any more."""
    settings.remove(_key(name))


def last(settings: QSettings, backend: "Backend") -> Tested | None:
    """The last test of a backend as it is kept now; None if there was none."""
    try:
        tested = Tested(**json.loads(str(settings.value(_key(backend.name), ""))))
    except (ValueError, TypeError):
        return None
    return tested if tested.address == backend.address else None


def _key(name: str) -> str:
    return f"backends/{name}"
