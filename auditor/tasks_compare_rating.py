"""Questions of the desktop about rating runs side by side; see `auditor.tasks_compare`."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from auditor.audits import rating
from auditor.audits.comparison import run_names
from auditor.case import Case, RunSummary
from auditor.errors import AuditorError, RunError
from auditor.runs.clock import minute
from auditor.runs.directory import RunDirectory, made_with_people
from auditor.tasks_compare_pairs import PairWords, Shown, pictures_of, told_pairs

if TYPE_CHECKING:
    from auditor.audits import Picture
    from auditor.audits.rating.compare import Comparison, PairComparison
    from auditor.audits.rating.people_of_runs import People

Question = Mapping[str, Any]
Progress = Callable[[int, int, str], None]

_SHARES = tuple(f"p{score}" for score in range(1, 6))
_SCOPES = {"last_response": "last reply", "conversation": "whole conversation"}
#: Columns of the window's table, in its order; what judges said of one unit is asked for when it is selected.
_SHOWN = (
    "id",
    "axis",
    "difference",
    "expected_a",
    "expected_b",
    "mode_a",
    "mode_b",
    "higher",
    "label",
    "right",
    "row_a",
    "row_b",
)


def people_words(case: Case) -> str:
    """Who rated by hand in a case, and what becomes of it."""
    ratings = case.human_ratings()
    raters = sorted({str(record.body["rater"]) for record in ratings})
    if not ratings:
        files = {file.name for file, _ in made_with_people([RunDirectory(run.path) for run in case.runs()])}
        if files:
            return f"None were given in this case. The file that a ticked run was made with is used: {_listed(files)}."
        return "None were given in this case: who is right cannot be told. Rate some by keyboard under Rate."
    return f"{len(ratings):,} given in this case by {', '.join(raters)}. Those given for the ticked runs are used."


def _listed(names: "set[str]") -> str:
    return ", ".join(sorted(names))


def offered(summary: RunSummary) -> dict[str, Any]:
    """A finished rating run to choose: what it is in words, and what makes its instrument."""
    found = RunDirectory(summary.path).findings()
    scope = _SCOPES.get(found["scope"], found["scope"])
    return {
        "model": f"{found['model_name']} {found['model_quantisation']}",
        "lines": [
            f"{minute(summary.created)}, {found['n']:,} conversations",
            f"{scope[:1].upper()}{scope[1:]}, rubric {found['rubric']['name']} ({found['rubric_sha256'][:8]}…)",
        ],
        "rubric_sha256": found["rubric_sha256"],
        "order": found["order"],
        "scope": found["scope"],
        # Runs from before there were variants of the prompt asked on a scale of 5.
        "variants": ", ".join(found.get("variants") or ["5"]),
        "merge": found.get("merge") or "mean",
        "n_ctx": found["provenance"]["settings"].get("n_ctx"),
        "n_truncated": found.get("n_truncated", 0),
    }


def side_by_side(
    case: Case, runs: Sequence[RunDirectory], theme: str, folder: Path | None, progress: Progress
) -> dict[str, Any]:
    """Rating runs beside the first of them; see `auditor.tasks_compare`."""
    from auditor.audits.rating import compare_text as text
    from auditor.audits.rating.compare_units import COLUMNS

    people, found = _compared(case, runs)

    def words(pair: "PairComparison") -> PairWords:
        tables = [text.differences(pair, found.confidence), text.against_people(pair, found.confidence)]
        headline = text.headline(pair, found.confidence)
        return PairWords(headline, _ground(found, pair, people), tables, _filters(pair))

    shown = Shown(_described, "model_name", COLUMNS, _SHOWN)
    pairs = told_pairs(found, runs, words, _drawn, shown, theme=theme, folder=folder, progress=progress)
    notes = [note for pair in found.pairs for axis in pair.axes for note in axis.notes]
    messages = [caution.message for caution in (*people.cautions, *found.cautions)]
    return {"pairs": pairs, "warnings": list(dict.fromkeys([*messages, *notes]))}


def pictures(case: Case, runs: Sequence[RunDirectory], place: int, theme: str) -> "Iterator[Picture]":
    """Pictures of the first run and the one with this place among the others."""
    return pictures_of(_compared(case, runs)[1], place, _drawn, theme)


def _compared(case: Case, runs: Sequence[RunDirectory]) -> "tuple[People, Comparison]":
    """What people said of the conversations of A, and the comparison; confidence and seed are those of A."""
    from auditor.audits.rating.compare import RunTables, compare

    tables = []
    for name, run in zip(run_names(len(runs)), runs, strict=True):
        sha256, mapping = _read_by(run)
        tables.append(RunTables(name, run.findings(), _ratings(run), sha256, mapping))
    first = tables[0]
    people = _people(case, runs)
    found = compare(
        tables, people.ratings, confidence=first.findings["confidence"], seed=runs[0].spec().seed, scale=people.scales
    )
    return people, found


def _people(case: Case, runs: Sequence[RunDirectory]) -> "People":
    """What people said of the conversations of A: in the case, else in a file that a run was made with."""
    from auditor.audits.rating.people import UnitIndex
    from auditor.audits.rating.people_of_runs import people_of_case, people_of_files

    units = UnitIndex.from_ratings(_ratings(runs[0]))
    axes = [axis["name"] for axis in runs[0].findings()["axes"]]
    same = _same_conversations(runs)
    found = people_of_case(case.human_ratings_of(same), units, axes)
    if found.ratings:
        return found
    return people_of_files(made_with_people([run for run in runs if run.path.name in same]), units, axes) or found


def _ratings(run: RunDirectory) -> Path:
    file = run.table_files().get("ratings")
    if file is None:
        raise RunError(
            f"The run {run.path.name} has lost its table of ratings. Verify the case: it names what changed."
        )
    return file


def _read_by(run: RunDirectory) -> tuple[str, Mapping[str, str]]:
    return rating.read_by(run.input_file("conversations"), run.spec().spec)


def _same_conversations(runs: Sequence[RunDirectory]) -> list[str]:
    """Ids of the runs whose human ratings count: those of the conversations that the first of them rated."""
    return [run.path.name for run in runs if _read_by(run) == _read_by(runs[0])]


def _drawn(found: "Comparison", theme: str) -> "Iterator[Picture]":
    from auditor.audits.rating.figures_compare import compare_pictures

    return compare_pictures(found, theme)


def _described(run: RunDirectory) -> str:
    found = run.findings()
    scope = _SCOPES.get(found["scope"], found["scope"])
    return f"{found['model_name']} {found['model_quantisation']}, {scope}, {minute(run.spec().created)}"


def _ground(found: "Comparison", pair: "PairComparison", people: "People") -> str:
    from auditor.audits.rating.certificate import percent

    raters = sorted({rating.rater for rating in people.ratings})
    said = f"{len(people.ratings):,} human ratings by {', '.join(raters)}" if raters else "No human ratings"
    groups = min(axis.groups for axis in pair.axes)
    return (
        f"{said}. {percent(found.confidence)} intervals by a bootstrap over {groups:,} contexts, each axis by itself, "
        f"seed {found.seed}."
    )


def _filters(pair: "PairComparison") -> list[dict[str, str]]:
    """What the window's quick filters ask for; those about people only where people rated."""
    filters = [{"title": "All", "condition": "", "help": "Every conversation on every axis."}]
    for letter in "AB":
        about = f"{letter}'s most probable score is higher."
        filters.append({"title": f"{letter} higher", "condition": f"higher is {letter} higher", "help": about})
    if any(axis.people is not None and axis.people.a_right is not None for axis in pair.axes):
        for right, wrong in ("AB", "BA"):
            words = f"{right} right, {wrong} wrong"
            about = f"Only {right}'s most probable score is the people's label (their mean, rounded half up)."
            filters.append({"title": words, "condition": f"right is {words}", "help": about})
    return filters


