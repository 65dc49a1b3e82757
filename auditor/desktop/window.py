"""The window: rail, panels, activity bar; every command once."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from PySide6.QtCore import QTimer
from PySide6.QtGui import QCloseEvent, QDragEnterEvent, QDropEvent, QResizeEvent
from PySide6.QtWidgets import (
    QApplication,
    QFileDialog,
    QHBoxLayout,
    QMainWindow,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from auditor.case import Case
from auditor.desktop import theme
from auditor.desktop.actions import Command, Commands
from auditor.desktop.header import Header
from auditor.desktop.palette import Palette, Shortcuts
from auditor.desktop.panels.backends import BackendsPanel
from auditor.desktop.panels.compare import ComparePanel
from auditor.desktop.panels.guard import GuardPanel
from auditor.desktop.panels.models import ModelsPanel
from auditor.desktop.panels.overview import OverviewPanel
from auditor.desktop.panels.parity import ParityPanel
from auditor.desktop.panels.rate import RatePanel
from auditor.desktop.panels.run_panel import RunPanel
from auditor.desktop.panels.unlearn import UnlearnPanel
from auditor.desktop.rail import Rail
from auditor.desktop.session import Session
from auditor.desktop.watch import Watcher
from auditor.desktop.widgets.activity import ActivityBar
from auditor.desktop.widgets.dropzone import dropped_file
from auditor.errors import AuditorError
from auditor.models.folder import has_weights, is_model_folder
from auditor.runs.directory import RunDirectory
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
        self.rate = RatePanel(session)
        self.guard = GuardPanel(session)
        self.unlearn = UnlearnPanel(session)
        self.parity = ParityPanel(session)
        panels: tuple[RunPanel, ...] = (self.rate, self.guard, self.unlearn, self.parity)
        #: Panels that show runs, by the name of the audit, in the order of the rail.
        self.audits = {panel.audit: panel for panel in panels}
        self.overview = OverviewPanel(session, panels)
        self.compare = ComparePanel(session)
        self.models = ModelsPanel(session)
        self.backends = BackendsPanel(session)
        self.activity = ActivityBar()
        self.commands = Commands(session.settings, self)
        self._build()
        self._make_commands()
        self._name_keys()
        self._connect()
        self._restore()

    def _build(self) -> None:
        self.panels: tuple[tuple[str, str, QWidget], ...] = (
            ("Overview", "overview", self.overview),
            *((panel.title, panel.icon, panel) for panel in self.audits.values()),
            ("Compare", "compare", self.compare),
            ("Models", "models", self.models),
            ("Backends", "backends", self.backends),
        )
        self.stack = QStackedWidget()
        for _, _, panel in self.panels:
            self.stack.addWidget(panel)
        self.rail = Rail([(name, icon) for name, icon, _ in self.panels])
        self.rail.wanted.connect(lambda place: self.go_to(self.stack.widget(place)))
        self.header = Header(self.session)
        middle = QHBoxLayout()
        middle.setContentsMargins(0, 0, 0, 0)
        middle.setSpacing(0)
        middle.addWidget(self.rail)
        middle.addWidget(self.stack, 1)
        whole = QWidget()
        layout = QVBoxLayout(whole)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(self.header)
        layout.addLayout(middle, 1)
        layout.addWidget(self.activity)
        self.setCentralWidget(whole)

    def _make_commands(self) -> None:
        made = (
            Command("case.new", "New case…", "add", "Ctrl+N", self.new_case, "Case"),
            Command("case.open", "Open case…", "open", "Ctrl+O", self.open_case, "Case"),
            Command("case.verify", "Verify case", "verify", "Ctrl+Shift+V", self._verify, "Case"),
            Command("rate.run", "Run", "run", "Ctrl+Return", self._run, "Run"),
            Command("rate.report", "Save report as HTML…", "report", "Ctrl+R", self._report, "Run"),
            *(self._there(panel, command) for panel in self.audits.values() for command in panel.commands()),
            Command("compare.run", "Compare the ticked runs", "compare", "Ctrl+Shift+C", self._compare, "Rate"),
            Command("models.add", "Add a model…", "models", "Ctrl+M", self._add_model, "Models"),
            Command("backends.add", "Add a backend…", "backends", "", self._add_backend, "Models"),
            Command("backends.test", "Test the selected backend", "verify", "", self._test_backend, "Models"),
            *(
                Command(f"go.{name.lower()}", f"Go to {name}", icon, f"Ctrl+{place}", self._goer(panel), "Go")
                for place, (name, icon, panel) in enumerate(self.panels, start=1)
            ),
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

    def _goer(self, panel: QWidget) -> Callable[[], None]:
        return lambda: self.go_to(panel)

    def _there(self, panel: QWidget, command: Command) -> Command:
        """A panel's command that brings it into view first."""

        def do() -> None:
            self.go_to(panel)
            command.callback()

        return replace(command, callback=do)

    def _name_keys(self) -> None:
        self.header.show_keys(self.commands.action("find.command").shortcut())

    def _connect(self) -> None:
        session = self.session
        session.said.connect(self.say)
        session.started.connect(lambda path: self._watch(Path(path), show=True))
        session.case_changed.connect(self._case_changed)
        self.watcher.status.connect(self._show_status)
        self.watcher.events.connect(self._take_events)
        self.watcher.over.connect(self._over)
        self.activity.cancel_wanted.connect(session.cancel)
        self.activity.resume_wanted.connect(session.resume)
        self.activity.show_wanted.connect(self.show_run)
        self.header.find_wanted.connect(self.show_palette)
        self.overview.new_case.connect(self.new_case)
        self.overview.open_case.connect(self.open_case)
        self.overview.try_sample.connect(self.try_sample)
        self.overview.show_run.connect(self.show_run)
        self.overview.resume_run.connect(session.resume)
        self.overview.verified.connect(self.header.show_verified)
        for panel in self.audits.values():
            panel.setup.no_case.connect(self._need_case)
        self.models.changed.connect(self.rate.setup.refresh_models)
        self.unlearn.library_changed.connect(self.rate.setup.refresh_models)
        self.unlearn.judge_wanted.connect(self._rate_with)

    def _restore(self) -> None:
        settings = self.session.settings
        geometry = settings.value("geometry")
        if geometry is not None:
            self.restoreGeometry(geometry)
        else:
            self.resize(1440, 900)
        self.go_to(self.overview)

    def go_to(self, panel: Any) -> None:
        """Bring a panel into view."""
        self.stack.setCurrentWidget(panel)
        self.rail.mark(self.stack.indexOf(panel))
        # The panel is painted first; what it asks for comes after.
        QTimer.singleShot(0, panel, panel.activate)

    @property
    def _audit_in_view(self) -> RunPanel:
        """The panel that runs and reports are meant for: the one in view, else Rate."""
        panel = self.stack.currentWidget()
        return panel if isinstance(panel, RunPanel) else self.rate

    def say(self, sentence: str) -> None:
        """Show a sentence at the bottom for a while."""
        self.statusBar().showMessage(sentence, _SAID_MS)

    def _case_changed(self) -> None:
        case = self.session.case
        self.setWindowTitle(f"{case.title} – Auditor" if case else "Auditor")
        self.header.forget_verified()
        self.watcher.forget_all()
        self.activity.clear()
        offered = 0
        for summary in self.session.runs():
            if summary.state.is_live or (summary.state.is_resumable and offered < _MOST_OFFERED):
                offered += not summary.state.is_live
                self._watch(summary.path, show=False)

    def _watch(self, path: Path, *, show: bool) -> None:
        self.header.refresh()
        self.activity.row(path, self.session.place_of(path))
        if show:
            self._show(path)
        self.watcher.watch(path)

    def show_run(self, path: Path) -> None:
        """Show a run in the panel of its audit."""
        if self._show(path):
            self.watcher.watch(path)

    def _show(self, path: Path) -> bool:
        """Show a run; returns whether its events are wanted from the first on."""
        try:
            audit = RunDirectory(path).spec().audit
        except AuditorError as error:
            self.say(str(error))
            return False
        panel = self.audits.get(audit)
        if panel is None:
            self.say(f"The run {path.name} is of the audit {audit}, which has no panel here.")
            return False
        self.go_to(panel)
        return panel.show_run(path)

    def _show_status(self, key: str, status: RunStatus, left: float | None) -> None:
        path = Path(key)
        self.activity.show_status(path, status, left)
        for panel in self.audits.values():
            panel.take_status(path, status)

    def _take_events(self, key: str, events: list[dict[str, Any]]) -> None:
        for panel in self.audits.values():
            panel.take_events(Path(key), events)

    def _over(self, key: str) -> None:
        self.session.link()
        for panel in self.audits.values():
            panel.run_over(Path(key))
        self.header.forget_verified()

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
        panel = self._audit_in_view
        self.say("Results are kept in a case: name its folder first.")
        self.new_case()
        if self.session.case is not None:
            panel.setup.start()

    def try_sample(self, audit: str) -> None:
        """Load the sample of an audit, in a case for trying if none is open."""
        panel = self.audits[audit]
        self.go_to(panel)
        panel.try_sample()

    def _rate_with(self, model: str) -> None:
        """Bring a model of the library to where it rates."""
        self.go_to(self.rate)
        self.rate.setup.models.select(model)

    def _verify(self) -> None:
        self.go_to(self.overview)
        self.overview.verify()

    def _run(self) -> None:
        panel = self._audit_in_view
        self.go_to(panel)
        panel.setup.start()

    def _compare(self) -> None:
        self.go_to(self.compare)
        self.compare.compare()

    def _report(self) -> None:
        panel = self._audit_in_view
        name, _ = QFileDialog.getSaveFileName(self, "Save report", "report.html", "HTML (*.html)")
        if name:
            panel.results.report.save("html", Path(name))

    def _add_model(self) -> None:
        self.go_to(self.models)
        name, _ = QFileDialog.getOpenFileName(self, "Add a model", "", "GGUF models (*.gguf);;All files (*)")
        if name:
            self.models.add(Path(name))

    def _add_backend(self) -> None:
        self.go_to(self.backends)
        self.backends.add()

    def _test_backend(self) -> None:
        self.go_to(self.backends)
        self.backends.test()

    def show_palette(self) -> None:
        """Find any command."""
        Palette(self.commands, self).open()

    def show_shortcuts(self) -> None:
        """Show and change shortcuts."""
        shortcuts = Shortcuts(self.commands, self)
        shortcuts.finished.connect(self._name_keys)
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
        for panel in self.audits.values():
            panel.refresh_theme()
        self.compare.refresh_theme()

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        """Files may be dropped anywhere."""
        if dropped_file(event):
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:
        """A model, be it a file or a folder, goes to the library, a case is opened, everything else to the audit in view."""
        path = dropped_file(event)
        if path is None:
            return
        event.acceptProposedAction()
        self.take_dropped(path)

    def take_dropped(self, path: Path) -> None:
        """Recognise what was dropped and bring it where it belongs."""
        panel = self._audit_in_view
        is_case = Case.is_case(path)
        # A folder of images may hold somebody's config.json.
        is_model = is_model_folder(path) and (has_weights(path) or not panel.takes_folders)
        if not is_case and (path.suffix.lower() == ".gguf" or is_model):
            self.go_to(self.models)
            self.models.add(path)
        elif is_case or (path.is_dir() and not panel.takes_folders):
            self.session.open_case(path)
        else:
            self.go_to(panel)
            panel.take_file(path)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Leave panels their room in a low window."""
        super().resizeEvent(event)
        self.activity.fit_to(event.size().height())

    def closeEvent(self, event: QCloseEvent) -> None:
        """Keep the geometry, end questions, close the case; runs go on."""
        self.session.settings.setValue("geometry", self.saveGeometry())
        self.watcher.forget_all()
        for panel in self.audits.values():
            panel.finish()
        self.compare.results.finish()
        self.session.close()
        super().closeEvent(event)
