"""People beside the judge: agreement with its intervals, what deserves a second look, and the pictures."""

from pathlib import Path
from typing import Any

from PySide6.QtCore import Qt, QTimer, Signal
from PySide6.QtGui import QShowEvent
from PySide6.QtWidgets import QAbstractItemView, QFileDialog, QHBoxLayout, QVBoxLayout, QWidget

from auditor.desktop import theme
from auditor.desktop.panels.picture_column import PictureColumn
from auditor.desktop.session import Session
from auditor.desktop.widgets.columns import Numbers, Texts
from auditor.desktop.widgets.detail import plain_label
from auditor.desktop.widgets.listing import Listing
from auditor.desktop.widgets.pane import ScrollPane
from auditor.desktop.widgets.table import Table
from auditor.runs.directory import RunDirectory, made_with_people

_EMPTY = (
    "No person has rated this run yet. Rate by hand, or import a CSV file with the columns conversation_id, axis, rater and "
    "score; agreement with people appears here."
)
_WAIT_MS = 700
_QUEUE_HEIGHT, _ROW_HEIGHT = 300, 26


def queue_columns() -> list[Numbers | Texts]:
    """Empty columns of the queue for a second look."""
    return [
        Texts("id", "Conversation", "Id in the file, or row-<n>."),
        Texts("axis", "Axis", "Axis of the rubric."),
        Numbers("difference", "Judge less people", "Expected score less the people's mean; empty on another scale."),
        Numbers("expected", "Expected", "The judge's expected score, from 1 to 5."),
        Numbers("label", "People", "Mean of the people's scores, on their scale unless mapped."),
        Numbers("confidence", "Confidence", "Probability of the judge's most probable score."),
        Numbers("row", "Row", "Record number in the input, from 1.", whole=True),
        Numbers("place", "Place", "Row of the table of ratings, from 0.", whole=True),
    ]


