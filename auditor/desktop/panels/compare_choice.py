"""The left part of the Compare panel: which finished rating runs, and whether they were asked the same way."""

from collections.abc import Sequence
from typing import Any

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QCheckBox, QFrame, QHBoxLayout, QLabel, QSizePolicy, QStyle, QVBoxLayout, QWidget

from auditor.desktop import theme
from auditor.desktop.session import Session
from auditor.desktop.widgets.detail import plain_label, plain_tip
from auditor.desktop.widgets.pane import ElidedLabel, ScrollPane

_NO_CASE = "No case is open: open one under Overview."
_FEWER_THAN_TWO = "Two finished rating runs are needed. Rate the same conversations with another judge, then come back."
_HELP = "Tick two or more. The first you tick is A; each other one is B beside it. Differences are A less B."
_SCOPES = {"last_response": "Last reply", "conversation": "Whole conversation"}
#: What makes the instrument: field of a run -> what people call it.
_INSTRUMENT = {
    "rubric_sha256": "the rubric",
    "order": "the order of the prompt",
    "scope": "what is rated",
    "variants": "the prompt's variants",
    "merge": "how several scores are merged",
}


class _Tick(QCheckBox):
    """A tick whose words are shortened in the middle where there is no room."""

    def __init__(self, words: str) -> None:
        super().__init__()
        self._words = words
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Show what fits."""
        super().resizeEvent(event)
        style = self.style()
        box = style.pixelMetric(QStyle.PixelMetric.PM_IndicatorWidth, None, self)
        gap = style.pixelMetric(QStyle.PixelMetric.PM_CheckBoxLabelSpacing, None, self)
        room = event.size().width() - box - gap - 4
        shown = self.fontMetrics().elidedText(self._words, Qt.TextElideMode.ElideMiddle, room)
        self.setText(shown.replace("&", "&&"))


class _RunBox(QFrame):
    """One run that can be ticked."""

    def __init__(self, run: dict[str, Any]) -> None:
        super().__init__()
        self.setObjectName("card")
        self.run = run
        self.tick = _Tick(run["model"])
        self.tick.setAccessibleName(f"Compare {run['model']}, {run['created']}")
        self.tick.setToolTip(plain_tip(f"{run['model']}, run {run['id']}"))
        self.letter = QLabel()
        self.letter.setObjectName("state")
        top = QHBoxLayout()
        top.addWidget(self.tick, 1)
        top.addWidget(self.letter)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(10, 8, 10, 8)
        layout.setSpacing(2)
        layout.addLayout(top)
        scope = _SCOPES.get(run["scope"], run["scope"])
        for words in (
            f"{run['created']}, {run['n']:,} conversations",
            f"{scope}, rubric {run['rubric']} ({run['rubric_sha256'][:8]}…)",
            run["verdict"],
        ):
            line = ElidedLabel("help")
            line.setText(words)
            line.setToolTip(plain_tip(words))
            layout.addWidget(line)


class CompareChoice(QWidget):
    """Which runs stand side by side.

    Signals
    -------
    wanted()
        The runs that are ticked should be compared.
    """

    wanted = Signal()

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self._boxes: dict[str, _RunBox] = {}
        self._chosen: list[str] = []
        self.words = plain_label(_NO_CASE, name="help")
        self._runs = QVBoxLayout()
        self._runs.setSpacing(8)
        self.people = plain_label(name="help")
        inner = QWidget()
        layout = QVBoxLayout(inner)
        layout.setContentsMargins(14, 14, 14, 14)
        layout.addWidget(plain_label("Runs", name="heading"))
        layout.addWidget(self.words)
        layout.addLayout(self._runs)
        layout.addSpacing(6)
        self._people_title = plain_label("Human ratings", name="heading")
        layout.addWidget(self._people_title)
        layout.addWidget(self.people)
        layout.addStretch(1)
        whole = QVBoxLayout(self)
        whole.setContentsMargins(0, 0, 0, 0)
        whole.setSpacing(0)
        whole.addWidget(ScrollPane(inner), 1)
        whole.addWidget(self._footer())
        self.clear()

    def _footer(self) -> QFrame:
        self.alert = plain_label(name="alert")
        self.compare = theme.icon_button("compare", "Compare")
        theme.set_icon(self.compare, "compare", on_accent=True)
        self.compare.setObjectName("primary")
        self.compare.clicked.connect(self.wanted)
        footer = QFrame()
        footer.setObjectName("footer")
        layout = QVBoxLayout(footer)
        layout.setContentsMargins(14, 8, 14, 12)
        layout.addWidget(self.alert)
        layout.addWidget(self.compare)
        return footer

    def refresh(self) -> None:
        """Read the finished rating runs of the case anew; what is ticked and still there stays ticked."""
        case = self._session.case
        if case is None:
            self.clear()
            return
        self._session.asker.ask("rating_runs", {"case": str(case.path)}, self._show, self.words.setText)

    def clear(self) -> None:
        """Offer nothing."""
        self._session.asker.drop("rating_runs")
        self._chosen = []
        self._show_boxes([])
        self.words.setText(_NO_CASE)
        self.people.setText("")
        self._people_title.hide()
        self._enable()

    def _show(self, found: dict[str, Any]) -> None:
        runs = found["runs"]
        there = {run["id"] for run in runs}
        self._chosen = [run for run in self._chosen if run in there]
        if there != set(self._boxes):
            self._show_boxes(runs)
        self.words.setText("\n".join([_HELP if len(runs) > 1 else _FEWER_THAN_TWO, *found["problems"]]))
        self.people.setText(found["people"])
        self._people_title.show()
        self._enable()

    def _show_boxes(self, runs: Sequence[dict[str, Any]]) -> None:
        for box in self._boxes.values():
            box.hide()
            box.deleteLater()
        self._boxes = {run["id"]: _RunBox(run) for run in runs}
        for identity, box in self._boxes.items():
            box.tick.setChecked(identity in self._chosen)
            box.tick.toggled.connect(lambda ticked, identity=identity: self._ticked(identity, ticked))
            self._runs.addWidget(box)

    def _ticked(self, identity: str, ticked: bool) -> None:
        self._chosen = [run for run in self._chosen if run != identity] + ([identity] if ticked else [])
        self._enable()

    def _enable(self) -> None:
        for identity, box in self._boxes.items():
            box.letter.setText(self._letter(identity))
        self.alert.setText(self._instrument_words())
        self.alert.setVisible(bool(self.alert.text()))
        self.compare.setEnabled(len(self._chosen) > 1)
        self.compare.setToolTip("" if self.compare.isEnabled() else "Tick two or more runs first.")

    def _letter(self, identity: str) -> str:
        """What the comparison calls a run."""
        if identity not in self._chosen:
            return ""
        place = self._chosen.index(identity)
        if place == 0:
            return "A"
        return "B" if len(self._chosen) == 2 else f"B {place}"

    def _instrument_words(self) -> str:
        chosen = [self._boxes[identity].run for identity in self._chosen]
        differ = [words for field, words in _INSTRUMENT.items() if len({run[field] for run in chosen}) > 1]
        # The room decides what is left out of long conversations; where everything fitted it changes nothing.
        if len({run["n_ctx"] for run in chosen}) > 1 and any(run["n_truncated"] for run in chosen):
            differ.append("the tokens that a conversation may take")
        if not differ:
            return ""
        listed = " and ".join(filter(None, (", ".join(differ[:-1]), differ[-1])))
        verb = "differs" if len(differ) == 1 else "differ"
        return f"Not the same instrument: {listed} {verb}. A difference may come from how the judges were asked."

    @property
    def chosen(self) -> list[str]:
        """Ids of the runs that are ticked, A first."""
        return list(self._chosen)

    @property
    def offered(self) -> list[str]:
        """Ids of the runs that can be ticked, newest first."""
        return list(self._boxes)

    def tick(self, identity: str) -> None:
        """Tick a run."""
        self._boxes[identity].tick.setChecked(True)
