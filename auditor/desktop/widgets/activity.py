"""The activity bar: every run that is under way or has just ended: what, how far, time left, cancel, resume."""

from pathlib import Path

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import (
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QScrollArea,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from auditor.desktop import theme
from auditor.desktop.widgets.detail import plain_label, plain_tip
from auditor.desktop.widgets.pane import ElidedLabel
from auditor.runs.clock import duration
from auditor.runs.contract import RunState
from auditor.runs.executor import RunStatus

_ROW_HEIGHT = 40
#: More rows scroll; in a low window fewer are shown, so that panels keep their room.
_MOST_ROWS, _MOST_ROWS_LOW, _LOW_PX = 3, 2, 800


class _Row(QWidget):
    def __init__(self, bar: "ActivityBar", path: Path, place: str) -> None:
        super().__init__()
        self.setFixedHeight(_ROW_HEIGHT)
        self.name = plain_label(f"{path.name} on {place}" if place else path.name, wrap=False)
        self.words = ElidedLabel("soft")
        self.progress = QProgressBar()
        self.progress.setTextVisible(False)
        self.progress.setFixedWidth(180)
        self.progress.setAccessibleName(f"Progress of {path.name}")
        self.cancel = theme.icon_button("stop", "Cancel")
        self.cancel.setAccessibleName(f"Cancel {path.name}")
        self.cancel.clicked.connect(lambda: bar.cancel_wanted.emit(path))
        self.resume = theme.icon_button("resume", "Resume")
        self.resume.setAccessibleName(f"Resume {path.name}")
        self.resume.clicked.connect(lambda: bar.resume_wanted.emit(path))
        self.show_button = QPushButton("Show")
        self.show_button.setAccessibleName(f"Show {path.name}")
        self.show_button.clicked.connect(lambda: bar.show_wanted.emit(path))
        self.dismiss = QToolButton()
        theme.set_icon(self.dismiss, "close")
        self.dismiss.setAutoRaise(True)
        self.dismiss.setAccessibleName(f"Take {path.name} off the bar")
        self.dismiss.clicked.connect(lambda: bar.remove(path))
        layout = QHBoxLayout(self)
        layout.setContentsMargins(12, 4, 12, 4)
        layout.addWidget(self.name)
        layout.addWidget(self.progress)
        layout.addWidget(self.words, 1)
        for button in (self.show_button, self.cancel, self.resume, self.dismiss):
            layout.addWidget(button)

    def show_status(self, status: RunStatus, left: float | None) -> None:
        if status.total:
            self.progress.setRange(0, status.total)
            self.progress.setValue(status.done)
        else:
            self.progress.setRange(0, 0 if status.state.is_live else 1)
        live = status.state.is_live
        self.cancel.setVisible(live)
        self.resume.setVisible(status.state.is_resumable and not live)
        self.dismiss.setVisible(not live)
        words = status.message or status.state.value
        if status.total:
            words = (
                f"{words}: {status.done:,} of {status.total:,}"
                if live
                else f"{status.done:,} of {status.total:,}. {words}"
            )
        if live and left is not None:
            words += f", about {duration(left)} left"
        if status.state is RunState.DONE:
            words = "Done and sealed" if status.sealed else "Sealing"
        self.words.setText(words)
        self.words.setToolTip(plain_tip(words))


class ActivityBar(QWidget):
    """Rows of runs at the bottom of the window.

    Signals
    -------
    cancel_wanted(object), resume_wanted(object), show_wanted(object)
        Path of the run.
    """

    cancel_wanted = Signal(object)
    resume_wanted = Signal(object)
    show_wanted = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("activity")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self._rows: dict[str, _Row] = {}
        self._most = _MOST_ROWS
        self._idle = QLabel("No run is under way.")
        self._idle.setObjectName("soft")
        self._idle.setContentsMargins(12, 6, 12, 6)
        inner = QWidget()
        self._layout = QVBoxLayout(inner)
        self._layout.setContentsMargins(0, 0, 0, 0)
        self._layout.setSpacing(0)
        self._area = QScrollArea()
        self._area.setWidgetResizable(True)
        self._area.setWidget(inner)
        self._area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        # The bar's own colour shows through.
        for part in (inner, self._area.viewport()):
            part.setAutoFillBackground(False)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._idle)
        layout.addWidget(self._area)
        self._fit()

    def row(self, path: Path, place: str = "") -> _Row:
        """The row of a run, made if there is none; `place` names the backend that it was given to."""
        key = str(path)
        if key not in self._rows:
            self._rows[key] = _Row(self, path, place)
            self._layout.insertWidget(0, self._rows[key])
            self._fit()
        return self._rows[key]

    def show_status(self, path: Path, status: RunStatus, left: float | None) -> None:
        """Show where a run stands."""
        self.row(path).show_status(status, left)

    def remove(self, path: Path) -> None:
        """Take a run off the bar."""
        row = self._rows.pop(str(path), None)
        if row is not None:
            row.hide()
            row.deleteLater()
            self._fit()

    def clear(self) -> None:
        """Take everything off the bar."""
        for key in list(self._rows):
            self.remove(Path(key))

    def fit_to(self, window_height: int) -> None:
        """Show as many rows as a window of this height, in pixels, has room for."""
        self._most = _MOST_ROWS if window_height >= _LOW_PX else _MOST_ROWS_LOW
        self._fit()

    def _fit(self) -> None:
        self._idle.setVisible(not self._rows)
        self._area.setVisible(bool(self._rows))
        self._area.setFixedHeight(min(len(self._rows), self._most) * _ROW_HEIGHT)
