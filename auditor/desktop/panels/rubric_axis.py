"""The fields of one axis of a rubric: title, name, question and five levels, each with what is wrong beside it."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QGridLayout, QLabel, QLineEdit, QPlainTextEdit, QVBoxLayout, QWidget

from auditor.audits.rating.rubric import Problem
from auditor.desktop.widgets.detail import plain_label
from auditor.desktop.widgets.growing_text import GrowingText

_LEVELS = 5
_ENDS = {0: "the lowest", _LEVELS - 1: "the highest"}
NEW_TITLE = "New axis"


class Field(QWidget):
    """A control under its title, with a line for what is wrong with it."""

    def __init__(self, title: str, control: QLineEdit | QPlainTextEdit) -> None:
        super().__init__()
        self.control = control
        self.problem = plain_label(name="alert")
        self.problem.hide()
        label = QLabel(title)
        label.setBuddy(control)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(3)
        for widget in (label, control, self.problem):
            layout.addWidget(widget)
        layout.addStretch(1)

    def text(self) -> str:
        """What stands in the control."""
        return self.control.text() if isinstance(self.control, QLineEdit) else self.control.toPlainText()

    def set_text(self, text: str) -> None:
        """Put a text in."""
        if isinstance(self.control, QLineEdit):
            self.control.setText(text)
        else:
            self.control.setPlainText(text)

    def show_problem(self, sentence: str) -> None:
        """Say what is wrong; nothing if the sentence is empty."""
        self.problem.setText(sentence)
        self.problem.setVisible(bool(sentence))
        self.control.setAccessibleDescription(sentence)


class AxisForm(QWidget):
    """Edits one axis.

    Parameters
    ----------
    fields : Mapping
        The axis as in a rubric's JSON.
    is_new : bool
        Whether its name follows its title until somebody names it.

    Signals
    -------
    changed()
        Some text changed.
    """

    changed = Signal()

    def __init__(self, fields: Mapping[str, Any], *, is_new: bool = False, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._follows = is_new
        self.title = line_field("Axis title", "Title of the axis")
        self.name = line_field("Axis name", "Name of the axis")
        self.title.control.setToolTip("As reports show it and as the judge reads it.")
        self.name.control.setToolTip("In tables and on the command line: small letters, digits and “_”.")
        question = GrowingText("Question of the axis", least=2)
        question.setPlaceholderText("What is asked about the assistant, as one question")
        self.question = Field("Question", question)
        self.levels = [_level(number) for number in range(_LEVELS)]
        layout = QGridLayout(self)
        layout.setContentsMargins(14, 4, 14, 10)
        layout.setHorizontalSpacing(10)
        layout.setVerticalSpacing(10)
        layout.addWidget(self.title, 0, 0)
        layout.addWidget(self.name, 0, 1)
        layout.addWidget(self.question, 1, 0, 1, 2)
        for row, level in enumerate(self.levels, start=2):
            layout.addWidget(level, row, 0, 1, 2)
        layout.setRowStretch(2 + _LEVELS, 1)
        layout.setColumnStretch(0, 1)
        layout.setColumnStretch(1, 1)
        self._show(fields)
        for field in self._all():
            field.control.textChanged.connect(self.changed)
        if isinstance(self.title.control, QLineEdit) and isinstance(self.name.control, QLineEdit):
            self.title.control.textEdited.connect(self._name_after)
            self.name.control.textEdited.connect(self._named)

    def _all(self) -> list[Field]:
        return [self.title, self.name, self.question, *self.levels]

    def _show(self, fields: Mapping[str, Any]) -> None:
        self.title.set_text(fields["title"])
        self.name.set_text(fields["name"])
        self.question.set_text(fields["question"])
        for level, text in zip(self.levels, fields["levels"], strict=True):
            level.set_text(text)

    def _name_after(self, title: str) -> None:
        if self._follows:
            self.name.set_text(name_after(title))

    def _named(self, _text: str) -> None:
        self._follows = False

    def fields(self) -> dict[str, Any]:
        """The axis as in a rubric's JSON, checked by nobody."""
        return {
            "name": self.name.text(),
            "title": self.title.text(),
            "question": self.question.text(),
            "levels": [level.text() for level in self.levels],
        }

    def show_problems(self, problems: Sequence[Problem]) -> None:
        """Say beside each field what is wrong; places are relative to the axis."""
        said = {problem.place: problem.sentence for problem in problems}
        for name in ("title", "name", "question"):
            getattr(self, name).show_problem(said.get((name,), ""))
        for number, level in enumerate(self.levels):
            level.show_problem(said.get(("levels", number), ""))


def line_field(title: str, name: str) -> Field:
    """A field of one line; `name` is for people who cannot see it."""
    line = QLineEdit()
    line.setAccessibleName(name)
    return Field(title, line)


def _level(number: int) -> Field:
    end = f", {_ENDS[number]}" if number in _ENDS else ""
    text = GrowingText(f"Level {number + 1}{end}", least=2)
    text.setPlaceholderText(f"What a reply that deserves {number + 1} is like")
    return Field(f"Level {number + 1}{end}", text)


def name_after(title: str) -> str:
    """A name made from a title: small letters, digits and "_", a letter first."""
    words = re.sub(r"[^a-z0-9]+", "_", title.lower()).strip("_")
    return words.lstrip("0123456789_")[:40].rstrip("_")


def empty_axis(taken: Sequence[str]) -> dict[str, Any]:
    """Fields of a new axis whose name nobody has."""
    name = free(name_after(NEW_TITLE), taken)
    return {"name": name, "title": NEW_TITLE, "question": "", "levels": [""] * _LEVELS}


def free(name: str, taken: Sequence[str]) -> str:
    """A name that is not taken: this one, else with a number behind it."""
    number, found = 2, name
    while found in taken:
        ending = f"_{number}"
        found, number = name[: 40 - len(ending)] + ending, number + 1
    return found
