"""How a model is made to forget: the method, what it is, and its settings as they were published."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, get_args

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QComboBox, QVBoxLayout, QWidget

from auditor.audits import unlearning
from auditor.audits.unlearning.objective_settings import PduSettings
from auditor.audits.unlearning.spec import BASELINES
from auditor.desktop.widgets.detail import plain_label
from auditor.desktop.widgets.form import Form

PDU, LEARN = "pdu", "learn"
_TITLES: Mapping[str, str] = MappingProxyType(
    {
        PDU: "PDU (constrained)",
        "grad_ascent": "Gradient ascent",
        "grad_diff": "Gradient difference",
        "npo": "NPO",
        "simnpo": "SimNPO",
        "rmu": "RMU",
        "idk_dpo": "IDK-DPO",
        "undial": "UNDIAL",
        LEARN: "Learn (nothing is forgotten)",
    }
)
_ABOUT_LEARN = "The model is fine-tuned on both files, so that there is something to forget in a later run."
#: Fields of the spec that only pdu has; the later ones are folded.
PDU_FIELDS = (
    *("gamma", "lambda_start", "dual_step", "dual_warmup_epochs"),
    *("lambda_cap", "dual_updates", "parity"),
)
_FOLDED = frozenset(PDU_FIELDS[4:])


class MethodChoice(QWidget):
    """Asks for a method and its settings.

    Signals
    -------
    changed()
        Another method, or another setting.
    """

    changed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        field = unlearning.Spec.model_fields["method"]
        self.box = QComboBox()
        self.box.setAccessibleName(field.title or "")
        self.box.setAccessibleDescription(field.description or "")
        self.box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.box.setMinimumContentsLength(10)
        for name in get_args(field.annotation):
            self.box.addItem(_TITLES[name], name)
        self.about = plain_label(name="help")
        self.forms = {PDU: _pdu_form(), **{name: Form(kind, set()) for name, kind in BASELINES.items()}}
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.box)
        layout.addWidget(self.about)
        for form in self.forms.values():
            form.changed.connect(self.changed)
            layout.addWidget(form)
        self.box.currentIndexChanged.connect(lambda _index: self._chose())
        self._show_method()

    @property
    def chosen(self) -> str:
        """Name of the method."""
        return str(self.box.currentData())

    def _chose(self) -> None:
        self._show_method()
        self.changed.emit()

    def _show_method(self) -> None:
        self.about.setText(_about(self.chosen))
        for name, form in self.forms.items():
            form.setVisible(name == self.chosen and bool(form.controls))

    def values(self) -> dict[str, Any]:
        """Fields of the spec: the method, and what was set otherwise than published."""
        values: dict[str, Any] = {"method": self.chosen, "settings": {}}
        if self.chosen == PDU:
            return values | self.forms[PDU].values()
        if self.chosen in BASELINES:
            known = BASELINES[self.chosen].model_fields
            asked = self.forms[self.chosen].values()
            values["settings"] = {name: value for name, value in asked.items() if value != known[name].default}
        return values

    def set_values(self, values: Mapping[str, Any]) -> None:
        """Show a method and settings of pdu; other fields of the spec are passed over."""
        if "method" in values:
            self.box.setCurrentIndex(self.box.findData(values["method"]))
        for name in (name for name in PDU_FIELDS if name in values):
            self.forms[PDU].set_value(name, values[name])


def _pdu_form() -> Form:
    others = set(unlearning.Spec.model_fields) - set(PDU_FIELDS)
    return Form(unlearning.Spec, others, _FOLDED, {"gamma": "balanced"})


def _about(method: str) -> str:
    """What a method is, as its settings say it."""
    if method == LEARN:
        return _ABOUT_LEARN
    kind = PduSettings if method == PDU else BASELINES[method]
    return (kind.__doc__ or "").strip().partition("\n")[0]
