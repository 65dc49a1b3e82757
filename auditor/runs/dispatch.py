"""Every run with the executor that its spec names: who looks at runs need not know where they run."""

import threading
from dataclasses import replace
from pathlib import Path

from auditor.errors import BackendError, RunError
from auditor.runs.contract import RunState
from auditor.runs.directory import RunDirectory
from auditor.runs.executor import LOCAL, Executor, RunStatus
from auditor.runs.executors import executor_named
from auditor.runs.local import LocalExecutor

_REMOVED = (
    "The run was given to the backend {name}, which is not kept here any more: what had come back of it stays. Add it "
    "again, under the same name, to follow or resume the run."
)
#: How a run ended; whether its backend is still known changes nothing of that.
_ENDED = (RunState.FAILED, RunState.CANCELLED)


class Dispatch:
    """Starts, watches and stops each run where it belongs. Fills `Executor`.

    Only the executor of this machine is made at once; that of a backend when a run asks for it.
    """

    name = "dispatch"

    def __init__(self) -> None:
        self._local = LocalExecutor()
        self._names: dict[Path, str] = {}
        self._made: dict[str, Executor] = {}
        #: Runs are started in other threads than that which looks at them.
        self._guard = threading.Lock()

    def name_of(self, run_dir: Path) -> str:
        """Name of the executor of a run: "local", or the name of a backend."""
        name = self._names.get(run_dir)
        if name is None:
            try:
                name = RunDirectory(run_dir).spec().executor
            except RunError:
                # Whoever reads its spec will say what is wrong with it.
                return LOCAL
            self._names[run_dir] = name
        return name

    def start(self, run_dir: Path) -> None:
        """Start, or resume, a run; see `Executor.start`.

        Raises
        ------
        BackendError
            If its backend is not known here.
        RunError
            If the run is sealed or a worker is already at it.
        """
        self._require(self.name_of(run_dir))
        self._of(run_dir).start(run_dir)

    def status(self, run_dir: Path) -> RunStatus:
        """Where the run stands; of a run whose backend is not known here, what had come back."""
        try:
            self._require(self.name_of(run_dir))
            return self._of(run_dir).status(run_dir)
        except BackendError as error:
            found = self._local.status(run_dir)
            # It may have ended before, or still be followed by somebody who knew the backend.
            if found.sealed or found.state.is_live or found.state in _ENDED:
                return found
            return replace(found, state=RunState.INTERRUPTED, message=str(error))

    def pause(self, run_dir: Path) -> None:
        """Ask a run to stop without force; see `Executor.pause`.

        Raises
        ------
        BackendError
            If its backend is not known here.
        """
        self._of(run_dir).pause(run_dir)

    def cancel(self, run_dir: Path, patience_s: float = 10.0) -> RunStatus:
        """Stop a run; see `Executor.cancel`.

        Raises
        ------
        BackendError
            If its backend is not known here.
        """
        return self._of(run_dir).cancel(run_dir, patience_s)

    def wait(self, run_dir: Path, timeout_s: float | None = None) -> RunStatus:
        """Block until nobody is at the run; see `Executor.wait`.

        Raises
        ------
        BackendError
            If its backend is not known here.
        TimeoutError
            If it takes longer.
        """
        return self._of(run_dir).wait(run_dir, timeout_s)

    def let_go(self) -> None:
        """Wait no longer for other machines; see `Executor.let_go`."""
        with self._guard:
            made = list(self._made.values())
        for executor in made:
            executor.let_go()

    def close(self) -> None:
        """Collect what is finishing; runs at work go on without this process."""
        for executor in (self._local, *self._made.values()):
            executor.close()

    def _of(self, run_dir: Path) -> Executor:
        name = self.name_of(run_dir)
        if name == LOCAL:
            return self._local
        with self._guard:
            if name not in self._made:
                self._made[name] = executor_named(name)
            return self._made[name]

    @staticmethod
    def _require(name: str) -> None:
        """Refuse a backend that is not kept here, or not any more."""
        if name == LOCAL:
            return
        from auditor.runs.ray import store

        if all(backend.name != name for backend in store.backends()):
            raise BackendError(_REMOVED.format(name=name))
