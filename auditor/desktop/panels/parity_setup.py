"""The left part of the Parity panel: files with preview and mapping, settings, what they amount to, cost, Run."""

from typing import Any

from PySide6.QtCore import QTimer, Signal
from PySide6.QtWidgets import QFormLayout, QHBoxLayout, QSpinBox, QVBoxLayout, QWidget

from auditor.audits import parity
from auditor.desktop import theme
from auditor.desktop.panels.parity_files import ParityFiles
from auditor.desktop.session import Session
from auditor.desktop.widgets.detail import plain_label
from auditor.desktop.widgets.form import Form
from auditor.desktop.widgets.pane import ScrollPane
from auditor.desktop.widgets.run_footer import RunFooter
from auditor.errors import AuditorError

_DELAY_MS = 300
#: Asked for by the boxes of the columns and by the file choosers.
_LEFT_OUT = {"mapping", "image_folder", "attribute", "query_group"}
#: What nearly everybody decides; the rest is folded.
_FIRST = {"scale", "levels", "colour", "mode", "k", "strata", "margin"}
#: Settings by which files are read.
_READING = ("preset", "scale", "levels", "colour", "sentinels", "rank_gaps", "strata", "more_attributes")
#: How the sample is to be read, and what was declared for it.
_SAMPLE = {"scale": "ordinal", "k": 20, "margin": 0.15, "group_order": ("light", "medium", "dark")}


class ParitySetup(QWidget):
    """Asks for everything a parity run needs.

    Signals
    -------
    no_case()
        Run was pressed while no case is open.
    power_wanted(), annotation_wanted()
        Somebody wants to plan, or to annotate.
    """

    no_case = Signal()
    power_wanted = Signal()
    annotation_wanted = Signal()

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self._fits = False
        self.files = ParityFiles(session)
        self.files.changed.connect(self.refresh_check)
        self.files.sample_taken.connect(self._take_sample_settings)
        self.power = theme.icon_button("power", "Power…")
        self.power.setToolTip("How many queries and results would show a bias of a given size, before any data exist.")
        self.power.clicked.connect(self.power_wanted)
        self.annotate = theme.icon_button("tone", "Annotate…")
        self.annotate.setToolTip("Set the tones of the items by keyboard, on a sheet of query by rank.")
        self.annotate.clicked.connect(self.annotation_wanted)
        self.form = Form(parity.Spec, _LEFT_OUT, set(parity.Spec.model_fields) - _FIRST - _LEFT_OUT)
        self.form.changed.connect(self._form_changed)
        self.seed = QSpinBox()
        self.seed.setRange(0, 2**31 - 1)
        self.seed.setAccessibleName("Seed")
        self.facts = plain_label(name="help")
        self.cautions = plain_label(name="help")
        inner = QWidget()
        layout = QVBoxLayout(inner)
        layout.setContentsMargins(14, 14, 14, 14)
        layout.addWidget(self.files)
        buttons = QHBoxLayout()
        buttons.addWidget(self.annotate)
        buttons.addWidget(self.power)
        buttons.addStretch(1)
        layout.addLayout(buttons)
        self._held = plain_label("What the files hold", name="heading")
        for widget in (self._held, self.facts, self.cautions, plain_label("Settings", name="heading"), self.form):
            layout.addWidget(widget)
        seed_row = QFormLayout()
        seed_row.addRow("Seed of every random draw", self.seed)
        layout.addLayout(seed_row)
        layout.addStretch(1)
        self.footer = RunFooter()
        self.footer.wanted.connect(self.start)
        self.cost, self.run = self.footer.cost, self.footer.run
        whole = QVBoxLayout(self)
        whole.setContentsMargins(0, 0, 0, 0)
        whole.setSpacing(0)
        whole.addWidget(ScrollPane(inner), 1)
        whole.addWidget(self.footer)
        self._delay = QTimer(self, singleShot=True, interval=_DELAY_MS)
        self._delay.timeout.connect(self._ask_check)
        session.case_changed.connect(self.refresh_check)
        self._form_changed()

    def _take_sample_settings(self) -> None:
        for name, value in _SAMPLE.items():
            self.form.set_value(name, value)

    def _form_changed(self) -> None:
        values = self.form.values()
        self.form.show_field("colour", values["scale"] == "ita")
        self.form.show_field("levels", values["scale"] != "ita")
        self.refresh_check()

    def refresh_check(self) -> None:
        """Ask anew what a run would read and cost, once changes pause."""
        self._fits = False
        self._session.asker.drop("parity_check")
        self._enable()
        self._delay.start()

    def _ask_check(self) -> None:
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
        self._session.asker.ask("parity_check", asked, self._show_check, self._show_refusal)

    def settings(self) -> dict[str, Any]:
        """Every field of the spec as it stands, not checked."""
        return {**self.form.values(), **self._chosen()}

    def _chosen(self) -> dict[str, Any]:
        """Fields of the spec that the form does not ask for."""
        folder = self.files.image_folder
        return {"mapping": self.files.mapping, "image_folder": str(folder) if folder else ""}

    def _show_check(self, found: dict[str, Any]) -> None:
        self._fits = found["fits"]
        self._show_facts(found["facts"], found["cautions"])
        self.footer.show_cost(found["sentence"], fits=found["fits"])
        self._enable()

    def _show_refusal(self, sentence: str) -> None:
        self._show_facts("", [])
        self.footer.show_cost(sentence, fits=False)
        self._enable()

    def _show_facts(self, facts: str, cautions: list[str]) -> None:
        self.facts.setText(facts)
        self.cautions.setText("\n".join(f"• {caution}" for caution in cautions))
        for label in (self.facts, self.cautions):
            label.setVisible(bool(label.text()))
        self._held.setVisible(bool(facts))

    def _enable(self) -> None:
        self.footer.enable(self._fits, "Choose results that can be read, and settings that fit them, first.")
        self.annotate.setEnabled("results" in self.files.paths)

    def start(self) -> None:
        """Ask for the run."""
        if self._session.case is None:
            self.no_case.emit()
            return
        if not self.run.isEnabled():
            return
        spec = self.form.spec(self._chosen())
        if spec is None:
            return
        try:
            self._session.new_run("parity", spec.model_dump(mode="json"), self.files.paths, {}, self.seed.value())
        except AuditorError as error:
            self._session.said.emit(str(error))
