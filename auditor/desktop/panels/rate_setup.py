"""The left part of the Rate panel: file with preview and mapping, model, settings, cost, Run."""

from pathlib import Path
from typing import Any

from PySide6.QtCore import QTimer, Signal
from PySide6.QtWidgets import (
    QComboBox,
    QFileDialog,
    QFormLayout,
    QFrame,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QPlainTextEdit,
    QPushButton,
    QSpinBox,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from auditor.audits import rating
from auditor.desktop import theme
from auditor.desktop.panels.rubric_choice import RubricChoice
from auditor.desktop.session import Session
from auditor.desktop.widgets.detail import plain_label
from auditor.desktop.widgets.dropzone import DropZone
from auditor.desktop.widgets.form import Form
from auditor.desktop.widgets.pane import ScrollPane
from auditor.errors import AuditorError
from auditor.models import ModelFile
from auditor.resources import resource

_COST_DELAY_MS = 300
_NOT_MAPPED = "(not in the file)"
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
        self._people: Path | None = None
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
        whole.addWidget(self._footer())
        self._delay = QTimer(self, singleShot=True, interval=_COST_DELAY_MS)
        self._delay.timeout.connect(self._ask_cost)
        session.case_changed.connect(self.refresh_cost)

    def _build_input(self) -> None:
        self._layout.addWidget(_heading("Conversations"))
        role = rating.input_roles[0]
        self.drop = DropZone("conversations", role.endings)
        self.drop.setToolTip(role.description)
        self.drop.chosen.connect(self.take_file)
        self.drop.sample_wanted.connect(lambda: self.take_file(resource("samples", "conversations.jsonl")))
        self.recognised = plain_label(role.description, name="help")
        self.problem = plain_label(name="alert")
        self.problem.hide()
        self.problems = QPlainTextEdit()
        self.problems.setReadOnly(True)
        self.problems.setAccessibleName("Records that cannot be rated")
        self.problems.setFixedHeight(96)
        self.problems.setTabChangesFocus(True)
        self.problems.hide()
        self.rows = QTableWidget(0, 0)
        self.rows.setAccessibleName("Preview of the first rows")
        self.rows.setEditTriggers(QTableWidget.EditTrigger.NoEditTriggers)
        self.rows.setFixedHeight(150)
        self.rows.setWordWrap(False)
        self.rows.setTabKeyNavigation(False)
        self.rows.verticalHeader().hide()
        self.rows.hide()
        self._mapping_frame = QFrame()
        self._mapping_layout = QFormLayout(self._mapping_frame)
        self._mapping_layout.setContentsMargins(0, 0, 0, 0)
        self._mapping_frame.hide()
        self.mapping: dict[str, QComboBox] = {}
        for widget in (self.drop, self.recognised, self.problem, self._mapping_frame, self.rows, self.problems):
            self._layout.addWidget(widget)

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
        self.people_words = plain_label(_NO_PEOPLE, name="help")
        self.choose_people = theme.icon_button("people", "Choose a file…")
        self.choose_people.setToolTip("CSV with the columns conversation_id, axis, rater, score.")
        self.choose_people.clicked.connect(self._choose_people)
        self.drop_people = theme.icon_button("remove", "Without")
        self.drop_people.setAccessibleName("Run without human ratings")
        self.drop_people.clicked.connect(lambda: self.take_people(None))
        self.drop_people.hide()
        row = QHBoxLayout()
        row.addWidget(self.choose_people)
        row.addWidget(self.drop_people)
        row.addStretch(1)
        self._layout.addWidget(self.people_words)
        self._layout.addLayout(row)

    def _choose_people(self) -> None:
        name, _ = QFileDialog.getOpenFileName(self, "Choose human ratings", "", "Human ratings (*.csv)")
        if name:
            self.take_people(Path(name))

    def take_people(self, path: Path | None) -> None:
        """Set the next run beside a file of human ratings, or beside none."""
        self._people = path
        self.people_words.setText(f"The run is set beside {path.name}." if path else _NO_PEOPLE)
        self.drop_people.setVisible(path is not None)

    def _footer(self) -> QFrame:
        # Cost and Run stay in view however far the settings are scrolled.
        self.cost = plain_label(name="help")
        self.run = QPushButton("Run")
        theme.set_icon(self.run, "run", on_accent=True)
        self.run.setObjectName("primary")
        self.run.setEnabled(False)
        self.run.clicked.connect(self.start)
        footer = QFrame()
        footer.setObjectName("footer")
        layout = QVBoxLayout(footer)
        layout.setContentsMargins(14, 8, 14, 12)
        layout.addWidget(self.cost)
        layout.addWidget(self.run)
        return footer

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
        self.problem.hide()
        self.recognised.setText(f"Reading {self._path.name if self._path else ''} …")
        self._enable()
        asked = {"audit": "rating", "role": "conversations", "path": str(self._path), "options": {"mapping": mapping}}
        self._session.asker.ask("preview", asked, self._show_preview, self._show_problem)

    def _show_problem(self, sentence: str) -> None:
        self.recognised.setText("")
        self.problem.setText(sentence)
        self.problem.show()
        for widget in (self.rows, self.problems, self._mapping_frame):
            widget.hide()
        self._enable()

    def _show_preview(self, found: dict[str, Any]) -> None:
        self._preview = found
        name = self._path.name if self._path else ""
        self.drop.words.setText(name)
        count = f"{found['n_rows']:,} conversations"
        bad = f", {found['n_problems']:,} records that cannot be rated" if found["n_problems"] else ""
        self.recognised.setText(f"{found['format']}: {count}{bad}.")
        self._show_rows(found["rows"])
        self.problems.setPlainText("\n".join(found["problems"]))
        self.problems.setVisible(bool(found["problems"]))
        self._show_mapping(found["columns"], found["mapping"])
        self._enable()
        self.refresh_cost()

    def _show_rows(self, rows: list[dict[str, str]]) -> None:
        self.rows.setVisible(bool(rows))
        names = list(rows[0]) if rows else []
        self.rows.setColumnCount(len(names))
        self.rows.setHorizontalHeaderLabels([name.capitalize() for name in names])
        self.rows.setRowCount(len(rows))
        for place, row in enumerate(rows):
            for column, name in enumerate(names):
                self.rows.setItem(place, column, QTableWidgetItem(row[name]))
        self.rows.resizeColumnsToContents()
        self.rows.horizontalHeader().setStretchLastSection(True)
        self.rows.verticalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Fixed)

    def _show_mapping(self, columns: list[str], used: dict[str, str]) -> None:
        while self._mapping_layout.rowCount():
            self._mapping_layout.removeRow(0)
        self.mapping = {}
        self._mapping_frame.setVisible(bool(columns))
        extra = rating.Spec.model_fields["mapping"].json_schema_extra
        fields = extra["fields"] if isinstance(extra, dict) else []
        for field in fields if isinstance(fields, list) and columns else []:
            box = QComboBox()
            box.setAccessibleName(f"Column for {field}")
            box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
            box.setMinimumContentsLength(8)
            box.addItem(_NOT_MAPPED, "")
            for column in columns:
                box.addItem(column, column)
            box.setCurrentIndex(max(0, box.findData(used.get(str(field), ""))))
            box.activated.connect(lambda _index: self._ask_preview(self._mapped()))
            self.mapping[str(field)] = box
            self._mapping_layout.addRow(str(field).capitalize(), box)

    def _mapped(self) -> dict[str, str]:
        return {field: box.currentData() for field, box in self.mapping.items() if box.currentData()}

    def refresh_cost(self) -> None:
        """Ask anew what a run would cost, once changes pause."""
        self._delay.start()

    def _ask_cost(self) -> None:
        model = self.model.currentData()
        self._fits = False
        self.cost.setText("")
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
        self.cost.setObjectName("help" if cost["fits"] else "alert")
        self.cost.style().unpolish(self.cost)
        self.cost.style().polish(self.cost)
        self.cost.setText(cost["sentence"])
        self._enable()

    def _show_no_fit(self, sentence: str) -> None:
        self._show_cost({"fits": False, "sentence": sentence})

    def _enable(self) -> None:
        ready = self._preview is not None and self._preview["n_rows"] > 0 and self._fits
        self.run.setEnabled(ready)
        self.run.setToolTip("" if ready else "Choose a file that can be read and a model that fits first.")

    def start(self) -> None:
        """Ask for the run."""
        if self._session.case is None:
            self.no_case.emit()
            return
        if self._path is None or not self.run.isEnabled():
            return
        model = self._models[self.model.currentData()]
        spec = self.form.spec({"model": model.name, "mapping": self._mapped()})
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
        inputs |= {"humans": self._people} if self._people else {}
        try:
            self._session.new_run("rating", spec.model_dump(mode="json"), inputs, judges, self.seed.value())
        except AuditorError as error:
            self._session.said.emit(str(error))


def _heading(text: str) -> QLabel:
    label = QLabel(text)
    label.setObjectName("heading")
    return label
