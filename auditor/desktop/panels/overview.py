"""The Overview: the case, its runs, what was interrupted, what people said, and whether the case verifies."""

from collections.abc import Sequence
from typing import Any

from PySide6.QtCore import Signal
from PySide6.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QInputDialog,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from auditor.case import RunSummary
from auditor.desktop import theme
from auditor.desktop.panels.run_panel import RunPanel
from auditor.desktop.session import Session
from auditor.desktop.widgets.detail import plain_label
from auditor.desktop.widgets.listing import Listing
from auditor.runs.contract import RunState
from auditor.runs.executor import LOCAL

_COLUMNS = ("Run", "Audit", "Runs on", "State", "Sealed", "In the chain", "Verdict")
#: Column that is there only if some run of the case is not carried out on this machine.
_PLACE = _COLUMNS.index("Runs on")
_EMPTY = (
    "No case is open. A case is a folder that keeps everything an audit rests on: inputs by hash, runs, human judgements "
    "and the chain of evidence. Make one, open one, or try the program with the samples: conversations to rate, "
    "demonstrations to guard, facts to unlearn, and search results to test for parity."
)


class OverviewPanel(QWidget):
    """What is in the case.

    Parameters
    ----------
    audits : sequence of RunPanel
        Panels whose samples can be tried.

    Signals
    -------
    new_case(), open_case(), try_sample(str), show_run(object), resume_run(object)
        What the person wants; samples are given by the name of their audit, runs by their path.
    verified(bool)
        Every hash of the case was recomputed; whether all of them hold.
    """

    new_case = Signal()
    open_case = Signal()
    try_sample = Signal(str)
    show_run = Signal(object)
    resume_run = Signal(object)
    verified = Signal(bool)

    def __init__(self, session: Session, audits: Sequence[RunPanel], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self._runs: list[RunSummary] = []
        self.title = plain_label("Overview", name="title")
        self.words = plain_label(_EMPTY)
        self.head = plain_label(name="soft")
        self.interrupted = plain_label(name="alert")
        self.outcome = plain_label()
        self.runs = Listing("Runs of the case", _COLUMNS)
        self.runs.itemSelectionChanged.connect(self._enable)
        self.runs.doubleClicked.connect(lambda _index: self._show())
        start = QHBoxLayout()
        self.new_button = self._button("add", "New case…", self.new_case.emit)
        self.open_button = self._button("open", "Open case…", self.open_case.emit)
        self.samples = {panel.audit: self._sample_button(panel) for panel in audits}
        self.verify_button = self._button("verify", "Verify", self.verify)
        for button in (self.new_button, self.open_button, *self.samples.values(), self.verify_button):
            start.addWidget(button)
        start.addStretch(1)
        acts = QHBoxLayout()
        self.show_button = self._button("search", "Show", self._show)
        self.resume_button = self._button("resume", "Resume", self._resume)
        self.note_button = self._button("note", "Note…", self._note)
        self.sign_button = self._button("sign", "Sign off…", self._sign)
        for button in (self.show_button, self.resume_button, self.note_button, self.sign_button):
            acts.addWidget(button)
        acts.addStretch(1)
        self._case_part = QFrame()
        part = QVBoxLayout(self._case_part)
        part.setContentsMargins(0, 8, 0, 0)
        part.addWidget(self.head)
        part.addWidget(self.interrupted)
        part.addLayout(acts)
        part.addWidget(self.runs, 2)
        part.addWidget(plain_label("Said of this case", name="heading"))
        self.said = plain_label(name="soft")
        part.addWidget(self.said)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(20, 18, 20, 14)
        layout.addWidget(self.title)
        layout.addWidget(self.words)
        layout.addLayout(start)
        layout.addWidget(self.outcome)
        layout.addWidget(self._case_part, 1)
        self._spring = QWidget()
        layout.addWidget(self._spring, 1)
        session.case_changed.connect(self.refresh)
        session.runs_changed.connect(self.refresh)
        session.backends_changed.connect(self.refresh)
        self.refresh()

    @staticmethod
    def _button(icon: str, text: str, callback: Any) -> QPushButton:
        button = theme.icon_button(icon, text)
        button.clicked.connect(lambda _checked=False: callback())
        return button

    def _sample_button(self, panel: RunPanel) -> QPushButton:
        button = self._button(panel.icon, panel.sample_button, lambda: self.try_sample.emit(panel.audit))
        button.setToolTip(panel.sample_words)
        return button

    def activate(self) -> None:
        """Called when the panel comes into view."""
        self.refresh()

    def refresh(self) -> None:
        """Read the case anew."""
        case = self._session.case
        for widget in (self._case_part, self.verify_button):
            widget.setVisible(case is not None)
        self._spring.setVisible(case is None)
        self.outcome.setVisible(bool(self.outcome.text()))
        if case is None:
            self.title.setText("Overview")
            self.words.setText(_EMPTY)
            return
        self.title.setText(case.title)
        mode = "" if case.writable else " (open for reading only)"
        self.words.setText(f"{case.path}{mode}")
        self.head.setText(f"Head of the evidence chain: {case.head()}")
        kept = self.selected()
        self._runs = case.runs()
        rows = [
            (
                run.id,
                run.audit,
                "this machine" if run.executor == LOCAL else run.executor,
                run.state.value,
                _yes(run.sealed),
                _yes(run.linked) if run.sealed else "–",
                run.verdict,
            )
            for run in self._runs
        ]
        places = [row for row, run in enumerate(self._runs) if kept is not None and run.id == kept.id]
        self.runs.show_rows(rows, places[0] if places else 0)
        self.runs.setColumnHidden(_PLACE, all(run.executor == LOCAL for run in self._runs))
        stopped = [run.id for run in self._runs if run.state is RunState.INTERRUPTED]
        self.interrupted.setText(
            f"Interrupted: {', '.join(stopped)}. What was done is kept; select it and press Resume." if stopped else ""
        )
        self.interrupted.setVisible(bool(stopped))
        self._show_said()
        self._enable()

    def _show_said(self) -> None:
        case = self._session.case
        assert case is not None
        lines = [
            f"{r.time[:16]} {r.body['name']} signed off {r.run}: {r.body['statement']}"
            for r in case.records("sign-off")
        ]
        lines += [f"{r.time[:16]} {r.body['author']}: {r.body['text']}" for r in case.records("note")]
        ratings = case.human_ratings()
        if ratings:
            lines.append(f"{len(ratings):,} human ratings")
        self.said.setText("\n".join(sorted(lines)[-8:]) or "No notes, sign-offs or human ratings yet.")

    def selected(self) -> RunSummary | None:
        """The run that is selected."""
        row = self.runs.currentRow()
        return self._runs[row] if 0 <= row < len(self._runs) else None

    def _enable(self) -> None:
        run, case = self.selected(), self._session.case
        writable = case is not None and case.writable
        self.show_button.setEnabled(run is not None)
        self.resume_button.setEnabled(run is not None and run.state.is_resumable and writable)
        self.note_button.setEnabled(writable)
        self.sign_button.setEnabled(run is not None and run.sealed and writable)

    def _show(self) -> None:
        if run := self.selected():
            self.show_run.emit(run.path)

    def _resume(self) -> None:
        if run := self.selected():
            self.resume_run.emit(run.path)

    def _ask(self, title: str, question: str) -> str:
        text, ok = QInputDialog.getMultiLineText(self, title, question)
        return text.strip() if ok else ""

    def _name(self) -> str:
        name, ok = QInputDialog.getText(self, "Your name", "Name", text=str(self._session.settings.value("rater", "")))
        if ok and name.strip():
            self._session.settings.setValue("rater", name.strip())
        return name.strip() if ok else ""

    def _note(self) -> None:
        text = self._ask("Note", "What should be kept with this case?")
        name = self._name() if text else ""
        if text and name:
            run = self.selected()
            self._session.commit(lambda case: case.add_note(text, author=name, run=run.id if run else None))

    def _sign(self) -> None:
        run = self.selected()
        statement = self._ask("Sign off", f"What do you state of {run.id if run else ''}?") if run else ""
        name = self._name() if statement else ""
        if run and statement and name:
            self._session.commit(lambda case: case.sign_off(run.id, name=name, statement=statement))

    def verify(self) -> None:
        """Recompute every hash of the case."""
        case = self._session.case
        if case is not None:
            self._tell("Verifying …")
            self._session.asker.ask("verify", {"case": str(case.path)}, self._verified, self._tell)

    def _verified(self, found: dict[str, Any]) -> None:
        self.verified.emit(bool(found["ok"]))
        if found["ok"]:
            self._tell(f"Verified: {found['links']} links, nothing differs. Head {found['head']}")
        else:
            self._tell("Not verified. " + " ".join(found["problems"][:10]))

    def _tell(self, sentence: str) -> None:
        self.outcome.setText(sentence)
        self.outcome.show()


def _yes(value: bool) -> str:
    return "yes" if value else "no"