class RatePeople(QWidget):
    """Agreement of a finished run with the human ratings of its case.

    Signals
    -------
    source_selected(int)
        Row of the ratings table that was selected in the queue.
    import_wanted(object)
        Path of a file of human ratings.
    """

    source_selected = Signal(int)
    import_wanted = Signal(object)

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self._run: RunDirectory | None = None
        self._is_stale = False
        self.sentence = plain_label(_EMPTY)
        self.bring = theme.icon_button("open", "Import ratings…")
        self.bring.clicked.connect(self.choose_file)
        self.again = theme.icon_button("resume", "Refresh")
        self.again.clicked.connect(self.refresh)
        buttons = QHBoxLayout()
        for button in (self.bring, self.again):
            buttons.addWidget(button)
        buttons.addStretch(1)
        self.estimates = Listing("Agreement with people", ())
        self.estimates.verticalHeader().setDefaultSectionSize(_ROW_HEIGHT)
        self.estimates.setSelectionMode(QAbstractItemView.SelectionMode.NoSelection)
        self.estimates.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.notes = plain_label(name="help")
        self.queue_title = plain_label("Worst disagreement first", name="heading")
        self.queue = Table("Queue for a second look")
        self.queue.setFixedHeight(_QUEUE_HEIGHT)
        self.queue.selected.connect(self._select)
        self._pictures = PictureColumn(session, "agreement_export")
        self._found = (self.estimates, self.notes, self.queue_title, self.queue)
        inner = QWidget()
        layout = QVBoxLayout(inner)
        layout.setContentsMargins(0, 6, 8, 0)
        layout.setSpacing(10)
        layout.addWidget(self.sentence)
        layout.addLayout(buttons)
        for widget in (self.estimates, self.notes, self.queue_title, self.queue):
            layout.addWidget(widget)
        layout.addLayout(self._pictures)
        layout.addStretch(1)
        whole = QVBoxLayout(self)
        whole.setContentsMargins(0, 0, 0, 0)
        self.pane = ScrollPane(inner)
        whole.addWidget(self.pane)
        self._wait = QTimer(self, singleShot=True, interval=_WAIT_MS)
        self._wait.timeout.connect(self._refresh_if_stale)
        session.judged.connect(self._judged)
        self._show_nothing(_EMPTY)

    def show_run(self, run: RunDirectory) -> None:
        """Turn to a finished run; agreement is computed when it comes into view."""
        self._run, self._is_stale = run, True
        self._show_nothing(_EMPTY)
        self._wait.start()

    def clear(self) -> None:
        """Show no run."""
        self._run, self._is_stale = None, False
        self._session.asker.drop("agreement")

    def showEvent(self, event: QShowEvent) -> None:
        """Compute what waited until somebody looks."""
        super().showEvent(event)
        self._wait.start()

    def _judged(self, run_id: str) -> None:
        if self._run is not None and self._run.path.name == run_id:
            self._is_stale = True
            self._wait.start()

    def _refresh_if_stale(self) -> None:
        if self._is_stale and self.isVisible():
            self.refresh()

    def refresh(self) -> None:
        """Compute agreement anew, in a process of its own."""
        case, run = self._session.case, self._run
        if case is None or run is None:
            return
        self._is_stale = False
        if not case.human_ratings(run.path.name):
            self._session.asker.drop("agreement")
            self._show_nothing(" ".join(self._made_with(run)) or _EMPTY)
            return
        if not self.estimates.isVisibleTo(self):
            self.sentence.setText("Comparing the judge with people …")
        self.again.setEnabled(False)
        asked = {"case": str(case.path), "run": run.path.name, "theme": theme.current().name}
        self._session.asker.ask("agreement", asked, lambda found: self._show(found, asked), self._show_nothing)

    @staticmethod
    def _made_with(run: RunDirectory) -> list[str]:
        """What is known of people without anybody's rating in the case."""
        return [
            f"The run itself was set beside the ratings in {file.name}: agreement with them is part of its verdict, "
            "pictures and report. Nobody has rated in this case beside that: rate by hand, or import a file, to see people here."
            for file, _ in made_with_people([run])
        ]

    def _show_nothing(self, sentence: str) -> None:
        self.sentence.setText(sentence)
        self.again.setEnabled(True)
        for widget in self._found:
            widget.hide()
        self._pictures.take_away()

    def _show(self, found: dict[str, Any] | None, asked: dict[str, Any]) -> None:
        if found is None or not found["tables"]:
            self._show_nothing("\n".join([*found["sentences"], *found["notes"]]) if found else _EMPTY)
            return
        self.again.setEnabled(True)
        self.sentence.setText("\n".join(found["sentences"]))
        self._show_estimates(found["headers"], found["tables"])
        self.notes.setText("\n".join(found["notes"]))
        columns = queue_columns()
        for unit in found["queue"]:
            for column in columns:
                column.append(unit[column.name])
        self.queue.set_columns(columns)
        self.queue.view.setColumnHidden(len(columns) - 1, True)
        self.estimates.show()
        self.notes.show()
        for widget in (self.queue_title, self.queue):
            widget.setVisible(bool(found["queue"]))
        self._pictures.show_pictures(found["pictures"], asked)

    def _show_estimates(self, headers: list[str], tables: dict[str, list[list[str]]]) -> None:
        lines: list[list[str]] = []
        captions = []
        for caption, rows in tables.items():
            captions.append(len(lines))
            lines += [[caption], *rows]
        self.estimates.clear()
        self.estimates.clearSpans()
        self.estimates.setColumnCount(len(headers))
        self.estimates.setHorizontalHeaderLabels(headers)
        self.estimates.show_rows(lines, 0)
        for line in captions:
            self.estimates.setSpan(line, 0, 1, len(headers))
            item = self.estimates.item(line, 0)
            if item is not None:
                font = item.font()
                font.setBold(True)
                item.setFont(font)
        self.estimates.resizeColumnsToContents()
        self.estimates.setCurrentCell(-1, -1)
        height = sum(self.estimates.rowHeight(line) for line in range(len(lines)))
        bar = self.estimates.horizontalScrollBar().sizeHint().height()
        self.estimates.setFixedHeight(height + self.estimates.horizontalHeader().sizeHint().height() + bar + 4)

    def _select(self, shown: int) -> None:
        if shown >= 0:
            self.source_selected.emit(int(self.queue.model.value(shown, "place")))

    def choose_file(self) -> None:
        """Ask for a file of human ratings."""
        name, _ = QFileDialog.getOpenFileName(self, "Import human ratings", "", "Tables (*.csv *.tsv);;All files (*)")
        if name:
            self.import_wanted.emit(Path(name))

    def refresh_theme(self) -> None:
        """Draw the pictures in the colours of the theme."""
        if self.estimates.isVisibleTo(self):
            self._is_stale = True
            self._wait.start()

    def finish(self) -> None:
        """Wait for a sort that is under way."""
        self.queue.finish()
