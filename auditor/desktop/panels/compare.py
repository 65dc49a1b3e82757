"""The Compare panel: left which runs, middle how they differ, right one conversation with every judge's scores."""

from PySide6.QtWidgets import QVBoxLayout, QWidget

from auditor.desktop.panels.compare_choice import CompareChoice
from auditor.desktop.panels.compare_detail import CompareDetail
from auditor.desktop.panels.compare_results import CompareResults
from auditor.desktop.session import Session
from auditor.desktop.widgets.three_parts import ThreeParts

#: Widths of the left and the right part in a wide and in a narrow panel; the middle one takes what is left.
_WIDE, _SMALL = (306, 292), (216, 276)


class ComparePanel(QWidget):
    """Rating runs side by side."""

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self.choice = CompareChoice(session)
        self.results = CompareResults(session)
        self.detail = CompareDetail(session)
        self.splitter = ThreeParts(self.choice, self.results, self.detail, wide=_WIDE, small=_SMALL)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.splitter)
        self.choice.wanted.connect(self.compare)
        self.results.pair_shown.connect(self.detail.set_judges)
        self.results.row_selected.connect(self._show_row)
        session.case_changed.connect(self.clear)
        session.runs_changed.connect(self._refresh_if_shown)

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
        self.detail.clear()

    def compare(self) -> None:
        """Compare the runs that are ticked."""
        if self.choice.compare.isEnabled():
            self.detail.clear()
            self.results.compare(self.choice.chosen)

    def refresh_theme(self) -> None:
        """Draw pictures and text in the colours of the theme."""
        self.results.refresh_theme()
        self.detail.refresh_theme()

    def _show_row(self, shown: int) -> None:
        model = self.results.table.model
        if shown >= 0:
            unit, row_a, row_b, axis = (model.value(shown, name) for name in ("id", "row_a", "row_b", "axis"))
            self.detail.show_unit(unit, (int(row_a), int(row_b)), axis)
