"""The axes of a rubric: a list to choose, add, duplicate, remove and reorder, and the fields of the chosen one."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QKeySequence, QShortcut
from PySide6.QtWidgets import QGridLayout, QListWidget, QPushButton, QSplitter, QStackedWidget, QVBoxLayout, QWidget

from auditor.audits.rating.rubric import Problem
from auditor.desktop import theme
from auditor.desktop.panels.rubric_axis import AxisForm, empty_axis, free
from auditor.desktop.widgets.detail import plain_label, plain_tip
from auditor.desktop.widgets.pane import ScrollPane

_WRONG = "▲ "


class _Page(QWidget):
    """An axis; its form is made when it is looked at first, since fifty of them would take a second.

    Signals
    -------
    changed()
        Some text changed.
    """

    changed = Signal()

    def __init__(self, fields: Mapping[str, Any], *, is_new: bool = False) -> None:
        super().__init__()
        self._fields = dict(fields)
        self._is_new = is_new
        self._form: AxisForm | None = None
        self._problems: Sequence[Problem] = ()
        self._layout = QVBoxLayout(self)
        self._layout.setContentsMargins(0, 0, 0, 0)

    def make_form(self) -> AxisForm:
        """The form, which scrolls by itself; made once."""
        if self._form is None:
            self._form = AxisForm(self._fields, is_new=self._is_new)
            self._form.show_problems(self._problems)
            self._form.changed.connect(self.changed)
            self._layout.addWidget(ScrollPane(self._form))
        return self._form

    def fields(self) -> dict[str, Any]:
        """The axis as in a rubric's JSON, checked by nobody."""
        return self._form.fields() if self._form else self._fields

    def show_problems(self, problems: Sequence[Problem]) -> None:
        """Say what is wrong, once it is looked at."""
        self._problems = problems
        if self._form:
            self._form.show_problems(problems)


