"""The left part of the Parity panel: files with preview and mapping, settings, what they amount to, cost, Run."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QHBoxLayout, QWidget

from auditor.audits import parity
from auditor.desktop import theme
from auditor.desktop.panels.parity_files import ParityFiles
from auditor.desktop.panels.run_setup import RunSetup
from auditor.desktop.session import Session
from auditor.desktop.widgets.detail import plain_label
from auditor.desktop.widgets.form import Form

_WHY_NOT = "Choose results that can be read, and settings that fit them, first."
#: Asked for by the boxes of the columns and by the file choosers.
_LEFT_OUT = {"mapping", "image_folder", "attribute", "query_group"}
#: What nearly everybody decides; the rest is folded.
_FIRST = {"scale", "levels", "colour", "mode", "k", "strata", "margin"}
#: Settings by which files are read.
_READING = ("preset", "scale", "levels", "colour", "sentinels", "rank_gaps", "strata", "more_attributes")
#: How the sample is to be read, and what was declared for it.
_SAMPLE = {"scale": "ordinal", "k": 20, "margin": 0.15, "group_order": ("light", "medium", "dark")}


class ParitySetup(RunSetup):
    """Asks for everything a parity run needs.

    Signals
    -------
    power_wanted(), annotation_wanted()
        Somebody wants to plan, or to annotate.
    """

    power_wanted = Signal()
    annotation_wanted = Signal()

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        form = Form(parity.Spec, _LEFT_OUT, set(parity.Spec.model_fields) - _FIRST - _LEFT_OUT)
        super().__init__(session, "parity", form, "Seed of every random draw", _WHY_NOT, parent)
        self.files = ParityFiles(session)
        self.files.changed.connect(self.refresh_cost)
        self.files.sample_taken.connect(self._take_sample_settings)
        self.power = theme.icon_button("power", "Power…")
        self.power.setToolTip("How many queries and results would show a bias of a given size, before any data exist.")
        self.power.clicked.connect(self.power_wanted)
        self.annotate = theme.icon_button("tone", "Annotate…")
        self.annotate.setToolTip("Set the tones of the items by keyboard, on a sheet of query by rank.")
        self.annotate.clicked.connect(self.annotation_wanted)
        self.facts = plain_label(name="help")
        self.cautions = plain_label(name="help")
        self._held = plain_label("What the files hold", name="heading")
        buttons = QHBoxLayout()
        buttons.addWidget(self.annotate)
        buttons.addWidget(self.power)
        buttons.addStretch(1)
        self._layout.addWidget(self.files)
        self._layout.addLayout(buttons)
        for widget in (self._held, self.facts, self.cautions):
            self._layout.addWidget(widget)
        self.form.changed.connect(self._form_changed)
        self._form_changed()

    def _take_sample_settings(self) -> None:
        for name, value in _SAMPLE.items():
            self.form.set_value(name, value)

    def _form_changed(self) -> None:
        values = self.form.values()
        self.form.show_field("colour", values["scale"] == "ita")
        self.form.show_field("levels", values["scale"] != "ita")
        self.refresh_cost()

    def _ask_cost(self) -> None:
        values = self.form.values()
        self.files.set_settings({name: values[name] for name in _READING})
        if not self.files.is_read:
            self._show_facts("", [])
            self.footer.show_cost("", fits=True)
            return
        self.footer.show_cost("Reading what a run would read …", fits=True)
        case = str(self._session.case.path) if self._session.case else None
        files = {role: str(path) for role, path in self.files.paths.items()}
        asked = {"files": files, "spec": self.settings(), "case": case}
        self._session.asker.ask("parity_check", asked, self._show_cost, self._show_refusal, kind=self._cost_kind)

    def settings(self) -> dict[str, Any]:
        """Every field of the spec as it stands, not checked."""
        return {**self.form.values(), **self._chosen()}

    def _chosen(self) -> dict[str, Any]:
        """Fields of the spec that the form does not ask for."""
        folder = self.files.image_folder
        return {"mapping": self.files.mapping, "image_folder": str(folder) if folder else ""}

    def _inputs(self) -> dict[str, Path]:
        return self.files.paths

    def _show_cost(self, found: Mapping[str, Any]) -> None:
        self._show_facts(found["facts"], found["cautions"])
        super()._show_cost(found)

    def _show_refusal(self, sentence: str) -> None:
        self._show_facts("", [])
        super()._show_cost({"fits": False, "sentence": sentence})

    def _show_facts(self, facts: str, cautions: list[str]) -> None:
        self.facts.setText(facts)
        self.cautions.setText("\n".join(f"• {caution}" for caution in cautions))
        for label in (self.facts, self.cautions):
            label.setVisible(bool(label.text()))
        self._held.setVisible(bool(facts))

    def _enable(self) -> None:
        super()._enable()
        self.annotate.setEnabled("results" in self.files.paths)
