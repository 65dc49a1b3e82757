"""The left part of the Rate panel: file with preview and mapping, model, settings, cost, Run."""

from pathlib import Path
from typing import Any

from PySide6.QtCore import QTimer, Signal
from PySide6.QtWidgets import (
    QComboBox,
    QFormLayout,
    QLabel,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from auditor.audits import rating
from auditor.desktop.panels.rubric_choice import RubricChoice
from auditor.desktop.session import Session
from auditor.desktop.widgets.detail import plain_label
from auditor.desktop.widgets.dropzone import DropZone
from auditor.desktop.widgets.file_preview import FilePreview
from auditor.desktop.widgets.form import Form
from auditor.desktop.widgets.other_file import OtherFile
from auditor.desktop.widgets.pane import ScrollPane
from auditor.desktop.widgets.run_footer import RunFooter
from auditor.errors import AuditorError
from auditor.models import ModelFile
from auditor.resources import resource

_COST_DELAY_MS = 300
_NO_PEOPLE = "None. With a file of them the run shows agreement, and can certify from which confidence on to accept."


class RateSetup(QWidget):
    """Asks for everything a rating run needs.

    Signals
    -------
    no_case()
        Run was pressed while no case is open.
    """

    no_case = Signal()

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self._path: Path | None = None
        self._preview: dict[str, Any] | None = None
        self._models: dict[str, ModelFile] = {}
        self._fits = False
        inner = QWidget()
        self._layout = QVBoxLayout(inner)
        self._layout.setContentsMargins(14, 14, 14, 14)
        self._build_input()
        self._build_model()
        self._build_people()
        self.form = Form(rating.Spec, {"model", "mapping"})
        self.form.changed.connect(self.refresh_cost)
        self._layout.addWidget(_heading("Settings"))
        self._layout.addWidget(self.form)
        self.seed = QSpinBox()
        self.seed.setRange(0, 2**31 - 1)
        self.seed.setAccessibleName("Seed")
        seed_row = QFormLayout()
        seed_row.addRow("Seed of the bootstrap", self.seed)
        self._layout.addLayout(seed_row)
        self._layout.addStretch(1)
        whole = QVBoxLayout(self)
        whole.setContentsMargins(0, 0, 0, 0)
        whole.setSpacing(0)
        whole.addWidget(ScrollPane(inner), 1)
        self.footer = RunFooter()
        self.footer.wanted.connect(self.start)
        self.cost, self.run = self.footer.cost, self.footer.run
        whole.addWidget(self.footer)
        self._delay = QTimer(self, singleShot=True, interval=_COST_DELAY_MS)
        self._delay.timeout.connect(self._ask_cost)
        session.case_changed.connect(self.refresh_cost)

    def _build_input(self) -> None:
        self._layout.addWidget(_heading("Conversations"))
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
        self._layout.addWidget(_heading("Judge"))
        self.model = QComboBox()
        self.model.setAccessibleName("Judge model")
        self.model.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.model.setMinimumContentsLength(10)
        self.model.currentIndexChanged.connect(self.refresh_cost)
        self.model_words = plain_label(name="help")
        self.model_words.hide()
        self.rubric = RubricChoice(self._session, self._judge)
        for widget in (self.model, self.model_words, _heading("Rubric"), self.rubric):
            self._layout.addWidget(widget)

    def _build_people(self) -> None:
        self._layout.addWidget(_heading("Human ratings"))
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
        self._session.asker.ask("models_list", {}, self._show_models, self._model_problem, kind="rate models")

    def _show_models(self, models: list[dict[str, Any]]) -> None:
        kept = self.model.currentData()
        self._models = {m["name"]: ModelFile.model_validate({k: v for k, v in m.items() if k != "fit"}) for m in models}
        self.model.blockSignals(True)
        self.model.clear()
        for name, model in self._models.items():
            self.model.addItem(f"{name} ({model.architecture} {model.quantisation})", name)
        self.model.setCurrentIndex(max(0, self.model.findData(kept)))
        self.model.blockSignals(False)
        self._model_problem("")
        if not models:
            self._model_problem("There is no model yet: add a GGUF file under Models.")
        self.refresh_cost()

    def _model_problem(self, sentence: str) -> None:
        self.model_words.setText(sentence)
        self.model_words.setVisible(bool(sentence))

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

    def _ask_preview(self, mapping: dict[str, str]) -> None:
        self._preview = None
        self.file.show_reading(self._path.name if self._path else "")
        self._enable()
        asked = {"audit": "rating", "role": "conversations", "path": str(self._path), "options": {"mapping": mapping}}
        self._session.asker.ask("preview", asked, self._show_preview, self._show_problem, kind="rate preview")

    def _show_problem(self, sentence: str) -> None:
        self.file.clear("")
        self.file.show_problem(sentence)
        self._enable()

    def _show_preview(self, found: dict[str, Any]) -> None:
        self._preview = found
        self.drop.words.setText(self._path.name if self._path else "")
        count = f"{found['n_rows']:,} conversations"
        bad = f", {found['n_problems']:,} records that cannot be rated" if found["n_problems"] else ""
        extra = rating.Spec.model_fields["mapping"].json_schema_extra
        fields = extra["fields"] if isinstance(extra, dict) else []
        names = {str(field): str(field).capitalize() for field in (fields if isinstance(fields, list) else [])}
        self.file.show_found(found, f"{found['format']}: {count}{bad}.", names)
        self._enable()
        self.refresh_cost()

    def refresh_cost(self) -> None:
        """Ask anew what a run would cost, once changes pause."""
        self._delay.start()

    def _ask_cost(self) -> None:
        model = self.model.currentData()
        self._fits = False
        self.footer.show_cost("", fits=True)
        if model is None or self._preview is None or not self._preview["n_rows"]:
            self._enable()
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
        self._session.asker.ask("cost", asked, self._show_cost, self._show_no_fit)

    def _show_cost(self, cost: dict[str, Any]) -> None:
        self._fits = cost["fits"]
        self.footer.show_cost(cost["sentence"], fits=cost["fits"])
        self._enable()

    def _show_no_fit(self, sentence: str) -> None:
        self._show_cost({"fits": False, "sentence": sentence})

    def _enable(self) -> None:
        ready = self._preview is not None and self._preview["n_rows"] > 0 and self._fits
        self.footer.enable(ready, "Choose a file that can be read and a model that fits first.")

    def start(self) -> None:
        """Ask for the run."""
        if self._session.case is None:
            self.no_case.emit()
            return
        if self._path is None or not self.run.isEnabled():
            return
        model = self._models[self.model.currentData()]
        spec = self.form.spec({"model": model.name, "mapping": self.file.columns()})
        if spec is None:
            return
        judges = {"judge": model}
        for number, name in enumerate(spec.model_dump()["more_models"], start=2):
            if name not in self._models:
                self._session.said.emit(f"There is no judge named {name} in the library: see Models.")
                return
            judges[f"judge-{number}"] = self._models[name]
        rubric = self.rubric.path
        inputs = {"conversations": self._path} | ({"rubric": rubric} if rubric else {})
        inputs |= {"humans": self.people.path} if self.people.path else {}
        try:
            self._session.new_run("rating", spec.model_dump(mode="json"), inputs, judges, self.seed.value())
        except AuditorError as error:
            self._session.said.emit(str(error))


def _heading(text: str) -> QLabel:
    label = QLabel(text)
    label.setObjectName("heading")
    return label