class RubricAxes(QWidget):
    """Edits all axes of a rubric.

    Signals
    -------
    changed()
        An axis, their order, or a text of one changed.
    """

    changed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._shown: list[_Page] = []
        self._removed: tuple[int, _Page] | None = None
        self._wrong: frozenset[int] = frozenset()
        self.list = QListWidget()
        self.list.setAccessibleName("Axes")
        self.list.setTabKeyNavigation(False)
        self.list.currentRowChanged.connect(self._choose)
        self._pages = QStackedWidget()
        self.problem = plain_label(name="alert")
        self.add_button = self._button("add", "Add", self.add, "Add an axis (Alt+A)")
        self.copy_button = self._button("copy", "Duplicate", self.duplicate, "Duplicate the chosen axis (Alt+D)")
        self.remove_button = self._button("remove", "Remove", self.remove, "Remove the chosen axis (Alt+Delete)")
        self.up_button = self._button("up", "Up", lambda: self.move_axis(-1), "Move the chosen axis up (Alt+Up)")
        self.down_button = self._button(
            "down", "Down", lambda: self.move_axis(1), "Move the chosen axis down (Alt+Down)"
        )
        self.undo_button = self._button("undo", "Put back", self.put_back, "Put the axis back that was removed last")
        splitter = QSplitter(Qt.Orientation.Horizontal)
        splitter.setChildrenCollapsible(False)
        splitter.addWidget(self._list_part())
        splitter.addWidget(self._pages)
        splitter.setStretchFactor(1, 1)
        splitter.setSizes([190, 430])
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(splitter)
        for keys, callback in (
            ("Alt+A", self.add),
            ("Alt+D", self.duplicate),
            ("Alt+Delete", self.remove),
            ("Alt+Up", lambda: self.move_axis(-1)),
            ("Alt+Down", lambda: self.move_axis(1)),
        ):
            shortcut = QShortcut(QKeySequence(keys), self)
            shortcut.setContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
            shortcut.activated.connect(callback)

    @staticmethod
    def _button(icon: str, text: str, callback: Callable[[], None], about: str) -> QPushButton:
        button = theme.icon_button(icon, text)
        button.setAutoDefault(False)
        button.setToolTip(about)
        button.setAccessibleDescription(about)
        button.clicked.connect(lambda _checked=False: callback())
        return button

    def _list_part(self) -> QWidget:
        part = QWidget()
        layout = QVBoxLayout(part)
        layout.setContentsMargins(14, 4, 10, 10)
        heading = plain_label("Axes", name="heading")
        buttons = QGridLayout()
        buttons.setSpacing(6)
        buttons.addWidget(self.add_button, 0, 0)
        buttons.addWidget(self.copy_button, 0, 1)
        buttons.addWidget(self.up_button, 1, 0)
        buttons.addWidget(self.down_button, 1, 1)
        buttons.addWidget(self.remove_button, 2, 0)
        buttons.addWidget(self.undo_button, 2, 1)
        layout.addWidget(heading)
        layout.addWidget(self.list, 1)
        layout.addWidget(self.problem)
        layout.addLayout(buttons)
        return part

    def show_axes(self, axes: Sequence[Mapping[str, Any]]) -> None:
        """Show axes anew, the first one chosen; what was undone before cannot be undone any more."""
        for page in self._shown:
            self._drop(page)
        if self._removed:
            self._drop(self._removed[1])
        self._shown, self._removed = [], None
        self.list.blockSignals(True)
        self.list.clear()
        self.list.blockSignals(False)
        for place, fields in enumerate(axes):
            self._insert(place, _Page(fields))
        self.list.setCurrentRow(0)
        self._refresh()

    def _drop(self, page: _Page) -> None:
        self._pages.removeWidget(page)
        page.deleteLater()

    def _insert(self, place: int, page: _Page) -> None:
        page.changed.connect(self._touched)
        self._shown.insert(place, page)
        self._pages.addWidget(page)
        self.list.blockSignals(True)
        self.list.insertItem(place, "")
        self.list.blockSignals(False)

    def axes(self) -> list[dict[str, Any]]:
        """The axes as in a rubric's JSON, checked by nobody."""
        return [page.fields() for page in self._shown]

    def form(self, place: int) -> AxisForm:
        """The fields of an axis."""
        return self._shown[place].make_form()

    def _names(self) -> list[str]:
        return [axis["name"] for axis in self.axes()]

    def add(self) -> None:
        """Add an empty axis behind the others and choose it."""
        page = _Page(empty_axis(self._names()), is_new=True)
        self._take_in(len(self._shown), page)
        form = page.make_form()
        form.title.control.setFocus()
        form.title.control.selectAll()

    def duplicate(self) -> None:
        """Add a copy of the chosen axis behind it and choose it."""
        place = self.list.currentRow()
        if place < 0:
            return
        fields = self._shown[place].fields()
        copy = {**fields, "title": f"{fields['title']} (copy)", "name": free(fields["name"], self._names())}
        self._take_in(place + 1, _Page(copy, is_new=True))

    def remove(self) -> None:
        """Remove the chosen axis; it can be put back until another one is removed."""
        place = self.list.currentRow()
        if place < 0:
            return
        if self._removed:
            self._drop(self._removed[1])
        page = self._shown.pop(place)
        self._pages.removeWidget(page)
        page.setParent(self)
        page.hide()
        page.changed.disconnect(self._touched)
        self._removed = (place, page)
        self.list.takeItem(place)
        self._choose(self.list.currentRow())
        self._touched()

    def put_back(self) -> None:
        """Put the axis back that was removed last."""
        if self._removed is None:
            return
        place, page = self._removed
        self._removed = None
        self._take_in(min(place, len(self._shown)), page)

    def _take_in(self, place: int, page: _Page) -> None:
        self._insert(place, page)
        self.list.setCurrentRow(place)
        self._choose(place)
        self._touched()

    def move_axis(self, by: int) -> None:
        """Move the chosen axis up (-1) or down (1)."""
        place = self.list.currentRow()
        target = place + by
        if place < 0 or not 0 <= target < len(self._shown):
            return
        self._shown.insert(target, self._shown.pop(place))
        self.list.blockSignals(True)
        self.list.insertItem(target, self.list.takeItem(place))
        self.list.setCurrentRow(target)
        self.list.blockSignals(False)
        self._touched()

    def _choose(self, place: int) -> None:
        if 0 <= place < len(self._shown):
            page = self._shown[place]
            page.make_form()
            self._pages.setCurrentWidget(page)
        self._refresh()

    def _touched(self) -> None:
        self._refresh()
        self.changed.emit()

    def _refresh(self) -> None:
        place, count = self.list.currentRow(), len(self._shown)
        for button in (self.copy_button, self.remove_button):
            button.setEnabled(place >= 0)
        self.up_button.setEnabled(place > 0)
        self.down_button.setEnabled(0 <= place < count - 1)
        self.undo_button.setEnabled(self._removed is not None)
        self._name_items()

    def _name_items(self) -> None:
        for place, fields in enumerate(self.axes()):
            mark = _WRONG if place in self._wrong else ""
            item = self.list.item(place)
            item.setText(mark + (fields["title"] or fields["name"] or "(no title)"))
            item.setToolTip("Something is not right in this axis." if mark else plain_tip(fields["name"]))

    def show_problems(self, problems: Sequence[Problem]) -> None:
        """Say in each axis what is wrong with it, and mark it in the list."""
        inside: dict[int, list[Problem]] = {}
        for problem in problems:
            if len(problem.place) > 2 and isinstance(problem.place[1], int):
                moved = Problem(problem.place[2:], problem.sentence, problem.value)
                inside.setdefault(problem.place[1], []).append(moved)
        for place, page in enumerate(self._shown):
            page.show_problems(inside.get(place, []))
        self._wrong = frozenset(inside)
        whole = [problem.sentence for problem in problems if problem.place == ("axes",)]
        self.problem.setText(" ".join(whole))
        self.problem.setVisible(bool(whole))
        self._name_items()
