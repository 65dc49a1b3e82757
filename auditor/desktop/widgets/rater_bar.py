"""Above what people judge by hand: the way back, what is judged, how far, who judges, blind or not."""

from collections.abc import Sequence

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QHBoxLayout,
    QLineEdit,
    QProgressBar,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from auditor.desktop import theme
from auditor.desktop.widgets.detail import plain_label
from auditor.desktop.widgets.pane import ElidedLabel

_RATER_WIDTH = 150


class RaterBar(QWidget):
    """Controls that stand above every judging by hand.

    A subclass adds its own choices by `_add_choice`, calls `_close_row`, and adds to `_below` what stands at the right.

    Parameters
    ----------
    back_to : str
        Words of the button that leads back.
    share_of : str
        What the progress bar shows.
    blind_tip : str
        What is hidden from a person who judges blind.
    progress_width : int
        In pixels.
    buttons : sequence of QPushButton
        What else can be done, at the right of the progress.

    Signals
    -------
    back()
        To where the person came from.
    named(str)
        A rater was chosen or entered.
    done()
        A control was used: the focus belongs to what is judged again.
    """

    back = Signal()
    named = Signal(str)
    done = Signal()

    def __init__(
        self,
        back_to: str,
        share_of: str,
        blind_tip: str,
        progress_width: int,
        buttons: Sequence[QPushButton] = (),
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        back = theme.icon_button("back", back_to)
        back.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        back.clicked.connect(self.back)
        self.heading = ElidedLabel("heading")
        self.progress_words = plain_label(name="soft", wrap=False)
        self.progress = QProgressBar()
        self.progress.setTextVisible(False)
        self.progress.setFixedWidth(progress_width)
        self.progress.setAccessibleName(share_of)
        top = QHBoxLayout()
        top.setSpacing(12)
        top.addWidget(back)
        top.addWidget(self.heading, 1)
        top.addWidget(self.progress_words)
        top.addWidget(self.progress)
        for button in buttons:
            button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
            top.addWidget(button)
        self.rater = QComboBox()
        self.rater.setEditable(True)
        self.rater.setInsertPolicy(QComboBox.InsertPolicy.NoInsert)
        self.rater.setMinimumWidth(_RATER_WIDTH)
        self.name = QLineEdit()
        self.name.setPlaceholderText("Your name")
        self.name.setAccessibleName("Rater: known people, or a new name")
        self.rater.setLineEdit(self.name)
        self.name.editingFinished.connect(lambda: self.named.emit(self.name.text().strip()))
        self.name.returnPressed.connect(self.done)
        self.rater.activated.connect(self._choose)
        self.blind = QCheckBox("Blind")
        self.blind.setToolTip(blind_tip)
        self.blind.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self._below = QHBoxLayout()
        self._add_choice("Rater", self.rater)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(10)
        layout.addLayout(top)
        layout.addLayout(self._below)

    def _add_choice(self, title: str, control: QComboBox) -> None:
        label = plain_label(title, wrap=False)
        label.setBuddy(control)
        control.setAccessibleName(title)
        self._below.addWidget(label)
        self._below.addWidget(control)
        self._below.addSpacing(8)

    def _close_row(self) -> None:
        """Put the check box behind the choices; what follows stands at the right."""
        self._below.addWidget(self.blind)
        self._below.addStretch(1)

    def _choose(self, _index: int) -> None:
        self.named.emit(self.name.text().strip())
        self.done.emit()

    def show_raters(self, names: Sequence[str], now: str) -> None:
        """Offer the people who are known."""
        self.rater.clear()
        self.rater.addItems(list(names))
        self.rater.setCurrentIndex(names.index(now) if now else -1)

    def _show_share(self, words: str, n_judged: int, n: int) -> None:
        self.progress_words.setText(words)
        self.progress.setMaximum(max(1, n))
        self.progress.setValue(n_judged)
