"""The left part of the Unlearn panel: files with preview, model, method, prompt, settings, what a run rests on, cost, Run."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from PySide6.QtWidgets import QFileDialog, QHBoxLayout, QLabel, QWidget

from auditor.audits import unlearning
from auditor.audits.unlearning import sample
from auditor.audits.unlearning.words import LEARNT
from auditor.desktop import theme
from auditor.desktop.panels.model_choice import ModelChoice
from auditor.desktop.panels.run_setup import RunSetup
from auditor.desktop.panels.unlearn_files import UnlearnFiles
from auditor.desktop.panels.unlearn_method import LEARN, PDU_FIELDS, MethodChoice
from auditor.desktop.session import Session
from auditor.desktop.widgets.detail import plain_label
from auditor.desktop.widgets.form import Form
from auditor.desktop.widgets.growing_text import GrowingText
from auditor.models import ModelFile
from auditor.models.starter import NAME as STARTER
from auditor.runs.executor import LOCAL

_WHY_NOT = "Choose what to forget, what to keep and a model first."
_FIRST_LEARN = "No model has learnt the sample's facts yet: take its first step, run it, and press “Use the model”."
#: Asked for by other controls.
_LEFT_OUT = {"model", "reference_model", "mapping", "prompt", "method", "settings", *PDU_FIELDS}
#: What nearly everybody decides; the rest is folded.
_FIRST = {"epsilon", "epochs", "batch_size", "learning_rate", "lora_rank"}
#: Numbers of many powers of ten -> what it is called to leave one empty.
_TYPED = {"epsilon": "auto", "learning_rate": "", "relearn_rate": "the run's own"}
#: What means nothing where nothing is forgotten.
_OF_FORGETTING = (
    *("epsilon", "below_start", "probe_steps", "probe_examples", "new_tokens", "most_probability", "most_lost"),
    *("gguf", "quantised", "relearn_steps", "relearn_items", "relearn_rate"),
)


class UnlearnSetup(RunSetup):
    """Asks for everything an unlearning run needs."""

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        form = Form(unlearning.Spec, _LEFT_OUT, set(unlearning.Spec.model_fields) - _FIRST - _LEFT_OUT, _TYPED)
        words = "Seed of the data's order, adapters and intervals"
        super().__init__(session, unlearning.name, form, words, _WHY_NOT, parent)
        self.files = UnlearnFiles(session)
        self.files.sample_taken.connect(self._take_sample_settings)
        self._build_models()
        self.method = MethodChoice()
        self.prompt = GrowingText("Prompt", least=2, most=8)
        self.prompt.setPlainText(_default("prompt"))
        self.facts = plain_label(name="help")
        self.cautions = plain_label(name="help")
        self._held = plain_label("What a run would rest on", name="heading")
        prompt = QLabel("Prompt")
        prompt.setBuddy(self.prompt)
        for widget in (
            *(self.files, plain_label("Start model", name="heading"), self.models, self._buttons),
            *(self._reference_words, self.reference),
            *(plain_label("Method", name="heading"), self.method),
            *(prompt, self.prompt, plain_label(unlearning.Spec.model_fields["prompt"].description or "", name="help")),
            *(self._held, self.facts, self.cautions),
        ):
            self._layout.addWidget(widget)
        for signal in (self.files.changed, self.form.changed, self.models.changed, self.reference.changed):
            signal.connect(self.refresh_cost)
        self.method.changed.connect(self._method_changed)
        self.prompt.textChanged.connect(self.refresh_cost)
        self.seed.valueChanged.connect(self.refresh_cost)
        self._show_facts({})
        self._method_changed()

    def _build_models(self) -> None:
        self.models = ModelChoice(self._session, "Start model", "unlearning models")
        self.folder = theme.icon_button("add", "Add a folder…")
        self.folder.setToolTip(
            "Add the folder of a transformers model (config, tokenizer, safetensors) to the library; it is used where it lies."
        )
        self.folder.clicked.connect(self._choose_folder)
        self._buttons = QWidget()
        row = QHBoxLayout(self._buttons)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self.folder)
        row.addStretch(1)
        field = unlearning.Spec.model_fields["reference_model"]
        self._reference_words = plain_label(field.title or "")
        self.reference = ModelChoice(self._session, field.title or "", "unlearning references", without="None")
        self.reference.setToolTip(field.description or "")
        self.models.listed.connect(self.reference.show_models)

    def _choose_folder(self) -> None:
        name = QFileDialog.getExistingDirectory(self, "Add the folder of a model")
        if name:
            self.add_folder(Path(name))

    def add_folder(self, path: Path) -> None:
        """Add the folder of a model to the library and start from it; what is wrong with it is said."""
        self.models.say(f"Reading {path.name} …")
        asked = {"path": str(path), "copy": False}
        self._session.asker.ask("models_add", asked, self._added, self.models.say, kind="unlearning add")

    def _added(self, model: Mapping[str, Any]) -> None:
        self.models.select(model["name"])
        self.models.refresh()

    def _take_sample_settings(self) -> None:
        """Settings of a step of the sample, and the model that it begins with."""
        is_learning = self.files.step == LEARN
        settings = sample.LEARN if is_learning else sample.UNLEARN
        self.method.set_values(settings)
        for name in settings.keys() & self.form.controls.keys():
            self.form.set_value(name, settings[name])
        self.prompt.setPlainText(_default("prompt"))
        if is_learning:
            self.models.select(STARTER)
        elif self.learnt is not None:
            self.models.select(self.learnt)
        else:
            self._session.said.emit(_FIRST_LEARN)

    @property
    def learnt(self) -> str | None:
        """A model of the library that has learnt the sample's facts: the one that is chosen, else the newest."""
        known = self.models.known.items()
        names = [name for name, model in known if model.is_starter and model.trained_from and LEARNT in name]
        return self.models.chosen if self.models.chosen in names else next(reversed(names), None)

    def _method_changed(self) -> None:
        unlearns = self.method.chosen != LEARN
        for name in (name for name in _OF_FORGETTING if name in self.form.controls):
            self.form.show_field(name, unlearns)
        for widget in (self._reference_words, self.reference):
            widget.setVisible(unlearns)
        self.files.show_reference(unlearns)
        self.refresh_cost()

    def settings(self) -> dict[str, Any]:
        """Every field of the spec as it stands, not checked."""
        return {**self.form.values(), **self._chosen()}

    def _chosen(self) -> dict[str, Any]:
        reference = self.reference.chosen if self.method.chosen != LEARN else None
        return {
            "model": self.models.chosen or "",
            "reference_model": reference or "",
            "mapping": self.files.mapping,
            "prompt": self.prompt.toPlainText(),
            **self.method.values(),
        }

    def _inputs(self) -> dict[str, Path]:
        return self.files.paths

    def _run_models(self, _spec: BaseModel) -> dict[str, ModelFile] | None:
        wanted = {"model": self.models.chosen, "reference": self._chosen()["reference_model"] or None}
        found = {role: self.models.known[name] for role, name in wanted.items() if name in self.models.known}
        if "model" not in found:
            self._session.said.emit("There is no model yet: add one under Models.")
            return None
        return found

    def _ask_cost(self) -> None:
        if not self.files.is_read or self.models.chosen is None:
            self._show_facts({})
            self.footer.show_cost("", fits=True)
            return
        self.footer.show_cost("Reading what a run would read …", fits=True)
        asked = {
            "files": {role: str(path) for role, path in self.files.paths.items()},
            "spec": self.settings(),
            "model": self.models.chosen,
            "case": str(self._session.case.path) if self._session.case else None,
            "seed": self.seed.value(),
            "elsewhere": self.runs_on.chosen != LOCAL,
        }
        self._session.asker.ask("unlearning_check", asked, self._show_cost, self._show_refusal, kind=self._cost_kind)

    def _show_cost(self, found: Mapping[str, Any]) -> None:
        self._show_facts(found)
        super()._show_cost(found)

    def _show_facts(self, found: Mapping[str, Any]) -> None:
        """What the files hold; nothing where that is not known."""
        self.facts.setText(found.get("facts", ""))
        self.cautions.setText("\n".join(f"• {caution}" for caution in found.get("cautions", ())))
        for label in (self.facts, self.cautions):
            label.setVisible(bool(label.text()))
        self._held.setVisible(bool(self.facts.text()))


def _default(name: str) -> str:
    return str(unlearning.Spec.model_fields[name].default)
