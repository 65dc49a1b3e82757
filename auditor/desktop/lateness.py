"""How late the event loop is: a timer that should fire every 5 ms notes by how much it misses."""

import time

from PySide6.QtCore import QObject, Qt, QTimer

_INTERVAL_MS = 5


class LatenessProbe(QObject):
    """Measures from `start` to `stop`.

    Attributes
    ----------
    late_ms : list of float
        Lateness of every tick, milliseconds.
    """

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.late_ms: list[float] = []
        self._timer = QTimer(self)
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.setInterval(_INTERVAL_MS)
        self._timer.timeout.connect(self._tick)
        self._last = 0.0

    def start(self) -> None:
        """Begin anew."""
        self.late_ms.clear()
        self._last = time.perf_counter()
        self._timer.start()

    def stop(self) -> None:
        """End."""
        self._timer.stop()

    def _tick(self) -> None:
        now = time.perf_counter()
        self.late_ms.append(max(0.0, (now - self._last) * 1000 - _INTERVAL_MS))
        self._last = now

    def quantile_ms(self, share: float) -> float:
        """Lateness that this share of ticks stays below, milliseconds."""
        ordered = sorted(self.late_ms)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]

    @property
    def max_ms(self) -> float:
        """The latest tick, milliseconds."""
        return max(self.late_ms)
