"""The Guard panel: left what is asked, middle what came out, right what is selected."""

from pathlib import Path

from PySide6.QtWidgets import QFileDialog, QWidget

from auditor.desktop.actions import Command
from auditor.desktop.panels.guard_detail import GuardDetail
from auditor.desktop.panels.guard_prompt import GuardPrompt
from auditor.desktop.panels.guard_results import GuardResults
from auditor.desktop.panels.guard_setup import GuardSetup
from auditor.desktop.panels.run_panel import RunPanel
from auditor.desktop.session import Session

#: Widths of the left and the right part in a wide and in a narrow panel.
_WIDE, _SMALL = (330, 320), (304, 214)


class GuardPanel(RunPanel):
    """Stress-test demonstrations."""

    audit = "guard"
    title = "Guard"
    icon = "guard"
    sample_button = "Try the guard"
    sample_words = "Attack the sample's demonstrations and certify a threshold."

    setup: GuardSetup
    results: GuardResults
    detail: GuardDetail

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        parts = GuardSetup(session), GuardResults(session), GuardDetail(session)
        super().__init__(session, *parts, wide=_WIDE, small=_SMALL, parent=parent)
        self.prompt = GuardPrompt(session, self.setup)
        self._pages.addWidget(self.prompt)
        self.setup.prompt_wanted.connect(self.show_prompt)
        self.prompt.closed.connect(self.show_results)
        self.results.query_selected.connect(self._show_query)

    def commands(self) -> tuple[Command, ...]:
        """Files, sample, prompt."""
        return (
            Command("guard.file", "Choose queries to guard…", "open", "Ctrl+Shift+G", self.choose_file, self.title),
            Command("guard.sample", "Try the guard with the sample", "run", "", self.try_sample, self.title),
            Command("guard.prompt", "See and change the prompt", "edit", "Ctrl+Shift+P", self.show_prompt, self.title),
        )

    def activate(self) -> None:
        """Called when the panel comes into view."""
        self.setup.models.refresh()

    def take_file(self, path: Path) -> None:
        """Take a file that was dropped anywhere in the window: queries first; what another one holds is asked."""
        self.show_results()
        self.setup.files.take_any(path)

    def choose_file(self) -> None:
        """Ask for a file of labelled queries."""
        name, _ = QFileDialog.getOpenFileName(self, "Choose labelled queries")
        if name:
            self.setup.files.take_first(Path(name))

    def _take_sample(self) -> None:
        self.setup.files.take_sample("")

    def show_prompt(self) -> None:
        """Show the prompt that a run would be asked with, and its template."""
        if not self.setup.prompt.isEnabled():
            self._session.said.emit("Choose queries, demonstrations and a model first: the prompt is made from them.")
            return
        self._pages.setCurrentWidget(self.prompt)
        self.prompt.open()

    def _show_query(self, asked: tuple[int, str] | None) -> None:
        if self.results.run is None or asked is None:
            self._clear_detail()
        else:
            self.splitter.show_detail(True)
            self.detail.show_query(self.results.run, *asked)
