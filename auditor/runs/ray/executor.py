"""Runs on a cluster, each followed by a process of this machine that outlives whoever started it."""

import signal
import threading
import time
from pathlib import Path

from auditor.errors import RunError
from auditor.runs import live
from auditor.runs.contract import RunState
from auditor.runs.directory import RunDirectory
from auditor.runs.executor import RunStatus
from auditor.runs.local import POLL_SECONDS, LocalExecutor, signal_group

#: The follower needs this long at most to have a stop confirmed, and says itself what came of it.
_FOLLOWER_SECONDS = 125.0


class RayExecutor(LocalExecutor):
    """Has runs carried out by a backend. Fills `Executor`.

    Where a run stands is read from its directory, as of any run: nothing here waits for the network.

    Parameters
    ----------
    name : str
        Of the backend.
    """

    _module = "auditor.runs.ray.follow"

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name
        self._lets_go = threading.Event()
        self._gone = (
            f"Nobody follows the run any more, and it may still be at work on {name}: resume it to go on following. What arrived "
            "is kept."
        )

    def pause(self, run_dir: Path) -> None:
        """Refuse: a cluster knows one way to be asked to stop."""
        raise RunError(
            f"The run {run_dir.name} cannot be paused on {self.name}: cancel it; it can be resumed all the same."
        )

    def cancel(self, run_dir: Path, patience_s: float = 10.0) -> RunStatus:
        """Have the cluster stop the run: ask, then kill everything that belongs to it; see `Executor.cancel`.

        Nothing is written into the events here: they are as the cluster sent them.
        """
        run = RunDirectory(run_dir.resolve())
        if not self._is_at_it(run.path):
            return self.status(run.path)
        follower = live.worker_pid(run) or self._child_pid(run.path)
        live.request_cancel(run)
        until = time.monotonic() + patience_s + _FOLLOWER_SECONDS
        while self._works(run, follower):
            if self._lets_go.wait(POLL_SECONDS):
                # The follower has been asked, and asks the cluster whether or not somebody waits for it.
                return self.status(run.path)
            if time.monotonic() > until and run.written_state() is not RunState.DONE:
                signal_group(follower, getattr(signal, "SIGKILL", signal.SIGTERM))
                break
        return self.status(run.path)

    def let_go(self) -> None:
        """Have `cancel` return at once; see `Executor.let_go`."""
        self._lets_go.set()
