"""The five levels of an axis beside their keys."""

from collections.abc import Mapping
from typing import Any

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QGridLayout, QLabel, QPushButton, QSizePolicy, QVBoxLayout, QWidget

from auditor.desktop.widgets.detail import plain_label

_KEY_WIDTH = 40


class LevelKeys(QWidget):
    """Title and question of an axis, and a button a score with what the score means.

    Signals
    -------
    pressed(int)
        Score.
    """

    pressed = Signal(int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.title = plain_label(name="title")
        self.question = plain_label(name="soft")
        self.keys: dict[int, QPushButton] = {}
        self.levels: dict[int, QLabel] = {}
        grid = QGridLayout()
        grid.setHorizontalSpacing(10)
        grid.setVerticalSpacing(8)
        grid.setColumnStretch(1, 1)
        # The best level stands on top, as on a ruler.
        for place, score in enumerate(range(5, 0, -1)):
            key = QPushButton(str(score))
            key.setObjectName("key")
            key.setCheckable(True)
            key.setFixedWidth(_KEY_WIDTH)
            key.setFocusPolicy(Qt.FocusPolicy.TabFocus)
            key.clicked.connect(lambda _checked=False, score=score: self._press(score))
            level = plain_label()
            level.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Minimum)
            self.keys[score], self.levels[score] = key, level
            grid.addWidget(key, place, 0, Qt.AlignmentFlag.AlignTop)
            grid.addWidget(level, place, 1, Qt.AlignmentFlag.AlignVCenter)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.title)
        layout.addWidget(self.question)
        layout.addSpacing(6)
        layout.addLayout(grid)

    def show_axis(self, axis: Mapping[str, Any], chosen: float | None) -> None:
        """Show an axis of a rubric, and the score that the rater has given."""
        self.title.setText(axis["title"])
        self.question.setText(axis["question"])
        for score, text in enumerate(axis["levels"], start=1):
            self.levels[score].setText(text)
            self.keys[score].setAccessibleName(f"Rate {score}: {text}")
            self.keys[score].setChecked(chosen == score)

    def _press(self, score: int) -> None:
        # Whether a score counts is for who listens to decide; until then the keys show what is kept.
        self.keys[score].setChecked(not self.keys[score].isChecked())
        self.pressed.emit(score)
