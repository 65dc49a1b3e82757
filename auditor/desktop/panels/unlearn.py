"""The Unlearn panel: left what is asked, middle what came out, right what is selected."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QFileDialog, QWidget

from auditor.desktop.actions import Command
from auditor.desktop.panels.run_panel import RunPanel
from auditor.desktop.panels.unlearn_detail import UnlearnDetail
from auditor.desktop.panels.unlearn_files import FORGET, LEARN
from auditor.desktop.panels.unlearn_results import UnlearnResults
from auditor.desktop.panels.unlearn_setup import UnlearnSetup
from auditor.desktop.session import Session

#: Widths of the left and the right part in a wide and in a narrow panel.
_WIDE, _SMALL = (330, 320), (304, 214)


class UnlearnPanel(RunPanel):
    """Make a model forget, and prove what it still knows.

    Signals
    -------
    library_changed()
        A model that a run has made was added to the library.
    judge_wanted(str)
        Somebody wants to rate with this model of the library.
    """

    audit = "unlearning"
    title = "Unlearn"
    icon = "unlearn"
    sample_button = "Try unlearning"
    sample_words = "Have the starter model learn invented facts, and then forget some of them."

    setup: UnlearnSetup
    results: UnlearnResults
    detail: UnlearnDetail

    library_changed = Signal()
    judge_wanted = Signal(str)

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        parts = UnlearnSetup(session), UnlearnResults(session), UnlearnDetail(session)
        super().__init__(session, *parts, wide=_WIDE, small=_SMALL, parent=parent)
        self.results.example_selected.connect(self._show_example)
        self.results.file_selected.connect(self._show_file)
        self.results.use_wanted.connect(self.use_model)

    def commands(self) -> tuple[Command, ...]:
        """Files, sample, pause."""
        return (
            Command("unlearn.file", "Choose what to forget…", "open", "Ctrl+Shift+U", self.choose_file, self.title),
            Command("unlearn.sample", "Try unlearning with the sample", "run", "", self.try_sample, self.title),
            Command("unlearn.pause", "Pause the run in view", "pause", "", self.results.pause.click, self.title),
        )

    def activate(self) -> None:
        """Called when the panel comes into view."""
        self.setup.models.refresh()

    def take_file(self, path: Path) -> None:
        """Take a file that was dropped anywhere in the window: what to forget first; what another one holds is asked."""
        self.show_results()
        self.setup.files.take_any(path)

    def choose_file(self) -> None:
        """Ask for a file of what is to be forgotten."""
        name, _ = QFileDialog.getOpenFileName(self, "Choose what to forget")
        if name:
            self.setup.files.take_first(Path(name))

    def run_over(self, path: Path) -> None:
        """A run's worker is gone: what the next one costs is known better now."""
        super().run_over(path)
        if path == self.shown_run:
            self.setup.refresh_cost()

    def _take_sample(self) -> None:
        self.setup.files.take_sample(LEARN if self.setup.learnt is None else FORGET)

    def use_model(self, name: str) -> None:
        """Take a file that the run in view has made into the library, and go on with it."""
        if self.results.run is None:
            return
        self._session.said.emit(f"Reading {name} …")
        asked = {"run_dir": str(self.results.run.path), "name": name}
        self._session.asker.ask("unlearning_adopt", asked, self._adopted, self._session.said.emit)

    def _adopted(self, found: dict[str, Any]) -> None:
        self._session.said.emit(found["sentence"])
        self.library_changed.emit()
        if found["format"] != "folder":
            self.judge_wanted.emit(found["name"])
            return
        if self.setup.files.is_sample:
            self.setup.files.take_sample(FORGET)
        self.setup.models.select(found["name"])
        self.setup.models.refresh()

    def _show_example(self, asked: tuple[str, int] | None) -> None:
        if self.results.run is None or asked is None:
            self._clear_detail()
        else:
            self.splitter.show_detail(True)
            self.detail.show_example(self.results.run, *asked)

    def _show_file(self, made: Mapping[str, Any] | None) -> None:
        if self.results.run is None or made is None:
            self._clear_detail()
        else:
            self.splitter.show_detail(True)
            self.detail.show_file(self.results.run, made)
