"""The middle of the Compare panel: the difference in a sentence, then by axis, then pictures, then the table of units."""

import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QComboBox, QFrame, QHBoxLayout, QTabWidget, QVBoxLayout, QWidget

from auditor.desktop import theme
from auditor.desktop.panels.picture_column import PictureColumn, empty
from auditor.desktop.session import Session
from auditor.desktop.widgets.columns import Numbers, Texts, read_columns
from auditor.desktop.widgets.detail import plain_label
from auditor.desktop.widgets.listing import Listing
from auditor.desktop.widgets.pane import ScrollPane
from auditor.desktop.widgets.quick import QuickFilters
from auditor.desktop.widgets.table import Table
from auditor.desktop.widgets.verdict import VerdictPane

_EMPTY = (
    "Tick two or more finished runs of one audit on the left and press Compare. Rating runs of the same conversations: how "
    "their scores differ by axis, who rates higher where, and, where people rated too, who is right. Guard runs of the same "
    "queries: how their accuracies and risks differ under every attack, and which of them is right where. Unlearning runs of the "
    "same texts from the same start model: how much each has forgotten, and at which retention."
)
#: Audit -> title of the tab of its rows, their table's name, what an empty filter says.
_ROWS = {
    "rating": ("Ratings", "Ratings side by side", "Filter: text, or difference > 1; several with ;"),
    "guard": ("Answers", "Answers side by side", "Filter: text, or condition is correct; several with ;"),
    "unlearning": ("Examples", "Examples side by side", "Filter: text, or difference > 0.1; several with ;"),
}


