"""The Rate panel: left what is asked, middle what came out, right what is selected."""

from pathlib import Path

from PySide6.QtWidgets import QFileDialog, QWidget

from auditor.desktop.actions import Command
from auditor.desktop.panels.rate_by_hand import RateByHand
from auditor.desktop.panels.rate_detail import RateDetail
from auditor.desktop.panels.rate_import import ImportRatings, holds_ratings
from auditor.desktop.panels.rate_judge import SHOWN
from auditor.desktop.panels.rate_results import RateResults
from auditor.desktop.panels.rate_setup import RateSetup
from auditor.desktop.panels.run_panel import RunPanel
from auditor.desktop.session import Session
from auditor.resources import resource

#: Widths of the left and the right part in a wide and in a narrow panel.
_WIDE, _SMALL = (330, 310), (304, 214)


class RatePanel(RunPanel):
    """Rate conversations."""

    audit = "rating"
    title = "Rate"
    icon = "rate"
    sample_button = "Try rating"
    sample_words = "Rate the sample conversations."

    setup: RateSetup
    results: RateResults
    detail: RateDetail

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        parts = RateSetup(session), RateResults(session), RateDetail(session)
        super().__init__(session, *parts, wide=_WIDE, small=_SMALL, parent=parent)
        self.by_hand = RateByHand(session, self.results.table.model)
        self._pages.addWidget(self.by_hand)
        self.results.row_selected.connect(self._show_row)
        self.results.hand_wanted.connect(self.rate_by_hand)
        self.results.people.source_selected.connect(self._show_source)
        self.results.people.import_wanted.connect(self.import_ratings)
        self.detail.rate_wanted.connect(lambda row, axis: self.rate_by_hand((row, axis)))
        self.by_hand.closed.connect(self.show_results)

    def commands(self) -> tuple[Command, ...]:
        """Files, sample, rating by hand."""
        return (
            Command("rate.file", "Choose conversations…", "open", "Ctrl+L", self.choose_file, self.title),
            Command("rate.sample", "Try rating with the sample", "run", "", self.try_sample, self.title),
            Command("rate.hand", "Rate by hand", "people", "Ctrl+H", self.rate_by_hand, self.title),
            Command("rate.humans", "Import human ratings…", "open", "Ctrl+I", self.choose_ratings, self.title),
        )

    def activate(self) -> None:
        """Called when the panel comes into view."""
        self.setup.refresh_models()
        self.setup.rubric.refresh()

    def take_file(self, path: Path) -> None:
        """Take a file that was dropped anywhere in the window."""
        if path.suffix == ".toml":
            self.setup.rubric.take_file(path)
        elif holds_ratings(path):
            self.import_ratings(path)
        else:
            self.setup.take_file(path)

    def choose_file(self) -> None:
        """Ask for a file of conversations."""
        name, _ = QFileDialog.getOpenFileName(self, "Choose conversations")
        if name:
            self.take_file(Path(name))

    def choose_ratings(self) -> None:
        """Ask for a file of human ratings."""
        self.results.people.choose_file()

    def _take_sample(self) -> None:
        self.take_file(resource("samples", "conversations.jsonl"))

    def run_over(self, path: Path) -> None:
        """A run's worker is gone; what it took is known from now on."""
        self.setup.refresh_cost()
        super().run_over(path)

    def refresh_theme(self) -> None:
        """Draw pictures and text in the colours of the theme."""
        super().refresh_theme()
        self.by_hand.refresh_theme()

    def rate_by_hand(self, start: tuple[int, str] | None = None) -> None:
        """Show one conversation after the other in large, to be rated; from a row and an axis, or where a rater stopped."""
        run, case = self.results.run, self._session.case
        if run is None or case is None or not self.results.is_whole:
            self._session.said.emit("Show a finished run first: people rate what a judge has rated.")
            return
        if not case.writable:
            self._session.said.emit("This case is open for reading only: nobody can rate in it here.")
            return
        self._pages.setCurrentWidget(self.by_hand)
        self.by_hand.open(run, run.findings(), start, self.detail.seen(run.path.name))

    def import_ratings(self, path: Path) -> None:
        """Show what a file of human ratings holds, and add it to the run in view once that is confirmed."""
        run, case = self.results.run, self._session.case
        if run is None or case is None or not self.results.is_whole:
            self._session.said.emit(f"{path.name} holds human ratings: show the finished run they belong to first.")
            return
        ImportRatings(self._session, run, path, self).open()

    def _show_source(self, source: int) -> None:
        run, model = self.results.run, self.results.table.model
        if run is not None and 0 <= source < model.all_rows:
            self.splitter.show_detail(True)
            self.detail.show_row(run, {name: model.cell(source, name) for name in SHOWN})

    def _show_row(self, shown: int) -> None:
        if shown >= 0 and self.results.run is not None:
            self._show_source(self.results.table.model.source_row(shown))
