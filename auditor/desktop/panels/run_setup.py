"""The left part of an audit's panel: what a subclass asks for, settings, seed, where it runs, cost, Run."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from PySide6.QtCore import QTimer, Signal
from PySide6.QtWidgets import QFormLayout, QSpinBox, QVBoxLayout, QWidget

from auditor.desktop.panels.runs_on import RunsOn
from auditor.desktop.session import Session
from auditor.desktop.widgets.detail import plain_label
from auditor.desktop.widgets.form import Form
from auditor.desktop.widgets.pane import ScrollPane
from auditor.desktop.widgets.run_footer import RunFooter
from auditor.errors import AuditorError
from auditor.models import ModelFile
from auditor.runs.executor import LOCAL

_DELAY_MS = 300


class RunSetup(QWidget):
    """Asks for everything a run needs.

    A subclass adds its files and models to `_layout`, above the settings.

    Parameters
    ----------
    audit : str
        Name of the audit.
    form : Form
        The settings.
    seed_words : str
        What the seed is the seed of.
    why_not : str
        What must be done before Run can be pressed.

    Signals
    -------
    no_case()
        Run was pressed while no case is open.
    """

    no_case = Signal()

    def __init__(
        self,
        session: Session,
        audit: str,
        form: Form,
        seed_words: str,
        why_not: str,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._session, self._audit, self._why_not = session, audit, why_not
        self._fits = False
        #: Of the question `_ask_cost` asks: a newer one takes its place.
        self._cost_kind = f"{audit} cost"
        self.form = form
        self.seed = QSpinBox()
        self.seed.setRange(0, 2**31 - 1)
        self.seed.setAccessibleName("Seed")
        seed_row = QFormLayout()
        # A long word of what it is the seed of must not widen the part.
        seed_row.setRowWrapPolicy(QFormLayout.RowWrapPolicy.WrapLongRows)
        seed_row.addRow(seed_words, self.seed)
        self.runs_on = RunsOn(session, self)
        self.runs_on.changed.connect(self.refresh_cost)
        self._layout = QVBoxLayout()
        self._settings = QWidget()
        settings = QVBoxLayout(self._settings)
        settings.setContentsMargins(0, 0, 0, 0)
        settings.addWidget(plain_label("Settings", name="heading"))
        settings.addWidget(self.form)
        settings.addLayout(seed_row)
        inner = QWidget()
        self._inner = QVBoxLayout(inner)
        self._inner.setContentsMargins(14, 14, 14, 14)
        self._inner.addLayout(self._layout)
        self._inner.addWidget(self._settings)
        self._inner.addStretch(1)
        self.footer = RunFooter(self.runs_on)
        self.footer.wanted.connect(self.start)
        self.cost, self.run = self.footer.cost, self.footer.run
        self._whole = QVBoxLayout(self)
        self._whole.setContentsMargins(0, 0, 0, 0)
        self._whole.setSpacing(0)
        self._whole.addWidget(ScrollPane(inner), 1)
        self._whole.addWidget(self.footer)
        self._delay = QTimer(self, singleShot=True, interval=_DELAY_MS)
        self._delay.timeout.connect(self._ask_cost)
        session.case_changed.connect(self.refresh_cost)

    def order_tabs(self) -> None:
        """Let Tab go from what a subclass added to the settings and then to Run; the panel calls it."""
        # The order is that of being added, and what a subclass added came last.
        for part, layout, place in ((self._settings, self._inner, 1), (self.footer, self._whole, 1)):
            part.setParent(None)
            layout.insertWidget(place, part)

    def refresh_cost(self) -> None:
        """Ask anew what a run would cost, once changes pause; until that is known it cannot be started."""
        self._fits = False
        self._session.asker.drop(self._cost_kind)
        self._enable()
        self._delay.start()

    def _ask_cost(self) -> None:
        """Ask what a run would cost, if all it needs was chosen; `_show_cost` or `_show_refusal` takes the answer."""
        raise NotImplementedError

    def _show_cost(self, found: Mapping[str, Any]) -> None:
        """Show whether a run fits the machine that it is to run on, and a sentence about it."""
        if self.runs_on.chosen != LOCAL and "memory_bytes" in found:
            found = _elsewhere(found, self.runs_on.chosen)
        self._fits = found["fits"]
        self.footer.show_cost(found["sentence"], fits=found["fits"])
        self._enable()

    def _show_refusal(self, sentence: str) -> None:
        """Say why there can be no run."""
        self._show_cost({"fits": False, "sentence": sentence})

    def _enable(self) -> None:
        self.footer.enable(self._fits, self._why_not)

    def _chosen(self) -> dict[str, Any]:
        """Fields of the spec that the form does not ask for."""
        return {}

    def _inputs(self) -> dict[str, Path]:
        """Role -> file."""
        raise NotImplementedError

    def _run_models(self, _spec: BaseModel) -> dict[str, ModelFile] | None:
        """Role -> model; None, once that was said, if one is missing."""
        return {}

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
        models = self._run_models(spec)
        if models is None:
            return
        try:
            asked = spec.model_dump(mode="json")
            place = self.runs_on.chosen
            self._session.new_run(self._audit, asked, self._inputs(), models, self.seed.value(), executor=place)
        except AuditorError as error:
            self._session.said.emit(str(error))


def _elsewhere(found: Mapping[str, Any], place: str) -> Mapping[str, Any]:
    """What was estimated for this machine, for a run on another one: it is no reason not to start there."""
    first, _, more = str(found["sentence"]).partition("\n")
    here = f"If it ran here: {first}" if found["fits"] else "It would not fit this machine."
    sentence = f"{here} {place} looks at its own memory when the run starts there."
    return {**found, "fits": True, "sentence": f"{sentence}\n{more}".rstrip()}
