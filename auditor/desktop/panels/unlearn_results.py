"""The middle of the Unlearn panel: verdict in words, pictures, answers side by side, measures, steps, files; live or finished."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QMenu, QWidget

from auditor.audits.unlearning.words import counted, nats, nats_apart
from auditor.desktop import theme
from auditor.desktop.panels.run_results import RunResults
from auditor.desktop.panels.unlearn_exports import UnlearnExports
from auditor.desktop.panels.unlearn_live import LiveTraining
from auditor.desktop.session import Session
from auditor.desktop.widgets.columns import Numbers, Texts
from auditor.desktop.widgets.table import Table
from auditor.desktop.widgets.verdict import Tone
from auditor.runs.contract import RunState
from auditor.runs.directory import RunDirectory
from auditor.runs.executor import RunStatus

if TYPE_CHECKING:
    from collections.abc import Collection

_EMPTY = (
    "Drop what a model is to forget, choose what it must keep and the model, and press Run. The run shows forgetting against "
    "retention while it trains, then how much is still known, however it is asked, and writes the model and an evidence report; "
    "it is no proof of deletion. To see how it works, press “Use the sample”."
)
_ABOUT_PAUSE = (
    "Stop after the present step and write down everything that the next one needs: Resume goes on exactly from there. Meanwhile "
    "the memory is free for others. What is just being measured is measured anew then."
)
#: Tables of a run that the tabs show: tab, and what an empty filter says.
_TABLES = {
    "examples": ("Answers", "Filter: text, or kind is forget; probability_after > 0.05; several with ;"),
    "other_ways": ("Other ways", "Filter: text, or probability_after > 0.05; several with ;"),
    "metrics": ("Measures", "Filter: text, or after > 0.5; several with ;"),
    "training": ("Steps", "Filter: text, or retain_loss > 0.1; several with ;"),
    "relearning": ("Relearning", "Filter: text, or forget_probability > 0.05; several with ;"),
    "overlaps": ("Overlaps", "Filter: text, or share > 0.5; several with ;"),
}
#: Columns that are looked at first, however the tables order them.
_FIRST = {
    "examples": (
        *("kind", "question", "probability_before", "probability_after", "generated_before", "generated_after"),
        "answer",
    ),
    "other_ways": ("kind", "probability_before", "probability_after", "prompt", "generated_after", "answer"),
    "metrics": ("measure", "before", "after", "after_low", "after_high", "n", "unavailable"),
    "training": ("step", "epoch", "forget_loss", "retain_loss", "epsilon", "lambda", "learning_rate"),
}
_DECIMALS = {"learning_rate": 8}
_PROBABILITY_DECIMALS = 4


class UnlearnResults(RunResults):
    """What came out of one unlearning run.

    Signals
    -------
    example_selected(object)
        (kind, row of its file) of the example that was selected, None for none.
    file_selected(object)
        What the findings say of the file that was selected, None for none.
    use_wanted(str)
        Somebody wants a file that the run has made in the library: its name in the run.
    """

    example_selected = Signal(object)
    file_selected = Signal(object)
    use_wanted = Signal(str)

    tones: ClassVar[Mapping[str, Tone]] = {
        **RunResults.tones,
        "forgotten by these measures": "good",
        "learnt": "good",
        "not forgotten": "alert",
        "retention lost": "alert",
        "not learnt": "alert",
    }

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        pause, stop = theme.icon_button("pause", "Pause"), theme.icon_button("stop", "Cancel")
        use = theme.icon_button("models", "Use the model")
        super().__init__(session, "unlearning", _EMPTY, (pause, stop, use), parent)
        self.pause, self.stop, self.use = pause, stop, use
        self._is_pausing = False
        self.pause.setToolTip(_ABOUT_PAUSE)
        self.pause.clicked.connect(self._pause)
        self.stop.clicked.connect(self._stop)
        self.menu = QMenu(self.use)
        self.use.setMenu(self.menu)
        self.live = LiveTraining()
        self.exports = UnlearnExports()
        self.exports.selected.connect(self.file_selected)
        self.tables = {name: Table(title) for name, (title, _) in _TABLES.items()} | self.exports.tables
        for name, (_, words) in _TABLES.items():
            self.tables[name].filter.setPlaceholderText(words)
        for name in ("examples", "other_ways"):
            self.tables[name].selected.connect(partial(self._select, name))
        self._add_tab(self.live, "So far", live=True, finished=False)
        self._add_tab(self.pictures, "Pictures")
        for name, (title, _) in _TABLES.items():
            self._add_tab(self.tables[name], title)
        self._add_tab(self.exports, "Files")
        self.show_empty()

    # ---- under way

    def show_live(self, run: RunDirectory) -> None:
        """Begin to show a run that is under way; its figures settle as it goes."""
        super().show_live(run)
        self.live.begin(str(run.spec().spec.get("method", "pdu")))

    def _take_live(self, events: Sequence[Mapping[str, Any]]) -> None:
        self.live.take_events(events)

    def show_status(self, status: RunStatus) -> None:
        """Say where an unfinished run stands, and what can be done with it."""
        self._is_pausing = self._is_pausing and status.state.is_live
        super().show_status(status)
        if status.is_paused:
            self.card.show_state("paused")
        elif self._is_pausing:
            self.card.show_state("pausing")
        self.stop.setVisible(status.state.is_live)
        # What computes elsewhere can only be cancelled.
        self.pause.setVisible(status.state.is_live and not self._on_place)
        # Before that nobody is there who could be asked.
        self.pause.setEnabled(status.state is RunState.RUNNING and not self._is_pausing)

    def _pause(self) -> None:
        if self.run is not None:
            self._is_pausing = True
            self.pause.setEnabled(False)
            self.card.show_state("pausing")
            self._session.pause(self.run.path, self._not_paused)

    def _not_paused(self, sentence: str) -> None:
        self._is_pausing = False
        self._session.said.emit(sentence)

    def _stop(self) -> None:
        if self.run is not None:
            self._session.cancel(self.run.path)

    def _show_unfinished(self, status: RunStatus) -> None:
        where = self.live.where
        if status.state.is_live:
            self.verdict.setText(self._live_words(status))
        else:
            words = status.message or f"{status.state.value.capitalize()}."
            self.verdict.setText(f"{words} The training stands at {where}." if where else words)
        self.card.show_facts(self.live.sentence)
        # Nothing to draw: the curves would be empty frames.
        self._set_tabs_shown(status.state.is_live or self.live.has_steps)

    def _live_words(self, status: RunStatus) -> str:
        words, live = status.message or "Working", self.live
        if words.startswith("epoch "):
            told = f"Training: {live.where}{live.left_words()}" if live.where else "Training"
        else:
            told = f"{words}: {status.done:,} of {status.total:,}" if status.total else words
        return f"{told}. It stops after what it is at." if self._is_pausing else f"{told} …"

    # ---- finished

    def show_empty(self) -> None:
        """Say what to do."""
        self._is_pausing = False
        self.exports.clear()
        super().show_empty()

    def _facts(self, findings: Mapping[str, Any]) -> str:
        return _facts(findings)

    def _load_tables(self, run: RunDirectory, tables: Mapping[str, Table]) -> None:
        self._show_there(tables)
        super()._load_tables(run, tables)

    def _show_there(self, there: "Collection[str]") -> None:
        """Tabs of the tables that the run has; those without a row have nothing to show."""
        self.exports.show_there(there)
        for name in _TABLES:
            self.tabs.setTabVisible(self.tabs.indexOf(self.tables[name]), name in there)

    def _show_found(self, run: RunDirectory) -> None:
        findings = run.findings()
        self.exports.show_found(findings)
        self.menu.clear()
        surviving = {file["name"]: int(file["survivors"]) for file in findings.get("files") or ()}
        for made in findings["exports"]:
            is_folder = made["kind"].startswith("folder")
            words = "Start another run from it" if is_folder else "Rate with it as a judge"
            # A file that knows more than the model it was made of is not to be taken for one that has forgotten.
            n = surviving.get(made["name"], 0)
            told = f": {counted(n, 'answer', 'answers')} to forget not forgotten in it" if n else ""
            self.menu.addAction(f"{words} ({made['kind']}){told}", partial(self.use_wanted.emit, made["name"]))
        if not any(made["kind"].startswith("GGUF") for made in findings["exports"]):
            self.menu.addAction("Rate with it as a judge: the run has written no GGUF file").setEnabled(False)
        self.use.setVisible(bool(findings["exports"]))

    def _show_table(self, name: str, columns: list[Numbers | Texts]) -> None:
        for column in columns:
            if isinstance(column, Numbers):
                is_probability = "probability" in column.name
                column.decimals = _DECIMALS.get(
                    column.name, _PROBABILITY_DECIMALS if is_probability else column.decimals
                )
        first = {wanted: place for place, wanted in enumerate(_FIRST.get(name, ()))}
        super()._show_table(name, sorted(columns, key=lambda column: first.get(column.name, len(first))))
        self.is_whole = name == "examples" or self.is_whole

    def _select(self, table: str, shown: int) -> None:
        model = self.tables[table].model
        if not 0 <= shown < model.rowCount():
            self.example_selected.emit(None)
            return
        kind = "forget" if table == "other_ways" else str(model.value(shown, "kind"))
        self.example_selected.emit((kind, int(model.value(shown, "row"))))

    def refresh_theme(self) -> None:
        """Draw the pictures in the colours of the theme."""
        super().refresh_theme()
        self.live.update()


def _facts(findings: Mapping[str, Any]) -> str:
    """What the verdict rests on, in a line or two."""
    data, training, constraint = findings["data"], findings["training"], findings["constraint"]
    sizes = (
        f"{data['n_forget']:,} to forget, {data['n_retain']:,} to keep, {data['n_holdout']:,} never learnt, "
        f"{counted(data['n_probes'], 'probe', 'probes')}"
    )
    parts = [
        f"Model {findings['model_name']} ({findings['model_sha256'][:12]}…), {findings['method']} in {findings['dtype']}",
        sizes,
        _steps(training),
    ]
    if constraint is not None:
        after, epsilon = nats_apart(constraint["retain_loss_after"], constraint["epsilon"])
        parts.append(f"retain loss {nats(constraint['retain_loss_before'])} before, {after} after, epsilon {epsilon}")
        if constraint["lambda_final"] is not None:
            parts.append(f"lambda {constraint['lambda_final']:.4g} at the end")
    told = f"{' · '.join(parts)} · seed {findings['provenance']['seed']}."
    return f"{told}\nTo make it forget, press “Use the model”." if findings["method"] == "learn" else told


def _steps(training: Mapping[str, Any]) -> str:
    kept = "" if training["kept_step"] == training["steps"] else f", those of step {training['kept_step']:,} kept"
    adapters = f" of adapters of rank {training['lora_rank']:,}" if training["lora_rank"] else ""
    return f"{counted(training['steps'], 'step', 'steps')}{adapters}{kept}"
