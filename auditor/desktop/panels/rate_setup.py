"""The left part of the Rate panel: file with preview and mapping, model, settings, cost, Run."""

from pathlib import Path
from typing import Any

from pydantic import BaseModel
from PySide6.QtWidgets import QWidget

from auditor.audits import rating
from auditor.desktop.panels.model_choice import ModelChoice
from auditor.desktop.panels.rubric_choice import RubricChoice
from auditor.desktop.panels.run_setup import RunSetup
from auditor.desktop.session import Session
from auditor.desktop.widgets.detail import plain_label
from auditor.desktop.widgets.dropzone import DropZone
from auditor.desktop.widgets.file_preview import FilePreview
from auditor.desktop.widgets.form import Form
from auditor.desktop.widgets.other_file import OtherFile
from auditor.models import ModelFile
from auditor.resources import resource

_WHY_NOT = "Choose a file that can be read and a model that fits first."
_NO_PEOPLE = "None. With a file of them the run shows agreement, and can certify from which confidence on to accept."


class RateSetup(RunSetup):
    """Asks for everything a rating run needs."""

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        form = Form(rating.Spec, {"model", "mapping"})
        super().__init__(session, "rating", form, "Seed of the bootstrap", _WHY_NOT, parent)
        self._path: Path | None = None
        self._preview: dict[str, Any] | None = None
        #: What the preview was asked for: an empty last reply can be rated as part of the whole conversation only.
        self._scope = ""
        self._build_input()
        self._build_model()
        self._build_people()
        self.form.changed.connect(self._changed)

    def _build_input(self) -> None:
        self._layout.addWidget(plain_label("Conversations", name="heading"))
        role = rating.input_roles[0]
        self.drop = DropZone("conversations", role.endings)
        self.drop.setToolTip(role.description)
        self.drop.chosen.connect(self.take_file)
        self.drop.sample_wanted.connect(lambda _name: self.take_file(resource("samples", "conversations.jsonl")))
        self.file = FilePreview(role.description, "Records that cannot be rated")
        self.file.mapped.connect(lambda: self._ask_preview(self.file.columns()))
        self._layout.addWidget(self.drop)
        self._layout.addWidget(self.file)

    def _build_model(self) -> None:
        self._layout.addWidget(plain_label("Judge", name="heading"))
        self.models = ModelChoice(self._session, "Judge model", "rate models")
        self.models.changed.connect(self.refresh_cost)
        self.model = self.models.box
        self.rubric = RubricChoice(self._session, self._judge)
        for widget in (self.models, plain_label("Rubric", name="heading"), self.rubric):
            self._layout.addWidget(widget)

    def _build_people(self) -> None:
        self._layout.addWidget(plain_label("Human ratings", name="heading"))
        self.people = OtherFile(
            "Human ratings",
            without=_NO_PEOPLE,
            given="The run is set beside {name}.",
            endings=(".csv",),
            icon="people",
            tip="CSV with the columns conversation_id, axis, rater, score.",
        )
        self._layout.addWidget(self.people)

    def refresh_models(self) -> None:
        """Read the library anew."""
        self.models.refresh()

    def _judge(self) -> dict[str, Any]:
        values = self.form.values()
        variant = next(iter(values.get("variants", ())), "5")
        return {
            "model": self.model.currentData(),
            "scope": values["scope"],
            "n_ctx": values["n_ctx"],
            "variant": variant,
        }

    def take_file(self, path: Path) -> None:
        """Read a file and show what it turned out to be."""
        self._path = path
        self._ask_preview({})

    def _changed(self) -> None:
        if self._path is not None and self._preview is not None and self.form.values()["scope"] != self._scope:
            self._ask_preview(self.file.columns())
        self.refresh_cost()

    def _ask_preview(self, mapping: dict[str, str]) -> None:
        self._preview = None
        self._scope = self.form.values()["scope"]
        self.file.show_reading(self._path.name if self._path else "")
        self._enable()
        options = {"mapping": mapping, "scope": self._scope}
        asked = {"audit": "rating", "role": "conversations", "path": str(self._path), "options": options}
        self._session.asker.ask("preview", asked, self._show_preview, self._show_problem, kind="rate preview")

    def _show_problem(self, sentence: str) -> None:
        self.file.clear("")
        self.file.show_problem(sentence)
        self._enable()

    def _show_preview(self, found: dict[str, Any]) -> None:
        self._preview = found
        self.drop.words.setText(self._path.name if self._path else "")
        n, n_bad = found["n_rows"], found["n_problems"]
        count = f"{n:,} conversation{'s' if n != 1 else ''}"
        bad = f", {n_bad:,} record{'s' if n_bad != 1 else ''} that cannot be rated" if n_bad else ""
        names = {field: field.capitalize() for field in found["fields"]}
        self.file.show_found(found, f"{found['format']}: {count}{bad}. {found['unread']}".rstrip(), names)
        self.refresh_cost()

    def _ask_cost(self) -> None:
        model = self.model.currentData()
        self.footer.show_cost("", fits=True)
        if model is None or self._preview is None or not self._preview["n_rows"]:
            return
        values = self.form.values()
        units = min(self._preview["n_rows"], values["limit"] or self._preview["n_rows"])
        case = str(self._session.case.path) if self._session.case else None
        asked = {
            "model": model,
            "n_ctx": values["n_ctx"],
            "units": units,
            "case": case,
            "audit": "rating",
            "spec": values,
        }
        self._session.asker.ask("cost", asked, self._show_cost, self._show_refusal, kind=self._cost_kind)

    def _enable(self) -> None:
        # A preview that is being read anew may hold nothing to rate.
        ready = self._preview is not None and self._preview["n_rows"] > 0 and self._fits
        self.footer.enable(ready, self._why_not)

    def _chosen(self) -> dict[str, Any]:
        return {"model": self.model.currentData(), "mapping": self.file.columns()}

    def _inputs(self) -> dict[str, Path]:
        files = {"conversations": self._path, "rubric": self.rubric.path, "humans": self.people.path}
        return {role: path for role, path in files.items() if path is not None}

    def _run_models(self, spec: BaseModel) -> dict[str, ModelFile] | None:
        asked = spec.model_dump()
        roles = {"judge": asked["model"]}
        roles |= {f"judge-{number}": name for number, name in enumerate(asked["more_models"], start=2)}
        for name in roles.values():
            if name not in self.models.known:
                self._session.said.emit(f"There is no judge named {name} in the library: see Models.")
                return None
        return {role: self.models.known[name] for role, name in roles.items()}
