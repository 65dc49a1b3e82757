"""Who carries out a run: this machine or another one, behind one interface."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from auditor.runs.contract import RunState
from auditor.runs.live import PAUSED

#: Name of the executor of this machine; every other one is the name of a backend.
LOCAL = "local"


@dataclass(frozen=True)
class RunStatus:
    """Where a run stands, for whoever looks.

    Attributes
    ----------
    state : RunState
        Derived from the run directory and from whether its worker lives.
    done, total : int, int or None
        Progress in the audit's units; total is None while unknown.
    message : str
        What the run says it is doing, or the sentence of its failure.
    sealed : bool
        Whether the run directory is sealed.
    """

    state: RunState
    done: int = 0
    total: int | None = None
    message: str = ""
    sealed: bool = False

    @property
    def is_paused(self) -> bool:
        """Whether the run was stopped by somebody who means to go on."""
        return self.state is RunState.CANCELLED and self.message == PAUSED


class Executor(Protocol):
    """Starts, watches and stops runs. Knows a run by its directory alone, so that whoever comes later can ask."""

    name: str

    def start(self, run_dir: Path) -> None:
        """Start, or resume, a run. Returns at once; what happens stands in the run directory.

        Raises
        ------
        RunError
            If the run is sealed or a worker is already at it.
        """

    def status(self, run_dir: Path) -> RunStatus:
        """Where the run stands. Cheap; safe to call several times a second."""

    def pause(self, run_dir: Path) -> None:
        """Ask a run to stop after what it is at, so that it can go on from there exactly; never by force.

        Returns at once; `status` says when it has stopped.

        Raises
        ------
        RunError
            If no worker is at the run, or it cannot be asked.
        """

    def cancel(self, run_dir: Path, patience_s: float = 10.0) -> RunStatus:
        """Stop a run: ask, then terminate, then kill the whole process group. Blocks until it is gone.

        Parameters
        ----------
        patience_s : float
            Seconds given to the cooperative stop before force is used.
        """

    def wait(self, run_dir: Path, timeout_s: float | None = None) -> RunStatus:
        """Block until no worker is at the run.

        Raises
        ------
        TimeoutError
            If it takes longer.
        """

    def let_go(self) -> None:
        """Wait no longer for another machine: what it was asked is seen to by processes that outlive this one."""

    def close(self) -> None:
        """Collect what is finishing; runs at work go on without this process."""
