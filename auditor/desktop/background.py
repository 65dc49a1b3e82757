"""Work that touches disk or waits, off the window's thread: one function, its result or its error."""

from collections.abc import Callable
from typing import Any

from PySide6.QtCore import QObject, QRunnable, QThreadPool, Signal, Slot

from auditor.errors import AuditorError


class _Job(QRunnable):
    def __init__(self, work: Callable[[], Any], desk: "Background", key: int) -> None:
        super().__init__()
        self._work, self._desk, self._key = work, desk, key

    def run(self) -> None:
        try:
            result, error = self._work(), None
        except (AuditorError, OSError) as problem:
            result, error = None, str(problem)
        self._desk.finished.emit(self._key, result, error)


class Background(QObject):
    """Runs functions in a thread pool, one after the other, and calls back in the window's thread."""

    finished = Signal(int, object, object)

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._pool = QThreadPool(self)
        self._pool.setMaxThreadCount(1)
        self._waiting: dict[int, tuple[Callable[[Any], None], Callable[[str], None]]] = {}
        self._next = 0
        self.finished.connect(self._deliver)

    def do(self, work: Callable[[], Any], done: Callable[[Any], None], failed: Callable[[str], None]) -> None:
        """Run `work`; call `done` with its result or `failed` with a sentence."""
        self._next += 1
        self._waiting[self._next] = (done, failed)
        self._pool.start(_Job(work, self, self._next))

    @Slot(int, object, object)
    def _deliver(self, key: int, result: object, error: object) -> None:
        done, failed = self._waiting.pop(key)
        if error is None:
            done(result)
        else:
            failed(str(error))

    @property
    def is_idle(self) -> bool:
        """Whether nothing is under way."""
        return not self._waiting

    def finish(self) -> None:
        """Wait until everything is done; callbacks of unfinished work are dropped."""
        self._pool.waitForDone()