def compared_unit(asked: Question, _progress: Progress) -> Any:
    """One conversation with both runs' ratings of it on one axis, and what people said of it.

    `runs` are two ids, A first; `rows` is the conversation's row in each.
    """
    rows, axis = [int(row) for row in asked["rows"]], str(asked["axis"])
    with Case.open(Path(asked["case"]), write=False) as case:
        runs = [case.run(run) for run in asked["runs"]]
        ratings = [
            _rating(run, row, axis, case.explanations(run.path.name)) for run, row in zip(runs, rows, strict=True)
        ]
        said = _said(case, runs, rows[0], axis)
    return {"rows": rows, "axis": axis, "parts": _parts(runs[0], rows[0]), "ratings": ratings, "people": said}


def _rating(run: RunDirectory, row: int, axis: str, later: Mapping[tuple[str, str], str]) -> dict[str, Any] | None:
    """A run's row of the ratings table, with a sentence that was asked for after the run if it has none itself."""
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    columns = ["expected", "mode", "entropy", *_SHARES, "explanation"]
    chosen = (pc.field("row") == row) & (pc.field("axis") == axis)
    found: list[dict[str, Any]] = pq.read_table(_ratings(run), columns=columns, filters=chosen).to_pylist()
    if not found:
        return None
    return {**found[0], "explanation": found[0]["explanation"] or later.get((str(row), axis)) or ""}


def _parts(run: RunDirectory, row: int) -> Sequence[tuple[str, str]]:
    try:
        return rating.unit(run.input_file("conversations"), run.spec().spec, row)
    except AuditorError as error:
        # Scores can be compared when the conversation was erased.
        return [("Not shown", str(error))]


def _said(case: Case, runs: Sequence[RunDirectory], row: int, axis: str) -> str:
    # The newest of a rater's ratings counts, as in the comparison.
    said = {}
    records = case.human_ratings_of(_same_conversations(runs))
    for record in records:
        if (record.body["unit"], record.body["axis"]) == (str(row), axis):
            note = f" ({record.body['note']})" if record.body["note"] else ""
            said[record.body["rater"]] = f"{record.body['rater']} {record.body['score']:g}{note}"
    for one in _people(case, runs).ratings if not records else ():
        if (one.row, one.axis) == (row, axis):
            said[one.rater] = f"{one.rater} {one.score:g}{f' ({one.note})' if one.note else ''}"
    return f"People: {', '.join(said.values())}" if said else "No person rated this."


TASKS = (compared_unit,)
