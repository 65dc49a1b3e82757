"""Questions of the desktop about guard runs side by side; see `auditor.tasks_compare`."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from auditor.audits.comparison import run_names
from auditor.audits.guard.conditions import ZERO_SHOT, described
from auditor.case import Case, RunSummary
from auditor.errors import AuditorError
from auditor.report.over_time import as_finished, n_on_same_input
from auditor.runs.clock import minute
from auditor.runs.directory import RunDirectory
from auditor.tasks_compare_pairs import PairWords, Shown, pictures_of, told_pairs
from auditor.tasks_guard import ShownQuery, answers_of, shown_query

if TYPE_CHECKING:
    from auditor.audits import Picture
    from auditor.audits.guard.compare import Comparison, PairComparison

Question = Mapping[str, Any]
Progress = Callable[[int, int, str], None]

#: Columns of the window's table, in its order.
_SHOWN = (
    *("query_id", "condition", "label", "guarded_a", "guarded_b", "right", "unguarded_a", "unguarded_b"),
    *("zero_shot_a", "zero_shot_b", "differs", "row_a", "row_b"),
)
_FILTERS = (
    {"title": "All", "condition": "", "help": "Every test query under every condition that both runs asked."},
    {"title": "Guards differ", "condition": "differs is yes", "help": "The two guards give different labels."},
    *(
        {
            "title": f"{right} right, {wrong} wrong",
            "condition": f"right is {right} right, {wrong} wrong",
            "help": f"Only the guard of {right} gives the right label.",
        }
        for right, wrong in ("AB", "BA")
    ),
)
_ANSWERS = ("label", "zero_shot", "unguarded", "guarded", "exit", "p_zero_shot", "p_unguarded")


def offered(summary: RunSummary) -> dict[str, Any]:
    """A finished guard run to choose: what it is in words, and what makes it another one than others."""
    from auditor.audits.guard.compare import parts_of

    found = RunDirectory(summary.path).findings()
    pools, certificate = found["pools"], found["certificate"]
    return {
        "model": f"{found['model_name']} {found['dtype']}",
        "lines": [
            f"{minute(summary.created)}, {pools['n_test']:,} test queries",
            f"{pools['n_per_prompt']:,} {pools['demonstrations']} demonstrations, {described(certificate['primary'])}",
        ],
        "parts": parts_of(found),
    }


def side_by_side(
    case: Case, runs: Sequence[RunDirectory], theme: str, folder: Path | None, progress: Progress
) -> dict[str, Any]:
    """Guard runs beside the first of them; see `auditor.tasks_compare`."""
    from auditor.audits.guard import compare_text as text
    from auditor.audits.guard.compare import COLUMNS

    found = _compared(case, runs)

    def words(pair: "PairComparison") -> PairWords:
        tables = [made(pair, found.confidence) for made in (text.unguarded, text.guarded, text.risks)]
        return PairWords(text.headline(pair), text.ground(pair, found), tables, _FILTERS)

    shown = Shown(_described, "model_name", COLUMNS, _SHOWN)
    pairs = told_pairs(found, runs, words, _drawn, shown, theme=theme, folder=folder, progress=progress)
    return {"pairs": pairs, "warnings": [caution.message for caution in found.cautions]}


def pictures(case: Case, runs: Sequence[RunDirectory], place: int, theme: str) -> "Iterator[Picture]":
    """Pictures of the first run and the one with this place among the others."""
    return pictures_of(_compared(case, runs), place, _drawn, theme)


def _compared(case: Case, runs: Sequence[RunDirectory]) -> "Comparison":
    """Confidence and seed are those of A."""
    from auditor.audits.guard.compare import compare
    from auditor.audits.guard.side_by_side import tables_of

    tables = [tables_of(as_finished(run), name) for name, run in zip(run_names(len(runs)), runs, strict=True)]
    return compare(
        tables,
        confidence=float(tables[0].findings["confidence"]),
        seed=runs[0].spec().seed,
        n_runs=max(len(runs), n_on_same_input(case, runs[0], "queries")),
    )


def _drawn(found: "Comparison", theme: str) -> "Iterator[Picture]":
    from auditor.audits.guard.figures_compare import compare_pictures

    return compare_pictures(found, theme)


def _described(run: RunDirectory) -> str:
    found = run.findings()
    pools = found["pools"]
    shown = f"{pools['n_per_prompt']:,} {pools['demonstrations']} demonstrations"
    return f"{found['model_name']} {found['dtype']}, {shown}, {minute(run.spec().created)}"


def compared_query(asked: Question, _progress: Progress) -> Any:
    """One query with what both runs answered under one condition, and their prompts word for word.

    `runs` are two ids, A first; `rows` is the query's row in the file of each.
    """
    rows, condition = [int(row) for row in asked["rows"]], str(asked["condition"])
    with Case.open(Path(asked["case"]), write=False) as case:
        runs = [case.run(run) for run in asked["runs"]]
    answers = [_answer(run, row, condition) for run, row in zip(runs, rows, strict=True)]
    return {
        "rows": rows,
        "condition": condition,
        "parts": _parts(runs, rows, condition),
        "answers": answers,
    }


def _answer(run: RunDirectory, row: int, condition: str) -> dict[str, Any] | None:
    found = next((one for one in answers_of(run, row) if one["condition"] == condition), None)
    return None if found is None else {name: found[name] for name in _ANSWERS}


def _parts(runs: Sequence[RunDirectory], rows: Sequence[int], condition: str) -> list[list[str]]:
    """Text and label, then the prompts; once where both runs asked the same."""
    shown: list[ShownQuery] = []
    for run, row in zip(runs, rows, strict=True):
        try:
            shown.append(shown_query(run, row, condition))
        except AuditorError as error:
            # Answers can be compared when the texts were erased.
            return [["Not shown", str(error)]]
    a, b = shown
    parts = [["Text", a.query.text], ["Label", a.query.label]]
    for title, prompt_a, prompt_b in (
        (described(condition), a.prompt, b.prompt),
        (described(ZERO_SHOT), a.zero_shot, b.zero_shot),
    ):
        if prompt_a == prompt_b:
            parts.append([f"Prompt: {title}", prompt_a])
        else:
            parts += [[f"A: prompt, {title}", prompt_a], [f"B: prompt, {title}", prompt_b]]
    return parts


TASKS = (compared_query,)
