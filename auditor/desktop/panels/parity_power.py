"""Planning an audit before there are data: which bias would be detected, by formula and by simulation."""

from dataclasses import dataclass
from typing import Any

from PySide6.QtCore import QTimer, Signal
from PySide6.QtWidgets import (
    QCheckBox,
    QDoubleSpinBox,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from auditor.desktop import theme
from auditor.desktop.panels.picture_column import PictureColumn
from auditor.desktop.session import Session
from auditor.desktop.widgets.detail import plain_label
from auditor.desktop.widgets.pane import ScrollPane
from auditor.desktop.widgets.verdict import VerdictCard

_DELAY_MS = 300
_SIDE_WIDTH = 340
_ABOUT = (
    "With probability β a result is put there for its tone, from the query's own group; otherwise results are drawn at random. "
    "The least β that a test would detect is the detectable bias."
)


@dataclass(frozen=True)
class _Asked:
    """A number that is asked for."""

    title: str
    about: str
    low: float
    high: float
    start: float
    decimals: int = 0


_ASKED = {
    "n_queries": _Asked("Queries", "How many queries are audited.", 4, 10_000_000, 200),
    "k": _Asked("K", "Results of each query that count.", 1, 100_000, 20),
    "catalog_size": _Asked("Catalog size", "Items, each of them a query.", 4, 1_000_000_000, 10_000),
    "share_of_group": _Asked("Share of the first query group", "Of two groups of queries.", 0.01, 0.99, 0.5, 2),
    "share_of_attribute": _Asked("Share of its tone among items", "In the catalog.", 0.01, 0.99, 0.3, 2),
    "icc": _Asked(
        "Correlation within a list (ICC)",
        "How alike results of one query are for other reasons; 0: not at all. An earlier run reports it.",
        0,
        0.99,
        0.1,
        2,
    ),
    "alpha": _Asked("Alpha", "Probability of a detection where there is no bias.", 0.001, 0.5, 0.05, 3),
    "power": _Asked("Power", "Probability of detecting the bias where there is one.", 0.5, 0.99, 0.8, 2),
}


class ParityPower(QWidget):
    """Spin boxes on the left, curve and sentence on the right.

    Signals
    -------
    closed()
        Somebody wants to go back.
    """

    closed = Signal()

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self.numbers: dict[str, QSpinBox | QDoubleSpinBox] = {}
        self._words: dict[str, QLabel] = {}
        self.back = theme.icon_button("back", "Back to the results")
        self.back.clicked.connect(self.closed)
        side = QWidget()
        layout = QVBoxLayout(side)
        layout.setContentsMargins(14, 14, 14, 14)
        layout.addWidget(plain_label("What would be detected?", name="title"))
        layout.addWidget(plain_label(_ABOUT, name="help"))
        layout.addSpacing(6)
        layout.addLayout(self._form())
        self.every = QCheckBox("Every item is a query")
        self.every.setToolTip("As in a visual search: the queries are the catalog's items, and so are their groups.")
        self.simulate = QCheckBox("Check by simulation")
        self.simulate.setToolTip("Draws data sets with the bias and tests each; takes longer.")
        for box in (self.every, self.simulate):
            box.toggled.connect(self._changed)
            layout.addWidget(box)
        layout.addStretch(1)
        self.card = VerdictCard((self.back,))
        self.sentence, self.notes = self.card.verdict, self.card.facts
        self.pictures = PictureColumn(session, "parity_power_export")
        self.pictures.setContentsMargins(0, 0, 8, 0)
        drawn = QWidget()
        drawn.setLayout(self.pictures)
        right = QVBoxLayout()
        right.setContentsMargins(14, 14, 14, 10)
        right.addWidget(self.card)
        right.addWidget(ScrollPane(drawn), 1)
        pane = ScrollPane(side)
        pane.setFixedWidth(_SIDE_WIDTH)
        whole = QHBoxLayout(self)
        whole.setContentsMargins(0, 0, 0, 0)
        whole.addWidget(pane)
        whole.addLayout(right, 1)
        self._delay = QTimer(self, singleShot=True, interval=_DELAY_MS)
        self._delay.timeout.connect(self._ask)
        self._changed()
        self._delay.stop()

    def _form(self) -> QFormLayout:
        form = QFormLayout()
        form.setRowWrapPolicy(QFormLayout.RowWrapPolicy.WrapAllRows)
        form.setVerticalSpacing(4)
        for name, asked in _ASKED.items():
            box = QDoubleSpinBox() if asked.decimals else QSpinBox()
            if isinstance(box, QDoubleSpinBox):
                box.setDecimals(asked.decimals)
                box.setSingleStep(10**-asked.decimals * 5)
                box.setRange(asked.low, asked.high)
                box.setValue(asked.start)
            else:
                box.setGroupSeparatorShown(True)
                box.setRange(int(asked.low), int(asked.high))
                box.setValue(int(asked.start))
            box.setAccessibleName(asked.title)
            box.setAccessibleDescription(asked.about)
            box.setToolTip(asked.about)
            box.valueChanged.connect(self._changed)
            self.numbers[name] = box
            label = QLabel(asked.title)
            label.setBuddy(box)
            about = self._words[name] = plain_label(asked.about, name="help")
            beside = QVBoxLayout()
            beside.setSpacing(2)
            beside.setContentsMargins(0, 0, 0, 6)
            beside.addWidget(box)
            beside.addWidget(about)
            form.addRow(label, beside)
        return form

    def open(self) -> None:
        """Compute if nothing was computed yet."""
        if not self.pictures.count():
            self.refresh()

    def refresh(self) -> None:
        """Compute anew."""
        self._delay.start()

    def _changed(self, *_value: object) -> None:
        every = self.every.isChecked()
        # Then they follow from the catalog.
        self._enable("n_queries", not every, "It is the catalog's size: every item is a query.")
        self._enable("share_of_group", not every, "It is the share of the tone among items: every item is a query.")
        self._enable("catalog_size", every, "It decides nothing until “Every item is a query” is ticked.")
        self._delay.start()

    def _enable(self, name: str, on: bool, why_not: str) -> None:
        """Let a number be changed, or say why that would do nothing."""
        about = _ASKED[name].about if on else why_not
        self.numbers[name].setEnabled(on)
        self.numbers[name].setToolTip(about)
        self.numbers[name].setAccessibleDescription(about)
        self._words[name].setText(about)

    def _asked(self) -> dict[str, Any]:
        return {
            **{name: box.value() for name, box in self.numbers.items()},
            "every_item_is_query": self.every.isChecked(),
            "simulate": self.simulate.isChecked(),
            "theme": theme.current().name,
        }

    def _ask(self) -> None:
        self.card.clear("Simulating …" if self.simulate.isChecked() else "Computing …")
        asked = self._asked()
        self._session.asker.ask(
            "parity_power", asked, lambda found: self._show(found, asked), self._fail, self._progress
        )

    def _progress(self, _done: int, _total: int, message: str) -> None:
        self.sentence.setText(f"{message} …")

    def _show(self, found: dict[str, Any], asked: dict[str, Any]) -> None:
        self.card.clear(found["sentence"])
        self.card.show_facts("\n".join(found["notes"]))
        self.pictures.show_pictures(found["pictures"], asked)
        self.pictures.addStretch(1)

    def _fail(self, sentence: str) -> None:
        self.card.clear("")
        self.card.show_state("not possible", "alert")
        self.sentence.setText(sentence)
        self.pictures.take_away()

    def refresh_theme(self) -> None:
        """Draw the pictures in the colours of the theme, now or when they are looked at again."""
        if self.isVisible():
            self.refresh()
        else:
            self.pictures.take_away()
