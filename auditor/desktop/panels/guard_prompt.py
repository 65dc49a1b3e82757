"""The page of the prompt: its template on the left, on the right what the model reads, with token counts."""

from typing import Any

from PySide6.QtCore import QTimer, Signal
from PySide6.QtWidgets import QHBoxLayout, QLabel, QVBoxLayout, QWidget

from auditor.audits import guard
from auditor.audits.guard.conditions import CORRECT, ZERO_SHOT, described, expanded
from auditor.desktop import theme
from auditor.desktop.panels.guard_setup import TEMPLATE, GuardSetup
from auditor.desktop.session import Session
from auditor.desktop.widgets.detail import plain_label
from auditor.desktop.widgets.elided_box import ElidedBox
from auditor.desktop.widgets.growing_text import GrowingText
from auditor.desktop.widgets.pane import ScrollPane
from auditor.desktop.widgets.prompt_view import PromptView

_DELAY_MS = 400
_SIDE_WIDTH = 380
_KIND = "guard prompt"


class GuardPrompt(QWidget):
    """Changes the template; whatever stands there is what the next run is asked with.

    Signals
    -------
    closed()
        Somebody wants to go back.
    """

    closed = Signal()

    def __init__(self, session: Session, setup: GuardSetup, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._session, self._setup = session, setup
        self.fields: dict[str, GrowingText] = {}
        self.back = theme.icon_button("back", "Back to the panel")
        self.back.clicked.connect(self.closed)
        self.reset = theme.icon_button("undo", "As it was")
        self.reset.setToolTip("The template that the program comes with.")
        self.reset.clicked.connect(self._reset)
        self.condition = ElidedBox("Which prompt is shown")
        self.condition.currentIndexChanged.connect(self._changed)
        self.problem = plain_label(name="alert")
        self.counts = plain_label(name="soft")
        self.labels = plain_label(name="help")
        self.view = PromptView()
        right = QVBoxLayout()
        right.setContentsMargins(14, 14, 14, 14)
        right.addLayout(self._top())
        for widget in (self.problem, self.counts, self.labels):
            widget.hide()
            right.addWidget(widget)
        right.addWidget(self.view, 1)
        whole = QHBoxLayout(self)
        whole.setContentsMargins(0, 0, 0, 0)
        whole.addWidget(self._side())
        whole.addLayout(right, 1)
        self._delay = QTimer(self, singleShot=True, interval=_DELAY_MS)
        self._delay.timeout.connect(self._ask)

    def _top(self) -> QHBoxLayout:
        row = QHBoxLayout()
        row.addWidget(QLabel("Prompt of the first query:"))
        row.addWidget(self.condition, 1)
        return row

    def _side(self) -> ScrollPane:
        inner = QWidget()
        layout = QVBoxLayout(inner)
        layout.setContentsMargins(14, 14, 14, 14)
        top = QHBoxLayout()
        top.addWidget(plain_label("The prompt", name="title"), 1)
        top.addWidget(self.back)
        layout.addLayout(top)
        for name in TEMPLATE:
            field = guard.Spec.model_fields[name]
            control = GrowingText(field.title or name, least=1)
            control.setAccessibleDescription(field.description or "")
            control.setPlainText(_shown(name, self._setup.template[name]))
            control.textChanged.connect(self._changed)
            self.fields[name] = control
            label = QLabel(field.title)
            label.setBuddy(control)
            layout.addWidget(label)
            layout.addWidget(control)
            layout.addWidget(plain_label(field.description or "", name="help"))
            layout.addSpacing(6)
        layout.addWidget(self.reset)
        layout.addStretch(1)
        pane = ScrollPane(inner)
        pane.setFixedWidth(_SIDE_WIDTH)
        return pane

    def open(self) -> None:
        """Show the prompt that a run would be asked with."""
        self._offer_conditions()
        self._delay.start()

    def _offer_conditions(self) -> None:
        try:
            attacks = expanded(self._setup.form.values()["attacks"])
        except ValueError:
            # What is wrong with the attacks stands at their field once Run is pressed, and below after asking.
            attacks = ()
        kept = self.condition.currentData()
        self.condition.blockSignals(True)
        self.condition.clear()
        for name in (CORRECT, *attacks, ZERO_SHOT):
            self.condition.addItem(described(name), name)
        self.condition.setCurrentIndex(max(0, self.condition.findData(kept)))
        self.condition.blockSignals(False)

    def _reset(self) -> None:
        for name, control in self.fields.items():
            control.setPlainText(_shown(name, guard.Spec.model_fields[name].default))

    def _changed(self) -> None:
        self._setup.take_template({name: _meant(name, control.toPlainText()) for name, control in self.fields.items()})
        self._delay.start()

    def _ask(self) -> None:
        asked = {**self._setup.asked(), "condition": self.condition.currentData(), "seed": self._setup.seed.value()}
        self._session.asker.ask("guard_prompt", asked, self._show, self._show_problem, kind=_KIND)

    def _show(self, found: dict[str, Any]) -> None:
        self._say(found["problem"])
        self.counts.setText(
            f"{found['tokens']:,} tokens; {found['tokens_zero_shot']:,} without demonstrations. The label that follows is "
            "read, not generated."
        )
        self.labels.setText("Spellings of one token: " + "; ".join(found["labels"]) if found["labels"] else "")
        self.labels.setVisible(bool(found["labels"]))
        self.counts.show()
        self.view.show_pieces([(title, text) for title, text in found["pieces"]])

    def _show_problem(self, sentence: str) -> None:
        self._say(sentence)
        self.counts.hide()
        self.labels.hide()
        self.view.show_pieces([])

    def _say(self, sentence: str) -> None:
        self.problem.setText(sentence)
        self.problem.setVisible(bool(sentence))


def _shown(name: str, text: str) -> str:
    r"""A part of the template as it stands in its field: the separator's line breaks, which nobody would see, as \n."""
    return text.replace("\n", r"\n") if name == "separator" else text


def _meant(name: str, text: str) -> str:
    """The part that stands in a field."""
    return text.replace(r"\n", "\n") if name == "separator" else text
