"""The Compare panel: left which runs, middle how they differ, right one unit with what both runs made of it."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from PySide6.QtWidgets import QStackedWidget, QVBoxLayout, QWidget

from auditor.desktop.panels.compare_choice import CompareChoice
from auditor.desktop.panels.compare_results import CompareResults
from auditor.desktop.panels.compared_example import ComparedExample
from auditor.desktop.panels.compared_query import ComparedQuery
from auditor.desktop.panels.compared_rating import ComparedRating
from auditor.desktop.panels.compared_unit import ComparedUnit
from auditor.desktop.session import Session
from auditor.desktop.widgets.three_parts import ThreeParts

#: Widths of the left and the right part in a wide and in a narrow panel; the middle one takes what is left.
_WIDE, _SMALL = (306, 292), (216, 276)
#: What the table has of a unit that the right part asks for.
_FIELDS = ("id", "query_id", "row_a", "row_b", "axis", "condition", "kind")


class ComparePanel(QWidget):
    """Runs of one audit side by side."""

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self.choice = CompareChoice(session)
        self.results = CompareResults(session)
        #: By the name of the audit; the one in view is `detail`.
        self.details: Mapping[str, ComparedUnit] = {
            "rating": ComparedRating(session),
            "guard": ComparedQuery(session),
            "unlearning": ComparedExample(session),
        }
        self._right = QStackedWidget()
        for detail in self.details.values():
            self._right.addWidget(detail)
        self.splitter = ThreeParts(self.choice, self.results, self._right, wide=_WIDE, small=_SMALL)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.splitter)
        self.choice.wanted.connect(self.compare)
        self.results.pair_shown.connect(self._show_runs)
        self.results.row_selected.connect(self._show_row)
        for detail in self.details.values():
            detail.shown.connect(partial(self.splitter.show_detail, True))
        session.case_changed.connect(self.clear)
        session.runs_changed.connect(self._refresh_if_shown)

    @property
    def detail(self) -> ComparedUnit:
        """The right part in view."""
        detail = self._right.currentWidget()
        assert isinstance(detail, ComparedUnit)
        return detail

    def activate(self) -> None:
        """Called when the panel comes into view."""
        self.choice.refresh()

    def _refresh_if_shown(self) -> None:
        if self.isVisible():
            self.choice.refresh()

    def clear(self) -> None:
        """Show nothing of a case that is open no more."""
        self.choice.clear()
        self.results.show_empty()
        self._clear_detail()

    def _clear_detail(self) -> None:
        self.splitter.show_detail(False)
        self.detail.clear()

    def compare(self) -> None:
        """Compare the runs that are ticked."""
        if self.choice.compare.isEnabled():
            self._clear_detail()
            self.results.compare(self.choice.chosen)

    def refresh_theme(self) -> None:
        """Draw pictures and text in the colours of the theme."""
        self.results.refresh_theme()
        for detail in self.details.values():
            detail.refresh_theme()

    def _show_runs(self, audit: str, runs: Sequence[Mapping[str, str]]) -> None:
        self._right.setCurrentWidget(self.details[audit])
        self.splitter.show_detail(False)
        self.detail.set_runs(runs)

    def _show_row(self, shown: int) -> None:
        if shown >= 0:
            model = self.results.table.model
            row: dict[str, Any] = {name: model.value(shown, name) for name in _FIELDS}
            self.detail.show_row(row)