class CompareResults(QWidget):
    """What came out of a comparison.

    Signals
    -------
    pair_shown(str, object)
        Two runs came into view: their audit; letter, run and model of each.
    row_selected(int)
        Shown row of the table, -1 for none.
    """

    pair_shown = Signal(str, object)
    row_selected = Signal(int)

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self._asked: dict[str, Any] | None = None
        self._pairs: list[dict[str, Any]] = []
        self._audit = ""
        self._folder: Path | None = None
        self.figures: list[Listing] = []
        self.state = plain_label(name="state")
        self.verdict = plain_label(name="verdict")
        self.alert = plain_label(name="alert")
        self.facts = plain_label(name="soft")
        self.pair = QComboBox()
        self.pair.setAccessibleName("Which run is B")
        self.pair.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.pair.setMinimumContentsLength(16)
        self.pair.setToolTip("The sentence, the figures and the rows below are of A and this run.")
        self.pair.activated.connect(self.show_pair)
        top = QHBoxLayout()
        top.addWidget(self.state, 1)
        top.addWidget(self.pair)
        card = QFrame()
        card.setObjectName("verdictCard")
        inside = QVBoxLayout(card)
        inside.setContentsMargins(14, 12, 12, 12)
        inside.addLayout(top)
        inside.addWidget(self.verdict)
        inside.addWidget(self.alert)
        self.tabs = QTabWidget()
        self.tabs.setDocumentMode(True)
        self.tabs.addTab(ScrollPane(self._build_differences()), "Differences")
        self.tabs.addTab(self._build_units(), "")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(14, 14, 14, 10)
        layout.addWidget(VerdictPane(card))
        layout.addWidget(self.tabs, 1)
        self._spring = QWidget()
        layout.addWidget(self._spring, 1)
        self.show_empty()

    def _build_differences(self) -> QWidget:
        self._figures = QVBoxLayout()
        self.pictures = PictureColumn(self._session, "compare_export")
        inner = QWidget()
        layout = QVBoxLayout(inner)
        layout.setContentsMargins(0, 6, 8, 0)
        layout.addWidget(self.facts)
        layout.addLayout(self._figures)
        layout.addLayout(self.pictures)
        layout.addStretch(1)
        return inner

    def _build_units(self) -> QWidget:
        self.table = Table("Side by side")
        self.table.selected.connect(self.row_selected)
        self.quick = QuickFilters("Quick filter")
        self.quick.chosen.connect(self.table.set_condition)
        inner = QWidget()
        layout = QVBoxLayout(inner)
        layout.setContentsMargins(0, 6, 0, 0)
        layout.addWidget(self.quick)
        layout.addWidget(self.table, 1)
        return inner

    def show_empty(self) -> None:
        """Say what to do."""
        self._stop()
        self._asked = None
        self._pairs = []
        self.table.set_columns([])
        self.verdict.setText(_EMPTY)
        for widget in (self.state, self.pair, self.alert, self.tabs):
            widget.hide()
        self._spring.show()

    def _stop(self) -> None:
        """End the question whose answer is not wanted any more, and take away its files."""
        self._session.asker.drop("compare")
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None

    def finish(self) -> None:
        """Wait for a sort that is under way and leave no file behind."""
        self._stop()
        self.table.finish()

    def compare(self, runs: Sequence[str]) -> None:
        """Ask for a comparison.

        Parameters
        ----------
        runs : sequence of str
            Ids of runs of the open case, A first.
        """
        case = self._session.case
        if case is None:
            return
        self.show_empty()
        self._folder = Path(tempfile.mkdtemp(prefix="auditor-table-"))
        self._asked = {"case": str(case.path), "runs": list(runs)}
        self._show_state("Comparing")
        self.verdict.setText("The runs are being compared …")
        asked = {**self._asked, "theme": theme.current().name, "folder": str(self._folder)}
        self._session.asker.ask("compare", asked, self._show, self._show_failed, self._show_progress)

    def _show_state(self, state: str) -> None:
        self.state.setText(f"● {state}")
        self.state.show()

    def _show_progress(self, _done: int, _total: int, message: str) -> None:
        self.verdict.setText(f"{message} …")

    def _show_failed(self, sentence: str) -> None:
        self.show_empty()
        self._show_state("Not compared")
        self.verdict.setText(sentence)

    def _show(self, found: dict[str, Any]) -> None:
        self._pairs, self._audit = found["pairs"], found["audit"]
        title, name, words = _ROWS[self._audit]
        self.tabs.setTabText(1, title)
        self.table.view.setAccessibleName(name)
        self.table.filter.setAccessibleName(f"Filter of {name}")
        self.table.filter.setPlaceholderText(words)
        self._show_state("Compared")
        self.alert.setText(" ".join(found["warnings"]))
        self.alert.setVisible(bool(found["warnings"]))
        self.pair.clear()
        self.pair.addItems([pair["title"] for pair in self._pairs])
        self.pair.setVisible(len(self._pairs) > 1)
        self._spring.hide()
        self.tabs.show()
        self.tabs.setCurrentIndex(0)
        self.show_pair(0)

    def show_pair(self, place: int) -> None:
        """Show the first run beside another one."""
        pair = self._pairs[place]
        self.pair.setCurrentIndex(place)
        self.verdict.setText(pair["sentence"])
        self.facts.setText(pair["facts"])
        empty(self._figures)
        self.figures = []
        for table in pair["tables"]:
            self._figures.addWidget(plain_label(table["title"], name="heading"))
            self.figures.append(_listing(table))
            self._figures.addWidget(self.figures[-1])
        self._show_pictures(pair["pictures"])
        self.pair_shown.emit(self._audit, pair["runs"])
        self._read_table(pair, place)

    def _show_pictures(self, pictures: Sequence[dict[str, Any]]) -> None:
        self.pictures.show_pictures(pictures, {**(self._asked or {}), "pair": self.pair.currentIndex()})

    def refresh_theme(self) -> None:
        """Draw the pictures in the colours of the theme."""
        if self._pairs:
            asked = {**(self._asked or {}), "theme": theme.current().name}
            self._session.asker.ask("compare", asked, self._show_repainted, self._session.said.emit)

    def _show_repainted(self, found: dict[str, Any]) -> None:
        for pair, repainted in zip(self._pairs, found["pairs"], strict=True):
            pair["pictures"] = repainted["pictures"]
        self._show_pictures(self._pairs[self.pair.currentIndex()]["pictures"])

    def _read_table(self, pair: Mapping[str, Any], place: int) -> None:
        folder = self._folder
        assert folder is not None

        def ready(columns: list[Numbers | Texts]) -> None:
            if folder == self._folder and pair is self._pairs[self.pair.currentIndex()]:
                self.quick.set_choices(pair["filters"])
                self.table.set_columns(columns)

        def failed(sentence: str) -> None:
            if folder == self._folder:
                self._session.said.emit(sentence)

        self.table.background.do(lambda: read_columns(folder / str(place), pair["columns"]), ready, failed)


def _listing(table: Mapping[str, Any]) -> Listing:
    """A small table, as high as its rows, so that what follows it follows at once."""
    listing = Listing(table["title"], [title for title, _about in table["columns"]])
    listing.horizontalHeader().setStretchLastSection(False)
    listing.setHorizontalScrollMode(Listing.ScrollMode.ScrollPerPixel)
    listing.setSelectionMode(Listing.SelectionMode.NoSelection)
    listing.show_rows(table["rows"], 0)
    for column, (_title, about) in enumerate(table["columns"]):
        if header := listing.horizontalHeaderItem(column):
            header.setToolTip(about)
            if column:
                header.setTextAlignment(Qt.AlignmentFlag.AlignCenter)
        for row in range(listing.rowCount()):
            item = listing.item(row, column)
            if item is not None and column:
                item.setTextAlignment(Qt.AlignmentFlag.AlignCenter)
    height = listing.horizontalHeader().sizeHint().height() + listing.horizontalScrollBar().sizeHint().height()
    height += sum(listing.rowHeight(row) for row in range(listing.rowCount()))
    listing.setFixedHeight(height + 2 * listing.frameWidth())
    return listing
