"""The Backends panel: where runs can be carried out: this machine, then the clusters that are kept."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from PySide6.QtGui import QFont, QFontMetrics, QResizeEvent
from PySide6.QtWidgets import QHBoxLayout, QPushButton, QSizePolicy, QVBoxLayout, QWidget

from auditor import __version__
from auditor.desktop import theme
from auditor.desktop.panels import backends_tested
from auditor.desktop.panels.backends_clean import CleanBackend
from auditor.desktop.panels.backends_edit import EditBackend
from auditor.desktop.panels.backends_how import HowToStart
from auditor.desktop.panels.backends_tested import Tested
from auditor.desktop.session import Session
from auditor.desktop.widgets.detail import plain_label
from auditor.desktop.widgets.listing import Listing
from auditor.desktop.widgets.pane import ScrollPane
from auditor.desktop.widgets.verdict import VerdictCard
from auditor.errors import AuditorError
from auditor.runs.clock import minute, utc_now
from auditor.sizes import size_words

if TYPE_CHECKING:
    from auditor.runs.ray.backend import Backend

_COLUMNS = ("Where", "Address", "Processors", "GPUs", "Memory", "Last test")
_HERE = "This machine"
_WORDS = "Runs are carried out on this machine, or on a backend: choose it beside the settings of a run."
_UNTESTED = "Nothing was asked of {name} yet. Test connection asks it for versions, nodes, GPUs and memory."
_NO_JOB = "It started no job within 45 s, so its versions of Python and Auditor are not known: it may be busy."
_NO_AUDITOR = "Auditor is not installed there: install auditor[ray] {version} and start Ray from that environment."
_PLAIN = "Plain HTTP to another machine, as was confirmed: whoever is on the way can read and change what is sent."
#: Rows that are shown before the table scrolls.
_MOST_ROWS = 6
#: Pixels beside the words of a button: its padding and frame.
_BUTTON_FRAME = 26


class BackendsPanel(QWidget):
    """Lists, adds, tests, changes and removes backends."""

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self._machine: dict[str, Any] | None = None
        self._machine_problem = ""
        self._backends: list[Backend] = []
        self._testing: set[str] = set()
        #: What Undo would bring back, with what was known of it.
        self._removed: tuple[Backend, Tested | None] | None = None
        self.table = Listing("Where runs can be carried out", _COLUMNS)
        self.table.itemSelectionChanged.connect(self._show_selected)
        self.add_button = theme.icon_button("add", "Add a backend…")
        self.add_button.clicked.connect(self.add)
        self.how_button = QPushButton("How to start one")
        self.how_button.setObjectName("quick")
        self.how_button.setCheckable(True)
        # The words are bold while it is pressed.
        bold = self.how_button.font()
        bold.setWeight(QFont.Weight.DemiBold)
        words = QFontMetrics(bold).horizontalAdvance(self.how_button.text())
        self.how_button.setMinimumWidth(words + _BUTTON_FRAME)
        # As high as the one beside it.
        self.how_button.setSizePolicy(QSizePolicy.Policy.Minimum, QSizePolicy.Policy.Preferred)
        self.how = HowToStart()
        self.how_button.toggled.connect(self.how.setVisible)
        self.test_button = theme.icon_button("verify", "Test connection")
        self.test_button.setToolTip("Ask the cluster for versions, nodes, GPUs and memory: this goes over the network.")
        self.test_button.clicked.connect(self.test)
        self.edit_button = theme.icon_button("edit", "Change…")
        self.edit_button.clicked.connect(self._edit)
        self.remove_button = theme.icon_button("remove", "Remove")
        self.remove_button.clicked.connect(self._remove)
        self.clean_button = theme.icon_button("data", "Clear up…")
        self.clean_button.setToolTip(
            "List the runs that lie there, and remove what is sealed here: this goes over the network."
        )
        self.clean_button.clicked.connect(self._clean)
        self._buttons = (self.test_button, self.clean_button, self.edit_button, self.remove_button)
        self.card = VerdictCard(self._buttons)
        self.outcome = plain_label()
        self.undo_button = theme.icon_button("undo", "Undo")
        self.undo_button.setAccessibleName("Bring back the backend that was removed")
        self.undo_button.clicked.connect(self._undo)
        self._lay_out()
        self._forget_removed()
        session.backends_changed.connect(self.refresh)
        self.refresh()
        self.how_button.setChecked(not self._backends)
        self.how.setVisible(not self._backends)

    def _lay_out(self) -> None:
        above = QHBoxLayout()
        above.addWidget(self.add_button)
        above.addWidget(self.how_button)
        above.addStretch(1)
        below = QHBoxLayout()
        below.addWidget(self.outcome, 1)
        below.addWidget(self.undo_button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(20, 18, 20, 14)
        layout.setSpacing(10)
        layout.addWidget(plain_label("Backends", name="title"))
        layout.addWidget(plain_label(_WORDS, name="soft"))
        layout.addLayout(above)
        layout.addWidget(self.table)
        layout.addLayout(below)
        # A small window has no room for all of it.
        inner = QWidget()
        parts = QVBoxLayout(inner)
        parts.setContentsMargins(0, 0, 0, 0)
        parts.setSpacing(10)
        parts.addWidget(self.card)
        parts.addWidget(self.how)
        parts.addStretch(1)
        layout.addWidget(ScrollPane(inner), 1)

    def activate(self) -> None:
        """Called when the panel comes into view."""
        self.refresh()
        if self._machine is None:
            self._session.asker.ask("machine", {}, self._take_machine, self._miss_machine)

    def _take_machine(self, found: dict[str, Any]) -> None:
        self._machine, self._machine_problem = found, ""
        self.refresh()

    def _miss_machine(self, sentence: str) -> None:
        self._machine_problem = sentence
        self.refresh()

    def refresh(self) -> None:
        """Read anew which backends are kept."""
        kept = self._selected()
        self._backends = self._session.backends()
        names = [backend.name for backend in self._backends]
        self._show_rows(names.index(kept.name) + 1 if kept and kept.name in names else 0)

    def _show_rows(self, selected: int) -> None:
        rows = [self._machine_row(), *(self._row(backend) for backend in self._backends)]
        self.table.show_rows(rows, selected)
        self._fit_table()
        self._show_selected()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Leave room for the table's scroll bar where its columns need one."""
        super().resizeEvent(event)
        self._fit_table()

    def _fit_table(self) -> None:
        table, last = self.table, len(_COLUMNS) - 1
        height = sum(table.rowHeight(place) for place in range(min(table.rowCount(), _MOST_ROWS)))
        height += table.horizontalHeader().sizeHint().height() + 2 * table.frameWidth()
        wanted = sum(table.columnWidth(column) for column in range(last)) + table.sizeHintForColumn(last)
        if wanted > table.viewport().width():
            height += table.horizontalScrollBar().sizeHint().height()
        table.setFixedHeight(height)

    def _machine_row(self) -> Sequence[str]:
        found = self._machine
        if found is None:
            return (_HERE, "", "…", "…", "…", "")
        gpu = found["device"].partition(", torch")[0] if found["has_gpu"] else "none"
        return (_HERE, "", str(found["cores"]), gpu, size_words(found["memory_bytes"], 1), "")

    def _row(self, backend: "Backend") -> Sequence[str]:
        tested = self._tested(backend)
        if backend.name in self._testing:
            return (backend.name, backend.address, "", "", "", "testing …")
        if tested is None:
            return (backend.name, backend.address, "", "", "", "not tested yet")
        return (backend.name, backend.address, tested.processors, tested.gpus, tested.memory, tested.short)

    def _tested(self, backend: "Backend") -> Tested | None:
        return backends_tested.last(self._session.settings, backend)

    def _selected(self) -> "Backend | None":
        """The backend that is selected; None while this machine is."""
        row = self.table.currentRow() - 1
        return self._backends[row] if 0 <= row < len(self._backends) else None

    def select(self, name: str) -> None:
        """Bring a backend into view."""
        for row, backend in enumerate(self._backends, start=1):
            if backend.name == name:
                self.table.selectRow(row)

    def _show_selected(self) -> None:
        backend = self._selected()
        self.card.clear("")
        for button in self._buttons:
            button.setVisible(backend is not None)
        if backend is None:
            self._show_machine()
        else:
            self.test_button.setEnabled(backend.name not in self._testing)
            self._show_backend(backend, self._tested(backend))

    def _show_machine(self) -> None:
        self.card.show_state("this machine", "alert" if self._machine_problem else "")
        found = self._machine
        if found is None:
            self.card.verdict.setText(self._machine_problem or "Looking at processors, memory and GPU …")
            return
        gpu = "a GPU that torch uses" if found["has_gpu"] else "no GPU that torch can use"
        cores = f"{found['cores']} core{'s' if found['cores'] != 1 else ''}"
        memory = f"{size_words(found['memory_bytes'], 1)} of memory, {size_words(found['free_bytes'], 1)} of it free"
        self.card.verdict.setText(f"{cores}, {memory}, and {gpu}.")
        self.card.show_facts(f"{found['processor']}\nTorch computes on: {found['device']}")

    def _show_backend(self, backend: "Backend", tested: Tested | None) -> None:
        lines = [backend.address, *self._kept_facts(backend)]
        facts = " · ".join(lines)
        if backend.name in self._testing:
            self.card.show_state("testing …")
            self.card.verdict.setText(f"Asking {backend.name} …")
        elif tested is None:
            self.card.show_state("not tested yet")
            self.card.verdict.setText(_UNTESTED.format(name=backend.name))
        else:
            what = "connection failed" if tested.problem else "answered"
            self.card.show_state(f"{what}, {minute(tested.time)}", "alert" if tested.problem else "good")
            self.card.verdict.setText(tested.sentence(backend.name))
            facts = "\n".join(part for part in (tested.versions, facts) if part)
        self.card.show_facts(facts)
        self.card.show_alerts(self._cautions(backend, tested))

    @staticmethod
    def _kept_facts(backend: "Backend") -> list[str]:
        facts = ["with a token" if backend.token else "without a token"]
        if backend.ca:
            facts.append(f"trusts {backend.ca}")
        if backend.shared:
            facts.append(f"shared folder {backend.shared}")
        if backend.cache:
            facts.append(f"model folder there {backend.cache}")
        return facts

    @staticmethod
    def _cautions(backend: "Backend", tested: Tested | None) -> list[str]:
        from auditor.runs.ray.backend import is_plain_http_elsewhere

        cautions = [_PLAIN] if is_plain_http_elsewhere(backend.address) else []
        if tested is not None and tested.seen and not tested.seen["python_version"]:
            cautions.append(_NO_JOB)
        elif tested is not None and tested.seen and not tested.seen["auditor_version"]:
            cautions.append(_NO_AUDITOR.format(version=__version__))
        return cautions

    def add(self) -> None:
        """Ask for a new backend."""
        self._ask(None)

    def _edit(self) -> None:
        if backend := self._selected():
            self._ask(backend)

    def _ask(self, backend: "Backend | None") -> None:
        dialog = EditBackend(self._session, backend, self)
        dialog.saved.connect(self._saved)
        dialog.open()

    def _saved(self, backend: "Backend", test: bool) -> None:
        self._forget_removed()
        self._drop_test(backend.name)
        backends_tested.forget(self._session.settings, backend.name)
        self.how_button.setChecked(False)
        self.refresh()
        self.select(backend.name)
        if test:
            self.test()
        else:
            self._say(f"{backend.name} is kept. It is asked nothing before you test it or start a run there.")

    def test(self) -> None:
        """Ask the selected backend what it has; the window goes on meanwhile."""
        backend = self._selected()
        if backend is None:
            self._say("Select a backend first: this machine needs no connection.")
            return
        self._say("")
        self._testing.add(backend.name)
        self._session.asker.ask(
            "backends_test",
            {"name": backend.name},
            lambda seen: self._end_test(backend, "", seen),
            lambda sentence: self._end_test(backend, sentence, {}),
            kind=_kind(backend.name),
        )
        self.refresh()

    def _end_test(self, backend: "Backend", problem: str, seen: dict[str, Any]) -> None:
        self._testing.discard(backend.name)
        backends_tested.keep(self._session.settings, backend.name, Tested(utc_now(), backend.address, problem, seen))
        self.refresh()

    def _clean(self) -> None:
        if backend := self._selected():
            CleanBackend(self._session, backend, self).open()

    def _drop_test(self, name: str) -> None:
        self._session.asker.drop(_kind(name))
        self._testing.discard(name)

    def _remove(self) -> None:
        backend = self._selected()
        if backend is None:
            return
        tested = self._tested(backend)
        try:
            self._session.forget_backend(backend.name)
        except (AuditorError, OSError) as error:
            self._say(str(error))
            return
        self._drop_test(backend.name)
        backends_tested.forget(self._session.settings, backend.name)
        self._removed = (backend, tested)
        self.undo_button.show()
        self._say(f"{backend.name} was removed, with its token.{self._left_behind(backend.name)}")
        self.refresh()

    def _left_behind(self, name: str) -> str:
        left = [run for run in self._session.runs() if run.executor == name and not run.sealed]
        if not left:
            return ""
        runs = f"{len(left)} unfinished run{'s' if len(left) != 1 else ''} of this case"
        return f" {runs} can no longer be followed from here; what runs there goes on."

    def _undo(self) -> None:
        if self._removed is None:
            return
        backend, tested = self._removed
        try:
            self._session.keep_backend(backend, replace=False)
        except (AuditorError, OSError) as error:
            self._say(str(error))
            return
        if tested is not None:
            backends_tested.keep(self._session.settings, backend.name, tested)
        self._forget_removed()
        self.refresh()
        self.select(backend.name)
        self._say(f"{backend.name} is back.")

    def _forget_removed(self) -> None:
        self._removed = None
        self.undo_button.hide()
        self._say("")

    def _say(self, sentence: str) -> None:
        self.outcome.setText(sentence)
        self.outcome.setVisible(bool(sentence))


def _kind(name: str) -> str:
    return f"backends test {name}"
