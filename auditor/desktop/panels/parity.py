"""The Parity panel: left what is asked, middle what came out, right what is selected."""

from pathlib import Path

from PySide6.QtWidgets import QFileDialog, QWidget

from auditor.desktop.actions import Command
from auditor.desktop.panels.annotate import AnnotationDesk
from auditor.desktop.panels.parity_detail import ParityDetail
from auditor.desktop.panels.parity_power import ParityPower
from auditor.desktop.panels.parity_results import ParityResults
from auditor.desktop.panels.parity_setup import ParitySetup
from auditor.desktop.panels.run_panel import RunPanel
from auditor.desktop.session import Session

#: Widths of the left and the right part in a wide and in a narrow panel.
_WIDE, _SMALL = (330, 320), (304, 214)


class ParityPanel(RunPanel):
    """Test results for parity."""

    audit = "parity"
    title = "Parity"
    icon = "parity"
    sample_button = "Try parity"
    sample_words = "Test the sample of search results."
    takes_folders = True

    setup: ParitySetup
    results: ParityResults
    detail: ParityDetail

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        parts = ParitySetup(session), ParityResults(session), ParityDetail(session)
        super().__init__(session, *parts, wide=_WIDE, small=_SMALL, parent=parent)
        self.power = ParityPower(session)
        self.desk = AnnotationDesk(session)
        for page in (self.power, self.desk):
            self._pages.addWidget(page)
        self.setup.power_wanted.connect(self.show_power)
        self.setup.annotation_wanted.connect(self.annotate)
        self.power.closed.connect(self.show_results)
        self.desk.closed.connect(self.show_results)
        self.desk.exported.connect(lambda path: self.setup.files.take("annotations", Path(path)))
        self.results.query_selected.connect(self._show_query)

    def commands(self) -> tuple[Command, ...]:
        """Files, sample, annotating, planning."""
        return (
            Command("parity.file", "Choose search results…", "open", "Ctrl+Shift+L", self.choose_file, self.title),
            Command("parity.sample", "Try parity with the sample", "run", "", self.try_sample, self.title),
            Command("parity.annotate", "Annotate tones", "tone", "Ctrl+T", self.annotate, self.title),
            Command("parity.power", "Plan a parity audit: power", "power", "Ctrl+P", self.show_power, self.title),
        )

    def take_file(self, path: Path) -> None:
        """Take a file or a folder of images that was dropped anywhere in the window.

        The first file holds the results; what another one holds is asked, never guessed.
        """
        self.show_results()
        if path.is_dir():
            self.setup.files.take("images", path)
        else:
            self.setup.files.take_any(path)

    def choose_file(self) -> None:
        """Ask for a file of search results."""
        name, _ = QFileDialog.getOpenFileName(self, "Choose search results")
        if name:
            self.setup.files.take_first(Path(name))

    def _take_sample(self) -> None:
        self.setup.files.take_sample("biased")

    def refresh_theme(self) -> None:
        """Draw pictures and swatches in the colours of the theme."""
        super().refresh_theme()
        self.power.refresh_theme()
        self.desk.refresh_theme()

    def show_power(self) -> None:
        """Plan an audit."""
        self._pages.setCurrentWidget(self.power)
        self.power.open()

    def annotate(self) -> None:
        """Set the tones of the items by keyboard."""
        files = self.setup.files
        if "results" not in files.paths:
            self._session.said.emit("Choose search results first: their items are what is annotated.")
            return
        if self.desk.open(files.paths["results"], files.paths.get("catalog"), self.setup.settings()):
            self._pages.setCurrentWidget(self.desk)

    def _show_query(self, query: str) -> None:
        if self.results.run is None or not query:
            self._clear_detail()
        else:
            self.splitter.show_detail(True)
            self.detail.show_query(self.results.run, query)
