"""Rating by hand: one conversation in large, the levels of the rubric beside their keys, and nothing else."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QKeySequence, QShortcut
from PySide6.QtWidgets import QLineEdit, QSplitter, QVBoxLayout, QWidget

from auditor.case.records import GivenRating
from auditor.desktop.panels.hand_bar import HandBar
from auditor.desktop.panels.hand_queue import HandQueue, Places, arrange_places, known_raters
from auditor.desktop.panels.hand_texts import HandTexts
from auditor.desktop.panels.rate_guide import LevelKeys
from auditor.desktop.panels.rate_judge import SHOWN, JudgeCard
from auditor.desktop.session import Session
from auditor.desktop.widgets.columns import Numbers, Texts
from auditor.desktop.widgets.detail import PlainTurns, key_words, plain_label
from auditor.desktop.widgets.pane import ScrollPane
from auditor.desktop.widgets.table import TableModel
from auditor.runs.directory import RunDirectory

_KEYS = (
    "1–5 rate and go on · U undo · S skip · J next unrated · ← → step · N note · "
    "Space the judge's scores · Esc back to the results"
)
_HIDDEN = "The judge's scores are hidden. Space shows them; your rating is then kept as not blind."
_NO_NAME = "Enter your name first: it is kept with your ratings."


class RateByHand(QWidget):
    """One rater at the keyboard, over the ratings table of a finished run.

    Signals
    -------
    closed()
        The rater wants to go back to the results.
    """

    closed = Signal()

    def __init__(self, session: Session, model: TableModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._session, self._model = session, model
        self._run: RunDirectory | None = None
        self.rubric_axes: Mapping[str, Mapping[str, Any]] = {}
        self._seed = 0
        self._start: tuple[int, str] | None = None
        self._seen: set[tuple[int, str]] = set()
        self._drafts: dict[tuple[int, str], str] = {}
        self._texts = HandTexts(session, self)
        self._texts.arrived.connect(self._show_text)
        self.queue = HandQueue()
        self._build()
        for keys, callback in (
            *((str(score), lambda score=score: self.rate(score)) for score in range(1, 6)),
            ("U", self.undo),
            ("S", self.skip),
            ("J", self.next_unrated),
            ("Right", lambda: self._go(self.queue.place + 1)),
            ("Left", lambda: self._go(self.queue.place - 1)),
            ("N", self._write_note),
            ("Escape", self._escape),
        ):
            shortcut = QShortcut(QKeySequence(keys), self)
            shortcut.setContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
            shortcut.activated.connect(callback)
        # Space presses buttons wherever they have the focus; it shows the judge where the conversation is read.
        space = QShortcut(QKeySequence("Space"), self.turns)
        space.setContext(Qt.ShortcutContext.WidgetShortcut)
        space.activated.connect(self.toggle_judge)

    def _build(self) -> None:
        self.turns = PlainTurns()
        self.turns.setObjectName("reading")
        self.turns.document().setDocumentMargin(18)
        self.bar = HandBar()
        self.bar.back.connect(self.closed)
        self.bar.named.connect(self._take_rater)
        self.bar.done.connect(self.turns.setFocus)
        self.bar.asked.connect(self._arrange)
        self.bar.blind.toggled.connect(lambda _on: self._show_judge())
        self.guide = LevelKeys()
        self.guide.pressed.connect(self.rate)
        self.note = QLineEdit()
        self.note.setPlaceholderText("Note, kept with the rating (N)")
        self.note.setAccessibleName("Note")
        self.note.returnPressed.connect(self._keep_note)
        self.hidden = plain_label(_HIDDEN, name="help")
        self.judge = JudgeCard(self._session)
        inner = QWidget()
        side = QVBoxLayout(inner)
        side.setContentsMargins(12, 0, 4, 0)
        side.setSpacing(12)
        for widget in (self.guide, self.note, self.hidden, self.judge):
            side.addWidget(widget)
        side.addStretch(1)
        self.splitter = QSplitter(Qt.Orientation.Horizontal)
        self.splitter.addWidget(self.turns)
        pane = ScrollPane(inner)
        # A click beside a key leaves the focus where the conversation is read.
        pane.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.splitter.addWidget(pane)
        self.splitter.setChildrenCollapsible(False)
        self.splitter.setStretchFactor(0, 1)
        self.splitter.setStretchFactor(1, 0)
        self.splitter.setSizes([860, 400])
        layout = QVBoxLayout(self)
        layout.setContentsMargins(16, 12, 16, 10)
        layout.setSpacing(10)
        layout.addWidget(self.bar)
        layout.addWidget(self.splitter, 1)
        layout.addWidget(plain_label(key_words(_KEYS), name="help"))

    def open(
        self,
        run: RunDirectory,
        findings: Mapping[str, Any],
        start: tuple[int, str] | None,
        seen: set[tuple[int, str]],
    ) -> None:
        """Begin with a finished run whose ratings are in the table.

        Parameters
        ----------
        start : tuple of int and str, optional
            Row and axis to begin with; the first that is not rated yet if None.
        seen : set of (row, axis)
            Of which the rater has seen the judge's scores already.
        """
        self._run, self._start, self._seen = run, start, set(seen)
        self.rubric_axes = {axis["name"]: axis for axis in findings["rubric"]["axes"]}
        self._seed = int(findings["provenance"]["seed"] or 0)
        self._drafts.clear()
        self.queue.clear()
        self._texts.begin(run, mark_last_reply=findings["scope"] == "last_response")
        self.bar.begin(findings["axes"], self._seed)
        self._show_raters()
        self._arrange()
        (self.turns if self.queue.rater else self.bar.rater).setFocus()

    def _show_raters(self) -> None:
        case = self._session.case
        kept = self.queue.rater or str(self._session.settings.value("rater", ""))
        self.bar.show_raters(known_raters(case.human_ratings() if case else [], kept), kept)
        self.queue.rater = kept
        self._read_own()

    def _take_rater(self, name: str) -> None:
        if name and name != self.queue.rater:
            if self.queue.rater:
                # Another person sits down, who has seen and written nothing yet.
                self._seen.clear()
                self._drafts.clear()
            self.queue.rater = name
            self._session.settings.setValue("rater", name)
            self._show_raters()
            if self.queue.own(self.queue.place) is not None:
                self.queue.place = self.queue.next_unrated(-1) or 0
            self._show_place()

    def _read_own(self) -> None:
        case = self._session.case
        if case is not None and self._run is not None:
            self.queue.read(case.human_ratings(self._run.path.name))

    def _arrange(self) -> None:
        row, axis, entropy = (self._model.column(name) for name in ("row", "axis", "entropy"))
        if not (isinstance(row, Numbers) and isinstance(axis, Texts) and isinstance(entropy, Numbers)):
            raise TypeError("the ratings table has other columns")
        only, order, seed = self.bar.axis.currentData(), self.bar.order.currentData(), self._seed

        def arranged(places: Places) -> None:
            self._keep_draft()
            self.queue.arrange(places, row, axis)
            start, self._start = self._start, None
            self.queue.place = (self.queue.position(start) if start else self.queue.next_unrated(-1)) or 0
            self._show_place()

        self._session.background.do(
            lambda: arrange_places(row, axis, entropy, only, order, seed), arranged, self._session.said.emit
        )
        self.turns.setFocus()

    def _go(self, place: int) -> None:
        if not 0 <= place < len(self.queue):
            return
        self._keep_draft()
        self.queue.place = place
        self._show_place()

    def _keep_draft(self) -> None:
        # A note that was typed and not rated with waits until the rater comes back.
        if len(self.queue):
            own = self.queue.own(self.queue.place)
            if self.note.text() != (own.given.note if own else ""):
                self._drafts[self.queue.key(self.queue.place)] = self.note.text()

    def _show_place(self) -> None:
        if not len(self.queue):
            return
        place = self.queue.place
        row, axis = self.queue.key(place)
        own = self.queue.own(place)
        name = self._model.cell(self.queue.source(place), "id")
        self.bar.show_unit(str(name), row)
        self.guide.show_axis(self.rubric_axes[axis], own.given.score if own and own.given.is_on_five else None)
        self.note.setText(self._drafts.get((row, axis), own.given.note if own else ""))
        self._show_progress()
        self._show_judge(is_new=True)
        self._texts.show(row, self._upcoming())

    def _upcoming(self) -> list[int]:
        rows: dict[int, None] = {}
        for place in range(self.queue.place, min(len(self.queue), self.queue.place + 100)):
            rows[self.queue.key(place)[0]] = None
        return list(rows)

    def _show_progress(self) -> None:
        self.bar.show_progress(self.queue.rated, len(self.queue), self.queue.rater)

    def _show_text(self, row: int, parts: list[tuple[str, str]]) -> None:
        if len(self.queue) and self.queue.key(self.queue.place)[0] == row:
            self.turns.show_parts(parts)

    def _show_judge(self, *, is_new: bool = False, reveal: bool = False) -> None:
        if self._run is None or not len(self.queue):
            return
        is_shown = reveal or not self.bar.blind.isChecked()
        if is_shown:
            self._seen.add(self.queue.key(self.queue.place))
            source = self.queue.source(self.queue.place)
            self.judge.show_row(self._run, {name: self._model.cell(source, name) for name in SHOWN})
        self.judge.setVisible(is_shown)
        self.hidden.setVisible(not is_shown)
        if is_new:
            seen = self.queue.key(self.queue.place) in self._seen and not is_shown
            self.hidden.setText(f"{_HIDDEN} You have seen them for this one." if seen else _HIDDEN)

    def toggle_judge(self) -> None:
        """Show the judge's scores and words, or hide them again."""
        self._show_judge(is_new=True, reveal=not self.judge.isVisibleTo(self))

    def rate(self, score: int) -> None:
        """Commit the rater's score of what is in view, and go on to what is not rated yet."""
        run = self._run
        if run is None or not len(self.queue) or self._needs_name():
            return
        key = self.queue.key(self.queue.place)
        blind = key not in self._seen
        given = GivenRating(str(key[0]), key[1], self.queue.rater, score, self.note.text().strip(), blind)
        if self._commit(key, given):
            self._on()

    def _commit(self, key: tuple[int, str], given: GivenRating) -> bool:
        run, made = self._run, list[str]()
        assert run is not None
        own = self.queue.own(self.queue.place)
        before = own.given if own else None
        kept = self._session.commit_judgement(
            run.path.name, lambda case: made.extend(case.add_human_ratings(run.path.name, [given]))
        )
        if kept:
            self._drafts.pop(key, None)
            self.queue.took(key, made[0], given, before)
        return kept

    def _needs_name(self) -> bool:
        if self.queue.rater:
            return False
        self._session.said.emit(_NO_NAME)
        self.bar.rater.setFocus()
        return True

    def _on(self) -> None:
        following = self.queue.next_unrated(self.queue.place)
        if following is None:
            self._show_place()
            self._session.said.emit(f"{self.queue.rater} has rated all {len(self.queue):,}.")
        else:
            self._go(following)

    def undo(self) -> None:
        """Withdraw the rater's last rating, and the one before when pressed again; the conversation comes into view."""
        found, run = self.queue.last_step(), self._run
        if found is None or run is None:
            self._session.said.emit("There is nothing to undo.")
            return
        step, own = found
        before, rater = step.before, self.queue.rater
        again: list[str] = []

        def work(case: Any) -> None:
            if before is None:
                case.withdraw_human_rating(own.record, rater=rater)
            else:
                again.extend(case.add_human_ratings(run.path.name, [before]))

        if not self._session.commit_judgement(run.path.name, work):
            return
        self.queue.undone(step, again[0] if again else None)
        self._drafts[step.key] = own.given.note
        place = self.queue.position(step.key)
        if place is None:
            # It was given on an axis that is not asked for now.
            self._start = step.key
            self.bar.axis.setCurrentIndex(0)
            self._arrange()
        else:
            self.queue.place = place
            self._show_place()
        self._session.said.emit(
            f"Withdrawn: {own.given.score:g} for {step.key[1].replace('_', ' ')}, row {step.key[0]:,}."
        )

    def skip(self) -> None:
        """Go on without a rating."""
        self._keep_draft()
        self._on()

    def next_unrated(self) -> None:
        """Go to the next that is not rated, from the beginning again at the end."""
        self._on()

    def _write_note(self) -> None:
        self.note.setFocus()
        self.note.selectAll()

    def _keep_note(self) -> None:
        own = self.queue.own(self.queue.place) if len(self.queue) else None
        if own is not None and own.given.note != self.note.text().strip():
            given = replace(own.given, note=self.note.text().strip())
            if self._commit(self.queue.key(self.queue.place), given):
                self._show_place()
        self.turns.setFocus()

    def _escape(self) -> None:
        if self.turns.hasFocus():
            self.closed.emit()
        else:
            self.turns.setFocus()

    def refresh_theme(self) -> None:
        """Draw text and bars in the colours of the theme."""
        if len(self.queue):
            self._texts.show(self.queue.key(self.queue.place)[0], [])
        self.judge.refresh_theme()
