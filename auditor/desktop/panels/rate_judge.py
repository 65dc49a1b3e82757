"""What the judge said of one unit: its scores, where they come from, and its sentence, asked for if there is none."""

from collections.abc import Mapping
from typing import Any

from PySide6.QtWidgets import QPushButton, QVBoxLayout, QWidget

from auditor.desktop.session import Session
from auditor.desktop.widgets.detail import ScoreBars, plain_label
from auditor.runs.directory import RunDirectory

#: Columns of the ratings table that are shown.
SHOWN = (
    "id",
    "row",
    "axis",
    "p1",
    "p2",
    "p3",
    "p4",
    "p5",
    "expected",
    "mode",
    "entropy",
    "spread",
    "truncated_turns",
    "explanation",
)
_NOT_A_REASON = "The judge's words (not a proved reason): "


class JudgeCard(QWidget):
    """Scores and words of the judge for one row of the ratings table."""

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self._run: RunDirectory | None = None
        self._row: Mapping[str, Any] | None = None
        self.bars = ScoreBars()
        self.numbers = plain_label()
        self.words = plain_label(name="soft")
        self.explain = QPushButton("Explain")
        self.explain.setToolTip("Asks the judge model for one sentence about this score; it is kept in the case.")
        self.explain.clicked.connect(self._ask)
        self.source = plain_label(name="help")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        for widget in (self.bars, self.numbers, self.words, self.explain, self.source):
            layout.addWidget(widget)
        session.judged.connect(self._refresh_words)

    def show_row(self, run: RunDirectory, row: Mapping[str, Any]) -> None:
        """Show a row of the ratings table of a run."""
        self._run, self._row = run, row
        self.bars.show_row(row)
        spread = row.get("spread")
        between = f", {spread:.3f} between the judges" if spread is not None and spread == spread else ""
        self.numbers.setText(
            f"Expected {row['expected']:.3f}, most probable {int(row['mode'])}, entropy {row['entropy']:.3f} nats{between}"
        )
        left_out = f" {int(row['truncated_turns'])} turns were left out." if row["truncated_turns"] else ""
        # Only a single judge that was asked on a scale from 1 to 5 is read straight off its logits.
        reading = (
            "Expected = Σ i·p(i) over the digit logits after “Rating:”; of several judges or prompts, or of a scale from "
            "1 to 4, as the report's method says."
        )
        self.source.setText(f"{reading} From run {run.path.name}.{left_out}")
        self._show_words()

    def _key(self) -> tuple[str, str]:
        assert self._row is not None
        return str(int(self._row["row"])), str(self._row["axis"])

    def _refresh_words(self, run_id: str) -> None:
        if self._row is not None and self._run is not None and self._run.path.name == run_id:
            self._show_words()

    def _show_words(self, asking: str = "") -> None:
        case, run, row = self._session.case, self._run, self._row
        if run is None or row is None:
            return
        said = str(row["explanation"] or "")
        if not said and case is not None:
            said = case.explanations(run.path.name).get(self._key(), "")
        self.words.setText(_NOT_A_REASON + said if said else asking)
        self.words.setVisible(bool(self.words.text()))
        self.explain.setVisible(not said)
        self.explain.setEnabled(not asking and case is not None and case.writable)

    def _ask(self) -> None:
        run, row = self._run, self._row
        if run is None or row is None:
            return
        key = self._key()
        asked = {"run_dir": str(run.path), "row": int(row["row"]), "axis": row["axis"]}
        self._session.asker.ask(
            "explain", asked, lambda found: self._keep(run, key, found), lambda sentence: self._failed(key, sentence)
        )
        self._show_words("The judge is being asked …")

    def _keep(self, run: RunDirectory, key: tuple[str, str], found: dict[str, str]) -> None:
        unit, axis = key
        self._session.commit_judgement(
            run.path.name,
            lambda case: case.add_explanation(run.path.name, unit, axis, found["text"], model=found["model"]),
        )

    def _failed(self, key: tuple[str, str], sentence: str) -> None:
        self._session.said.emit(sentence)
        if self._row is not None and self._key() == key:
            self._show_words(sentence)
            self.explain.setEnabled(True)

    def refresh_theme(self) -> None:
        """Draw the bars in the colours of the theme."""
        self.bars.update()
