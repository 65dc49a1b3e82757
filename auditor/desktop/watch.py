"""Run events -> Qt signals: a timer looks at every run that is watched, with bounded work at a time."""

import time
from dataclasses import dataclass, field
from pathlib import Path

from PySide6.QtCore import QObject, QTimer, Signal

from auditor.desktop.session import Session
from auditor.errors import AuditorError
from auditor.runs.contract import RunState
from auditor.runs.executor import RunStatus
from auditor.runs.follow import Follower

_INTERVAL_MS = 250
#: Events handed on in one tick; about 5 ms of work.
_EVENTS = 400


@dataclass
class _Watched:
    path: Path
    follower: Follower
    pace: list[tuple[float, int]] = field(default_factory=list)
    is_over: bool = False


class Watcher(QObject):
    """Follows runs, whoever started them.

    Signals
    -------
    status(str, object, object)
        Run directory, `RunStatus`, seconds left or None.
    events(str, list)
        Run directory and events that are new.
    over(str)
        The run's worker is gone and all its events were given.
    """

    status = Signal(str, object, object)
    events = Signal(str, list)
    over = Signal(str)

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._session = session
        self._watched: dict[str, _Watched] = {}
        self._timer = QTimer(self)
        self._timer.setInterval(_INTERVAL_MS)
        self._timer.timeout.connect(self._look)

    def watch(self, path: Path) -> None:
        """Follow a run from its first event."""
        self._watched[str(path)] = _Watched(path, Follower(path))
        self._timer.start()

    def forget(self, path: Path) -> None:
        """Stop following a run."""
        self._watched.pop(str(path), None)

    def forget_all(self) -> None:
        """Stop following everything."""
        self._watched.clear()
        self._timer.stop()

    def _look(self) -> None:
        for key, watched in list(self._watched.items()):
            try:
                self._look_at(key, watched)
            except AuditorError as error:
                self._session.said.emit(str(error))
                self.forget(watched.path)
        if not self._watched:
            self._timer.stop()

    def _look_at(self, key: str, watched: _Watched) -> None:
        status = self._session.executor.status(watched.path)
        events = watched.follower.poll(_EVENTS)
        if events:
            self.events.emit(key, events)
        self.status.emit(key, status, self._left(watched, status))
        is_gone = not (status.state.is_live or (status.state is RunState.DONE and not status.sealed))
        if is_gone and len(events) < _EVENTS:
            self.forget(watched.path)
            self.over.emit(key)

    @staticmethod
    def _left(watched: _Watched, status: RunStatus) -> float | None:
        """Seconds left, from the pace of the last two minutes."""
        now = time.monotonic()
        if not watched.pace or watched.pace[-1][1] != status.done:
            watched.pace.append((now, status.done))
        watched.pace = [point for point in watched.pace if now - point[0] < 120]
        if len(watched.pace) < 2 or status.total is None:
            return None
        (begun, first), (_, last) = watched.pace[0], watched.pace[-1]
        return (status.total - last) * (now - begun) / (last - first) if last > first else None
