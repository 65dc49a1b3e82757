"""The left part of the Guard panel: files with preview, model, prompt, settings, what could be certified, cost, Run."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from PySide6.QtCore import Signal
from PySide6.QtWidgets import QHBoxLayout, QWidget

from auditor.audits import guard
from auditor.audits.guard.sample import SETTINGS
from auditor.desktop import theme
from auditor.desktop.panels.guard_files import GuardFiles
from auditor.desktop.panels.model_choice import ModelChoice
from auditor.desktop.panels.run_setup import RunSetup
from auditor.desktop.session import Session
from auditor.desktop.widgets.detail import plain_label
from auditor.desktop.widgets.form import Form
from auditor.models import ModelFile

_WHY_NOT = "Choose labelled queries, demonstrations and a model first."
#: Written in the page of the prompt, where there is room for several lines.
TEMPLATE = ("instruction", "demonstration", "query", "separator")
#: Asked for by other controls.
_LEFT_OUT = {"model", "mapping", *TEMPLATE}
#: What nearly everybody decides; the rest is folded.
_FIRST = {"demonstrations", "n_demonstrations", "attacks", "mixture", "epsilon", "delta"}
#: Settings by which files are read.
_READING = ("labels", "label_words", "limit")


class GuardSetup(RunSetup):
    """Asks for everything a guard run needs.

    Signals
    -------
    prompt_wanted()
        Somebody wants to see or change the prompt.
    """

    prompt_wanted = Signal()

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        form = Form(guard.Spec, _LEFT_OUT, set(guard.Spec.model_fields) - _FIRST - _LEFT_OUT)
        super().__init__(session, guard.name, form, "Seed of demonstrations, attacks and splits", _WHY_NOT, parent)
        #: The prompt's template; the page of the prompt changes it.
        self.template: dict[str, str] = {name: guard.Spec.model_fields[name].default for name in TEMPLATE}
        self.files = GuardFiles(session)
        self.files.changed.connect(self.refresh_cost)
        self.files.sample_taken.connect(self._take_sample_settings)
        self.models = ModelChoice(session, "Model whose prompt is audited", "guard models")
        self.models.changed.connect(self.refresh_cost)
        self.prompt = theme.icon_button("edit", "Prompt…")
        self.prompt.setToolTip("See the prompt as the model reads it, with token counts, and change its template.")
        self.prompt.clicked.connect(self.prompt_wanted)
        self.facts = plain_label(name="help")
        self.cautions = plain_label(name="help")
        self._held = plain_label("What a run would rest on", name="heading")
        buttons = QHBoxLayout()
        buttons.addWidget(self.prompt)
        buttons.addStretch(1)
        self._layout.addWidget(self.files)
        self._layout.addWidget(plain_label("Model", name="heading"))
        self._layout.addWidget(self.models)
        self._layout.addLayout(buttons)
        for widget in (self._held, self.facts, self.cautions):
            self._layout.addWidget(widget)
        self.form.changed.connect(self.refresh_cost)
        self.seed.valueChanged.connect(self.refresh_cost)
        self._show_facts({})
        self._enable()

    def _take_sample_settings(self) -> None:
        for name, value in SETTINGS.items():
            self.form.set_value(name, value)

    def settings(self) -> dict[str, Any]:
        """Every field of the spec as it stands, not checked."""
        return {**self.form.values(), **self._chosen()}

    def take_template(self, template: Mapping[str, str]) -> None:
        """Write prompts in another way."""
        self.template = dict(template)
        self.refresh_cost()

    def asked(self) -> dict[str, Any]:
        """What questions about a run to come are asked with."""
        files = {role: str(path) for role, path in self.files.paths.items()}
        return {"files": files, "spec": self.settings(), "model": self.models.chosen}

    def _ask_cost(self) -> None:
        values = self.form.values()
        self.files.set_settings({name: values[name] for name in _READING})
        if not self.files.is_read or self.models.chosen is None:
            self._show_facts({})
            self.footer.show_cost("", fits=True)
            return
        self.footer.show_cost("Reading what a run would read …", fits=True)
        case = str(self._session.case.path) if self._session.case else None
        asked = {**self.asked(), "case": case}
        self._session.asker.ask("guard_check", asked, self._show_cost, self._show_refusal, kind=self._cost_kind)

    def _chosen(self) -> dict[str, Any]:
        return {"model": self.models.chosen or "", "mapping": self.files.mapping, **self.template}

    def _inputs(self) -> dict[str, Path]:
        return self.files.paths

    def _run_models(self, _spec: BaseModel) -> dict[str, ModelFile] | None:
        name = self.models.chosen
        if name not in self.models.known:
            self._session.said.emit("There is no model yet: add one under Models.")
            return None
        return {"model": self.models.known[name]}

    def _show_cost(self, found: Mapping[str, Any]) -> None:
        """Beside Run stands, too, whether the run could certify anything: wherever the settings are scrolled to."""
        self._show_facts(found)
        sentences = [found["sentence"], found.get("planning", "")]
        super()._show_cost({**found, "sentence": "\n".join(sentence for sentence in sentences if sentence)})

    def _show_facts(self, found: Mapping[str, Any]) -> None:
        """What the files hold; nothing where that is not known."""
        self.facts.setText(found.get("facts", ""))
        self.cautions.setText("\n".join(f"• {caution}" for caution in found.get("cautions", ())))
        for label in (self.facts, self.cautions):
            label.setVisible(bool(label.text()))
        self._held.setVisible(bool(self.facts.text()))

    def _enable(self) -> None:
        super()._enable()
        self.prompt.setEnabled(self.files.is_read and self.models.chosen is not None)
