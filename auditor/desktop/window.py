"""The window: rail, panels, activity bar; every command once."""

from pathlib import Path
from typing import Any

from PySide6.QtCore import QSize, Qt, QTime, QTimer
from PySide6.QtGui import QCloseEvent, QDragEnterEvent, QDropEvent, QKeySequence
from PySide6.QtWidgets import (
    QApplication,
    QButtonGroup,
    QFileDialog,
    QHBoxLayout,
    QLabel,
    QMainWindow,
    QPushButton,
    QStackedWidget,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from auditor.desktop import theme
from auditor.desktop.actions import Command, Commands
from auditor.desktop.palette import Palette, Shortcuts
from auditor.desktop.panels.compare import ComparePanel
from auditor.desktop.panels.models import ModelsPanel
from auditor.desktop.panels.overview import OverviewPanel, sample_case_folder
from auditor.desktop.panels.rate import RatePanel
from auditor.desktop.session import Session
from auditor.desktop.watch import Watcher
from auditor.desktop.widgets.activity import ActivityBar
from auditor.desktop.widgets.detail import plain_label
from auditor.desktop.widgets.dropzone import dropped_file
from auditor.models.library import home
from auditor.resources import resource
from auditor.runs.executor import RunStatus

_SAID_MS = 15_000
#: Ended runs that are offered for resuming when a case opens.
_MOST_OFFERED = 3


class Window(QMainWindow):
    """The desk.

    Parameters
    ----------
    session : Session
        The case and its runs; the window ends it when it closes.
    """

    def __init__(self, session: Session) -> None:
        super().__init__()
        self.session = session
        self.setWindowTitle("Auditor")
        self.setWindowIcon(theme.icon("auditor"))
        self.setMinimumSize(960, 620)
        self.setAcceptDrops(True)
        self.watcher = Watcher(session)
        self.overview = OverviewPanel(session)
        self.rate = RatePanel(session)
        self.compare = ComparePanel(session)
        self.models = ModelsPanel(session)
        self.activity = ActivityBar()
        self.commands = Commands(session.settings, self)
        self._build()
        self._make_commands()
        self._name_find_button()
        self._connect()
        self._restore()

    def _build(self) -> None:
        self.stack = QStackedWidget()
        rail = QWidget()
        rail.setObjectName("rail")
        rail.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        rail.setFixedWidth(108)
        rail_layout = QVBoxLayout(rail)
        rail_layout.setContentsMargins(0, 10, 0, 10)
        self._rail = QButtonGroup(self)
        for place, (name, icon, panel) in enumerate(
            (
                ("Overview", "overview", self.overview),
                ("Rate", "rate", self.rate),
                ("Compare", "compare", self.compare),
                ("Models", "models", self.models),
            )
        ):
            button = QToolButton()
            button.setObjectName("railButton")
            button.setText(name)
            theme.set_icon(button, icon)
            button.setIconSize(QSize(26, 26))
            button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextUnderIcon)
            button.setCheckable(True)
            button.setFixedWidth(96)
            button.setAccessibleName(f"Panel {name}")
            button.clicked.connect(lambda _checked=False, place=place: self.go_to(place))
            self._rail.addButton(button, place)
            rail_layout.addWidget(button)
            self.stack.addWidget(panel)
        rail_layout.addStretch(1)
        middle = QHBoxLayout()
        middle.setContentsMargins(0, 0, 0, 0)
        middle.setSpacing(0)
        middle.addWidget(rail)
        middle.addWidget(self.stack, 1)
        whole = QWidget()
        layout = QVBoxLayout(whole)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(self._header())
        layout.addLayout(middle, 1)
        layout.addWidget(self.activity)
        self.setCentralWidget(whole)

    def _header(self) -> QWidget:
        self.case_title: QLabel = plain_label("No case is open", name="heading", wrap=False)
        self.case_facts: QLabel = plain_label(name="soft", wrap=False)
        self._verified = ""
        self.find_button = QPushButton()
        self.find_button.setObjectName("find")
        theme.set_icon(self.find_button, "search")
        self.find_button.clicked.connect(self.show_palette)
        header = QWidget()
        header.setObjectName("header")
        header.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        layout = QHBoxLayout(header)
        layout.setContentsMargins(14, 6, 12, 6)
        layout.addWidget(self.case_title)
        layout.addSpacing(10)
        layout.addWidget(self.case_facts)
        layout.addStretch(1)
        layout.addWidget(self.find_button)
        return header

    def _name_find_button(self) -> None:
        keys = self.commands.action("find.command").shortcut().toString(QKeySequence.SequenceFormat.NativeText)
        self.find_button.setText(f"Find a command   {keys}".rstrip())

    def _show_case_facts(self) -> None:
        case = self.session.case
        self.case_title.setText(case.title if case else "No case is open")
        n = len(self.session.runs()) if case else 0
        facts = [f"{n:,} run" + ("s" if n != 1 else ""), self._verified] if case else []
        self.case_facts.setText(" · ".join(fact for fact in facts if fact))

    def _show_verified(self, holds: bool) -> None:
        outcome = "evidence chain verified" if holds else "evidence chain NOT verified"
        self._verified = f"{outcome} {QTime.currentTime().toString('HH:mm')}"
        self._show_case_facts()

    def _make_commands(self) -> None:
        made = (
            Command("case.new", "New case…", "add", "Ctrl+N", self.new_case, "Case"),
            Command("case.open", "Open case…", "open", "Ctrl+O", self.open_case, "Case"),
            Command("case.verify", "Verify case", "verify", "Ctrl+Shift+V", self._verify, "Case"),
            Command("rate.file", "Choose conversations…", "open", "Ctrl+L", self._choose_file, "Run"),
            Command("rate.sample", "Try with the sample", "run", "", self.try_sample, "Run"),
            Command("rate.run", "Run", "run", "Ctrl+Return", self._run, "Run"),
            Command("rate.hand", "Rate by hand", "people", "Ctrl+H", self._rate_by_hand, "Run"),
            Command("rate.humans", "Import human ratings…", "open", "Ctrl+I", self._import_ratings, "Run"),
            Command("rate.report", "Save report as HTML…", "report", "Ctrl+R", self._report, "Run"),
            Command("compare.run", "Compare the ticked runs", "compare", "Ctrl+Shift+C", self._compare, "Run"),
            Command("models.add", "Add a model…", "models", "Ctrl+M", self._add_model, "Models"),
            Command("go.overview", "Go to Overview", "overview", "Ctrl+1", lambda: self.go_to(0), "Go"),
            Command("go.rate", "Go to Rate", "rate", "Ctrl+2", lambda: self.go_to(1), "Go"),
            Command("go.compare", "Go to Compare", "compare", "Ctrl+3", lambda: self.go_to(2), "Go"),
            Command("go.models", "Go to Models", "models", "Ctrl+4", lambda: self.go_to(3), "Go"),
            Command("look.system", "Appearance: as the system", "overview", "", lambda: self.choose_scheme(""), "View"),
            Command("look.light", "Appearance: light", "overview", "", lambda: self.choose_scheme("light"), "View"),
            Command("look.dark", "Appearance: dark", "overview", "", lambda: self.choose_scheme("dark"), "View"),
            Command("find.command", "Find a command…", "search", "Ctrl+K", self.show_palette, "Help"),
            Command("find.shortcuts", "Keyboard shortcuts…", "search", "", self.show_shortcuts, "Help"),
            Command("quit", "Quit", "close", "Ctrl+Q", self.close, "Case"),
        )
        menus: dict[str, Any] = {}
        for command in made:
            if command.menu not in menus:
                menus[command.menu] = self.menuBar().addMenu(command.menu)
            menus[command.menu].addAction(self.commands.add(command))

    def _connect(self) -> None:
        session = self.session
        session.said.connect(self.say)
        session.started.connect(lambda path: self._watch(Path(path), show=True))
        session.case_changed.connect(self._case_changed)
        self.watcher.status.connect(self._show_status)
        self.watcher.events.connect(lambda key, events: self.rate.take_events(Path(key), events))
        self.watcher.over.connect(self._over)
        self.activity.cancel_wanted.connect(session.cancel)
        self.activity.resume_wanted.connect(session.resume)
        self.activity.show_wanted.connect(self.show_run)
        self.overview.new_case.connect(self.new_case)
        self.overview.open_case.connect(self.open_case)
        self.overview.try_sample.connect(self.try_sample)
        self.overview.show_run.connect(self.show_run)
        self.overview.resume_run.connect(session.resume)
        self.rate.setup.no_case.connect(self._need_case)
        self.overview.verified.connect(self._show_verified)
        self.models.changed.connect(self.rate.setup.refresh_models)

    def _restore(self) -> None:
        settings = self.session.settings
        geometry = settings.value("geometry")
        if geometry is not None:
            self.restoreGeometry(geometry)
        else:
            self.resize(1440, 900)
        self.go_to(0)

    def go_to(self, place: int) -> None:
        """Bring a panel into view."""
        self.stack.setCurrentIndex(place)
        self._rail.button(place).setChecked(True)
        # The panel is painted first; what it asks for comes after.
        panel: Any = self.stack.widget(place)
        QTimer.singleShot(0, panel, panel.activate)

    def say(self, sentence: str) -> None:
        """Show a sentence at the bottom for a while."""
        self.statusBar().showMessage(sentence, _SAID_MS)

    def _case_changed(self) -> None:
        case = self.session.case
        self.setWindowTitle(f"{case.title} – Auditor" if case else "Auditor")
        self._verified = ""
        self._show_case_facts()
        self.watcher.forget_all()
        self.activity.clear()
        offered = 0
        for summary in self.session.runs():
            if summary.state.is_live or (summary.state.is_resumable and offered < _MOST_OFFERED):
                offered += not summary.state.is_live
                self._watch(summary.path, show=False)

    def _watch(self, path: Path, *, show: bool) -> None:
        self._show_case_facts()
        self.activity.row(path)
        if show:
            self.go_to(1)
            self.rate.show_run(path)
        self.watcher.watch(path)

    def show_run(self, path: Path) -> None:
        """Show a run in its panel."""
        self.go_to(1)
        if self.rate.show_run(path):
            self.watcher.watch(path)

    def _show_status(self, key: str, status: RunStatus, left: float | None) -> None:
        path = Path(key)
        self.activity.show_status(path, status, left)
        self.rate.take_status(path, status)

    def _over(self, key: str) -> None:
        self.session.link()
        self.rate.run_over(Path(key))
        # What was verified no longer holds for what was linked since.
        self._verified = ""
        self._show_case_facts()

    def new_case(self) -> None:
        """Ask for a folder and make a case there."""
        name, _ = QFileDialog.getSaveFileName(self, "New case: name its folder", str(Path.home() / "audit"))
        if name:
            self.session.open_case(Path(name), create=True)

    def open_case(self) -> None:
        """Ask for a case folder and open it."""
        name = QFileDialog.getExistingDirectory(self, "Open case")
        if name:
            self.session.open_case(Path(name))

    def _need_case(self) -> None:
        self.say("Results are kept in a case: name its folder first.")
        self.new_case()
        if self.session.case is not None:
            self.rate.setup.start()

    def try_sample(self) -> None:
        """Make a case for trying, if none is open, and load the sample conversations."""
        if self.session.case is None:
            self.session.open_case(sample_case_folder(home()), create=True, title="Trying the sample")
        self.go_to(1)
        self.rate.take_file(resource("samples", "conversations.jsonl"))

    def _verify(self) -> None:
        self.go_to(0)
        self.overview.verify()

    def _choose_file(self) -> None:
        self.go_to(1)
        name, _ = QFileDialog.getOpenFileName(self, "Choose conversations")
        if name:
            self.rate.take_file(Path(name))

    def _run(self) -> None:
        self.go_to(1)
        self.rate.setup.start()

    def _compare(self) -> None:
        self.go_to(2)
        self.compare.compare()

    def _rate_by_hand(self) -> None:
        self.go_to(1)
        self.rate.rate_by_hand()

    def _import_ratings(self) -> None:
        self.go_to(1)
        self.rate.results.people.choose_file()

    def _report(self) -> None:
        name, _ = QFileDialog.getSaveFileName(self, "Save report", "report.html", "HTML (*.html)")
        if name:
            self.rate.results.save_report("html", Path(name))

    def _add_model(self) -> None:
        self.go_to(3)
        name, _ = QFileDialog.getOpenFileName(self, "Add a model", "", "GGUF models (*.gguf);;All files (*)")
        if name:
            self.models.add(Path(name))

    def show_palette(self) -> None:
        """Find any command."""
        Palette(self.commands, self).open()

    def show_shortcuts(self) -> None:
        """Show and change shortcuts."""
        shortcuts = Shortcuts(self.commands, self)
        shortcuts.finished.connect(self._name_find_button)
        shortcuts.open()

    def choose_scheme(self, scheme: str) -> None:
        """Use light or dark colours, or follow the system; kept between starts."""
        self.session.settings.setValue("scheme", scheme)
        application = QApplication.instance()
        if isinstance(application, QApplication):
            theme.choose(application, scheme)
        self.refresh_theme()

    def refresh_theme(self) -> None:
        """Take on the colours of the system's scheme."""
        self.commands.refresh_icons()
        theme.refresh_icons(self)
        self.rate.refresh_theme()
        self.compare.refresh_theme()

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        """Files may be dropped anywhere."""
        if dropped_file(event):
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:
        """A model goes to the library, a case is opened, everything else is conversations."""
        path = dropped_file(event)
        if path is None:
            return
        event.acceptProposedAction()
        self.take_dropped(path)

    def take_dropped(self, path: Path) -> None:
        """Recognise what was dropped and bring it where it belongs."""
        if path.is_dir():
            self.session.open_case(path)
        elif path.suffix.lower() == ".gguf":
            self.go_to(3)
            self.models.add(path)
        else:
            self.go_to(1)
            self.rate.take_file(path)

    def closeEvent(self, event: QCloseEvent) -> None:
        """Keep the geometry, end questions, close the case; runs go on."""
        self.session.settings.setValue("geometry", self.saveGeometry())
        self.watcher.forget_all()
        self.rate.results.table.finish()
        self.rate.results.people.finish()
        self.compare.results.finish()
        self.session.close()
        super().closeEvent(event)
