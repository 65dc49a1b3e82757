"""The left part of the Compare panel: which finished runs of one audit, and whether they were asked the same way."""

from collections.abc import Mapping, Sequence
from typing import Any

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QCheckBox, QFrame, QHBoxLayout, QLabel, QSizePolicy, QStyle, QVBoxLayout, QWidget

from auditor.desktop import theme
from auditor.desktop.panels import compare_alike as alike
from auditor.desktop.session import Session
from auditor.desktop.widgets.detail import plain_label, plain_tip
from auditor.desktop.widgets.pane import ElidedLabel, ScrollPane

_NO_CASE = "No case is open: open one under Overview."
_FEWER_THAN_TWO = (
    "Two finished runs of one audit are needed. Rate the same conversations with another judge, ask the same queries under Guard "
    "with another model or prompt, or have the same model forget the same texts by another method, then come back."
)
_HELP = (
    "Tick two or more of one audit. The first you tick is A; each other one is B beside it. Differences are A less B."
)
_OTHER_AUDIT = "Only runs of one audit can be compared: untick the others first."
#: Audits whose runs can be compared -> what their runs are headed with.
_TITLES = {"rating": "Rating runs", "guard": "Guard runs", "unlearning": "Unlearning runs"}


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
        self.tick.setAccessibleName(f"Compare {run['model']}, {run['lines'][0]}")
        self.offer(True)
        self.letter = QLabel()
        self.letter.setObjectName("state")
        top = QHBoxLayout()
        top.addWidget(self.tick, 1)
        top.addWidget(self.letter)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(10, 8, 10, 8)
        layout.setSpacing(2)
        layout.addLayout(top)
        for words in (*run["lines"], run["verdict"]):
            line = ElidedLabel("help")
            line.setText(words)
            line.setToolTip(plain_tip(words))
            layout.addWidget(line)

    def offer(self, offered: bool) -> None:
        """Say whether the run can be ticked beside those that are."""
        self.tick.setEnabled(offered)
        self.tick.setToolTip(plain_tip(f"{self.run['model']}, run {self.run['id']}") if offered else _OTHER_AUDIT)


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
        self._runs = {audit: _runs_layout() for audit in _TITLES}
        self._titles = {audit: plain_label(title, name="heading") for audit, title in _TITLES.items()}
        self.people = plain_label(name="help")
        inner = QWidget()
        layout = QVBoxLayout(inner)
        layout.setContentsMargins(14, 14, 14, 14)
        layout.addWidget(self.words)
        for audit, runs in self._runs.items():
            layout.addWidget(self._titles[audit])
            layout.addLayout(runs)
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
        """Read the finished runs of the case anew; what is ticked and still there stays ticked."""
        case = self._session.case
        if case is None:
            self.clear()
            return
        self._session.asker.ask("comparable_runs", {"case": str(case.path)}, self._show, self.words.setText)

    def clear(self) -> None:
        """Offer nothing."""
        self._session.asker.drop("comparable_runs")
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
        self.words.setText("\n".join([_HELP if _can_compare(runs) else _FEWER_THAN_TWO, *found["problems"]]))
        self.people.setText(found["people"])
        # Nobody rates by hand for the other audits.
        has_ratings = not runs or any(run["audit"] == "rating" for run in runs)
        self._people_title.setVisible(has_ratings)
        self.people.setVisible(has_ratings)
        self._enable()

    def _show_boxes(self, runs: Sequence[dict[str, Any]]) -> None:
        for box in self._boxes.values():
            box.hide()
            box.deleteLater()
        self._boxes = {run["id"]: _RunBox(run) for run in runs}
        for identity, box in self._boxes.items():
            box.tick.setChecked(identity in self._chosen)
            box.tick.toggled.connect(lambda ticked, identity=identity: self._ticked(identity, ticked))
            self._runs[box.run["audit"]].addWidget(box)
        for audit, title in self._titles.items():
            title.setVisible(any(run["audit"] == audit for run in runs))

    def _ticked(self, identity: str, ticked: bool) -> None:
        self._chosen = [run for run in self._chosen if run != identity] + ([identity] if ticked else [])
        self._enable()

    def _enable(self) -> None:
        for identity, box in self._boxes.items():
            box.letter.setText(self._letter(identity))
            box.offer(self.audit in ("", box.run["audit"]))
        self.alert.setText(alike.warning(self.audit, [self._boxes[identity].run for identity in self._chosen]))
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

    @property
    def audit(self) -> str:
        """Audit of the runs that are ticked; empty while none is."""
        return str(self._boxes[self._chosen[0]].run["audit"]) if self._chosen else ""

    @property
    def chosen(self) -> list[str]:
        """Ids of the runs that are ticked, A first."""
        return list(self._chosen)

    @property
    def offered(self) -> list[str]:
        """Ids of the runs that can be ticked, newest first."""
        return list(self._boxes)

    def box(self, identity: str) -> QCheckBox:
        """What ticks a run."""
        return self._boxes[identity].tick

    def tick(self, identity: str) -> None:
        """Tick a run."""
        self.box(identity).setChecked(True)


def _runs_layout() -> QVBoxLayout:
    layout = QVBoxLayout()
    layout.setSpacing(8)
    return layout


def _can_compare(runs: Sequence[Mapping[str, Any]]) -> bool:
    audits = [run["audit"] for run in runs]
    return any(audits.count(audit) > 1 for audit in set(audits))
