"""The middle of the Rate panel: verdict in words, then pictures, then the table of ratings, live or finished."""

from collections.abc import Mapping, Sequence
from typing import Any

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QWidget

from auditor.audits.rating.ensemble import merged
from auditor.audits.rating.spec import RatingSpec as Spec
from auditor.audits.rating.variants import MergeRule
from auditor.desktop import theme
from auditor.desktop.panels.rate_people import RatePeople
from auditor.desktop.panels.run_results import RunResults
from auditor.desktop.session import Session
from auditor.desktop.widgets.columns import Numbers, Texts
from auditor.desktop.widgets.table import Table
from auditor.runs.contract import RunState
from auditor.runs.directory import RunDirectory
from auditor.runs.executor import RunStatus

_EMPTY = (
    "Drop a file of conversations, choose a judge model and press Run. Each reply is rated from 1 to 5 on every axis of the "
    "rubric; results appear here as they come. To see how it works, press “Use the sample”."
)
#: Tables of events that hold ratings: of one judge asked in one way, and of several.
_TABLES = ("ratings", "judgements")


def live_columns(*, several: bool = False) -> list[Numbers | Texts]:
    """Empty columns for rows as they come from a run's events; with several judges or prompts, whose they are."""
    shares: list[Numbers | Texts] = [
        Numbers(f"p{score}", f"p({score})", f"Probability of {score} among the five scores.") for score in range(1, 6)
    ]
    asked: list[Numbers | Texts] = [
        Texts("judge", "Judge", "The model that rated."),
        Texts("variant", "Prompt", "How it was asked."),
    ]
    return [
        Texts("id", "Conversation", "Id in the file, or row-<n>."),
        Numbers("row", "Row", "Record number in the input, from 1.", whole=True),
        Texts("group", "Group", "Conversations that belong together."),
        Texts("axis", "Axis", "Axis of the rubric."),
        *(asked if several else ()),
        Numbers("expected", "Expected", "Sum of i p(i), from 1 to 5."),
        Numbers("mode", "Most probable", "Score with the highest p.", whole=True),
        Numbers("entropy", "Entropy, nats", "0 is sure, 1.609 is clueless."),
        *shares,
        Numbers("truncated_turns", "Turns left out", "Earliest turns that did not fit into the context.", whole=True),
        Texts("explanation", "Explanation", "The judge's sentence after its score."),
    ]


def live_row(row: Mapping[str, Any], rule: MergeRule) -> Mapping[str, Any]:
    """A judge's rating as it will stand in the table: one from 1 to 4 is shown from 1 to 5."""
    if row.get("scale", 5) == 5:
        return row
    return {**merged([row], rule), "judge": row["judge"], "variant": row["variant"]}


class RateResults(RunResults):
    """What came out of one run of ratings.

    Signals
    -------
    row_selected(int)
        Shown row of the table, -1 for none.
    hand_wanted()
        Somebody wants to rate by hand.
    """

    row_selected = Signal(int)
    hand_wanted = Signal()

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        hand = theme.icon_button("people", "Rate by hand")
        super().__init__(session, "rating", _EMPTY, (hand,), parent)
        self.hand = hand
        self.hand.clicked.connect(self.hand_wanted)
        self._rule: MergeRule = "mean"
        self.people = RatePeople(session)
        self.table = Table("Ratings")
        self.table.selected.connect(self.row_selected)
        self.tables = {"ratings": self.table}
        self._add_tab(self.pictures, "Pictures")
        self._add_tab(self.table, "Ratings", live=True)
        self._add_tab(self.people, "People")
        self.show_empty()

    def show_live(self, run: RunDirectory) -> None:
        """Begin to show a run that is under way; its ratings come as they are made."""
        super().show_live(run)
        asked = Spec.model_validate(run.spec().spec)
        several = len(asked.variants) > 1 or bool(asked.paraphrase) or "judge-2" in run.spec().models
        # One judge's own scores are told of several, not yet what becomes of them.
        self._rule = "mean" if several else asked.merge
        self.table.set_columns(live_columns(several=several))

    def _take_live(self, events: Sequence[Mapping[str, Any]]) -> None:
        rated = [event["row"] for event in events if event["kind"] == "row" and event["table"] in _TABLES]
        rows = [live_row(row, self._rule) for row in rated]
        if rows:
            was_empty = self.table.model.all_rows == 0
            self.table.model.append(rows)
            if was_empty:
                self.table.fit_columns()

    def _show_unfinished(self, status: RunStatus) -> None:
        if status.state.is_live:
            words = status.message or "Working"
            done = f": {status.done:,} of {status.total:,} so far" if status.total else ""
            self.verdict.setText(f"{words}{done}. Partial results are below.")
        else:
            n = self.table.model.all_rows
            # Who cancelled a run is told by its own message how much of it is kept.
            is_told = status.state is RunState.CANCELLED and bool(status.message)
            kept = "" if is_told or not n else f" {n:,} rating{'s are' if n != 1 else ' is'} kept."
            self.verdict.setText(f"{status.message or f'{status.state.value.capitalize()}.'}{kept}")

    def _facts(self, findings: Mapping[str, Any]) -> str:
        return (
            f"Rubric {findings['rubric']['name']} ({findings['rubric_sha256'][:12]}…), model {findings['model_name']} "
            f"{findings['model_quantisation']} ({findings['model_sha256'][:12]}…), seed {findings['provenance']['seed']}."
        )

    def _show_found(self, run: RunDirectory) -> None:
        self.people.show_run(run)

    def _show_table(self, name: str, columns: list[Numbers | Texts]) -> None:
        super()._show_table(name, columns)
        self.is_whole = True
        self.hand.show()

    def refresh_theme(self) -> None:
        """Draw the pictures in the colours of the theme."""
        super().refresh_theme()
        if self.is_finished:
            self.people.refresh_theme()

    def show_empty(self) -> None:
        """Say what to do."""
        self.people.clear()
        super().show_empty()

    def finish(self) -> None:
        """Wait for sorts that are under way."""
        super().finish()
        self.people.finish()
