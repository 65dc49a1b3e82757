"""A form made from a spec: title, help, unit, bounds and default of every field come from the spec itself."""

import re
from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from math import isfinite
from types import MappingProxyType
from typing import Annotated, Any, Literal, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QFont, QFontMetrics
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDoubleSpinBox,
    QLabel,
    QLineEdit,
    QPushButton,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

_NONE, _NOTHING = "all", "none"
_FEWER, _FURTHER, _BUTTON_PX = "Fewer settings", "Further settings", 28
#: A box must end somewhere where its field has no bound.
_UNBOUNDED = 1e6
#: An exponent as Python writes it, with a zero in front.
_EXPONENT = re.compile(r"e(-?)\+?0*(?=\d)")


class Form(QWidget):
    """Asks for the fields of a spec that no other control asks for.

    Parameters
    ----------
    spec : type of BaseModel
        The audit's spec.
    leave_out : set of str
        Fields that the panel asks for by itself.
    folded : set of str
        Fields that stand behind a button, since few people change them.
    typed : mapping of str to str
        Numbers that are typed, since they span many powers of ten -> what it is called to leave one empty.

    Signals
    -------
    changed()
        Some value changed.
    """

    changed = Signal()

    def __init__(
        self,
        spec: type[BaseModel],
        leave_out: set[str],
        folded: AbstractSet[str] = frozenset(),
        typed: Mapping[str, str] = MappingProxyType({}),
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._spec, self._typed = spec, typed
        self._read: dict[str, Callable[[], Any]] = {}
        self._errors: dict[str, QLabel] = {}
        self._rows: dict[str, QWidget] = {}
        self.controls: dict[str, QWidget] = {}
        first, self._folded = QVBoxLayout(), QWidget()
        second = QVBoxLayout(self._folded)
        for layout in (first, second):
            layout.setContentsMargins(0, 0, 0, 0)
            layout.setSpacing(4)
        self.unfold = QPushButton()
        self.unfold.setObjectName("quick")
        self.unfold.setCheckable(True)
        self.unfold.toggled.connect(self._show_folded)
        for name, field in spec.model_fields.items():
            if name not in leave_out:
                self._add(second if name in folded else first, name, field)
        whole = QVBoxLayout(self)
        whole.setContentsMargins(0, 0, 0, 0)
        whole.addLayout(first)
        whole.addWidget(self.unfold, 0, Qt.AlignmentFlag.AlignLeft)
        whole.addWidget(self._folded)
        self._show_folded(False)
        self.unfold.setVisible(bool(folded))

    def _show_folded(self, shown: bool) -> None:
        self._folded.setVisible(shown)
        self.unfold.setText(_FEWER if shown else _FURTHER)
        # Pressed, its words are bold, and must not be cut off.
        bold = self.unfold.font()
        bold.setWeight(QFont.Weight.DemiBold)
        self.unfold.setMinimumWidth(QFontMetrics(bold).horizontalAdvance(_FURTHER) + _BUTTON_PX)

    def _add(self, layout: QVBoxLayout, name: str, field: FieldInfo) -> None:
        control, read = self._number(field, self._typed[name]) if name in self._typed else self._control(field)
        title = field.title or name
        control.setAccessibleName(title)
        control.setAccessibleDescription(field.description or "")
        control.setToolTip(field.description or "")
        self.controls[name], self._read[name] = control, read
        about = QLabel(field.description or "")
        about.setObjectName("help")
        about.setWordWrap(True)
        error = QLabel()
        error.setObjectName("alert")
        error.setWordWrap(True)
        error.setTextFormat(Qt.TextFormat.PlainText)
        error.hide()
        self._errors[name] = error
        self._rows[name] = QWidget()
        box = QVBoxLayout(self._rows[name])
        box.setSpacing(3)
        box.setContentsMargins(0, 0, 0, 8)
        if not isinstance(control, QCheckBox):
            label = QLabel(_with_unit(title, field))
            label.setBuddy(control)
            label.setWordWrap(True)
            box.addWidget(label)
        for widget in (control, error, about):
            box.addWidget(widget)
        layout.addWidget(self._rows[name])

    def _control(self, field: FieldInfo) -> tuple[QWidget, Callable[[], Any]]:
        kind, _ = _kind(field)
        if get_origin(kind) is Literal:
            return self._choice(get_args(kind), field)
        if kind is bool:
            return self._check(field)
        if kind is int:
            return self._whole(field)
        if kind is float:
            return self._decimal(field)
        if get_origin(kind) is dict:
            return self._pairs()
        return self._line(field, is_list=get_origin(kind) is tuple)

    def _choice(self, values: tuple[Any, ...], field: FieldInfo) -> tuple[QWidget, Callable[[], Any]]:
        box = QComboBox()
        box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        box.setMinimumContentsLength(10)
        for value in values:
            box.addItem(str(value).replace("_", " "), value)
        box.setCurrentIndex(values.index(field.default))
        box.currentIndexChanged.connect(self._touched)
        return box, box.currentData

    def _check(self, field: FieldInfo) -> tuple[QWidget, Callable[[], Any]]:
        box = QCheckBox(field.title or "")
        box.setChecked(bool(field.default))
        box.toggled.connect(self._touched)
        return box, box.isChecked

    def _whole(self, field: FieldInfo) -> tuple[QWidget, Callable[[], Any]]:
        box = QSpinBox()
        low, high = _bounds(field)
        low, high = int(low), int(min(high, 2**31 - 1))
        box.setGroupSeparatorShown(True)
        if field.default is None:
            # The value below the least one stands for "no limit".
            box.setRange(low - 1, high)
            box.setSpecialValueText(_NONE)
            box.setValue(low - 1)
        else:
            box.setRange(low, high)
            box.setValue(field.default)
        box.valueChanged.connect(self._touched)
        return box, lambda: None if field.default is None and box.value() < low else box.value()

    def _decimal(self, field: FieldInfo) -> tuple[QWidget, Callable[[], Any]]:
        box = QDoubleSpinBox()
        box.setDecimals(3)
        box.setSingleStep(0.01)
        low, high = _bounds(field)
        box.setRange(low if isfinite(low) else -_UNBOUNDED, high if isfinite(high) else _UNBOUNDED)
        if field.default is None:
            # The least value stands for "none": what may be left out lies between open bounds.
            box.setSpecialValueText(_NOTHING)
            box.setValue(low)
        else:
            box.setValue(field.default)
        box.valueChanged.connect(self._touched)
        return box, lambda: None if field.default is None and box.value() <= low else round(box.value(), 3)

    def _number(self, field: FieldInfo, empty: str) -> tuple[QWidget, Callable[[], Any]]:
        """A number as it is typed, such as 2e-5; whether it is one is told when the spec is checked."""
        line = QLineEdit(_typed(field.default))
        line.setPlaceholderText(empty)
        line.textChanged.connect(self._touched)
        return line, lambda: line.text().strip() or None

    def _line(self, field: FieldInfo, *, is_list: bool) -> tuple[QWidget, Callable[[], Any]]:
        line = QLineEdit(", ".join(str(part) for part in field.default) if is_list else str(field.default))
        line.setPlaceholderText(_NONE if f"Empty: {_NONE}" in (field.description or "") else "")
        line.textChanged.connect(self._touched)
        if is_list:
            return line, lambda: [part.strip() for part in line.text().split(",") if part.strip()]
        return line, line.text

    def _pairs(self) -> tuple[QWidget, Callable[[], Any]]:
        line = QLineEdit()
        line.setPlaceholderText("this = that, …")
        line.textChanged.connect(self._touched)

        def read() -> dict[str, str]:
            pairs = (part.partition("=") for part in line.text().split(",") if part.strip())
            return {left.strip(): right.strip() for left, _, right in pairs}

        return line, read

    def _touched(self, *_value: object) -> None:
        self.changed.emit()

    def set_value(self, name: str, value: Any) -> None:
        """Change what a control shows."""
        control = self.controls[name]
        if isinstance(control, QComboBox):
            control.setCurrentIndex(control.findData(value))
        elif isinstance(control, QCheckBox):
            control.setChecked(value)
        elif isinstance(control, QSpinBox):
            control.setValue(control.minimum() if value is None else int(value))
        elif isinstance(control, QDoubleSpinBox):
            control.setValue(control.minimum() if value is None else float(value))
        elif isinstance(control, QLineEdit):
            is_list = isinstance(value, (list, tuple))
            control.setText(", ".join(str(part) for part in value) if is_list else _typed(value))

    def show_field(self, name: str, shown: bool) -> None:
        """Show or hide a field; a hidden one keeps what stands in it."""
        self._rows[name].setVisible(shown)

    def values(self) -> dict[str, Any]:
        """What stands in the form, not checked."""
        return {name: read() for name, read in self._read.items()}

    def spec(self, more: Mapping[str, Any]) -> BaseModel | None:
        """The checked spec, with the fields that the panel asked for; None after showing what is wrong where."""
        for label in self._errors.values():
            label.hide()
        try:
            return self._spec.model_validate({**self.values(), **more})
        except ValidationError as error:
            for problem in error.errors():
                place = self._errors.get(str(problem["loc"][0]))
                if place is not None:
                    place.setText(problem["msg"])
                    place.show()
                    if self._folded.isAncestorOf(place):
                        self.unfold.setChecked(True)
            return None


def _typed(value: Any) -> str:
    """A value as one would type it: 3e-05 is 3e-5, and none is nothing."""
    if value is None:
        return ""
    return _EXPONENT.sub(r"e\1", str(value)) if isinstance(value, float) else str(value)


def _kind(field: FieldInfo) -> tuple[Any, list[Any]]:
    """Type of a field without None, and the rules that are written beside the type itself."""
    kinds = [kind for kind in get_args(field.annotation) if kind is not type(None)]
    kind = kinds[0] if type(None) in get_args(field.annotation) else field.annotation
    if get_origin(kind) is not Annotated:
        return kind, []
    kind, *beside = get_args(kind)
    return kind, [rule for rules in beside for rule in (rules.metadata if isinstance(rules, FieldInfo) else [rules])]


def _with_unit(title: str, field: FieldInfo) -> str:
    extra = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
    low, high = _bounds(field)
    parts = [str(extra["unit"])] if "unit" in extra else []
    if high < float("inf") and field.default is not None:
        parts.append(f"{low:,.10g} to {high:,.10g}")
    return f"{title} ({', '.join(parts)})" if parts else title


def _bounds(field: FieldInfo) -> tuple[float, float]:
    low, high = float("-inf"), float("inf")
    for rule in (*_kind(field)[1], *field.metadata):
        if isinstance(rule, Ge) and isinstance(rule.ge, (int, float)):
            low = rule.ge
        if isinstance(rule, Gt) and isinstance(rule.gt, (int, float)):
            low = rule.gt
        if isinstance(rule, Le) and isinstance(rule.le, (int, float)):
            high = rule.le
        if isinstance(rule, Lt) and isinstance(rule.lt, (int, float)):
            high = rule.lt
    return low, high
