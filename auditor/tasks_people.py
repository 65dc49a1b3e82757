"""Questions of the desktop about people's judgements; see `auditor.tasks`."""

from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from auditor import audits
from auditor.audits import InputFile
from auditor.case import Case
from auditor.errors import InputError, RunError
from auditor.report.people import people_found
from auditor.report.pictures import rendered, save
from auditor.runs.directory import RunDirectory

if TYPE_CHECKING:
    from auditor.audits.rating.people import HumanRating, PeopleScale

Question = Mapping[str, Any]
Progress = Callable[[int, int, str], None]


def units(asked: Question, _progress: Progress) -> Any:
    """Some units of a run's input, to look at one after the other; what is not there is left out."""
    run = RunDirectory(Path(asked["run_dir"]))
    spec = run.spec()
    audit = audits.get(spec.audit)
    file = run.inputs(check=False)[audit.input_roles[0].name]
    found = audit.units(file, spec.spec, {int(row) for row in asked["rows"]})
    return {"units": [{"row": row, "parts": parts} for row, parts in found]}


def explain(asked: Question, _progress: Progress) -> Any:
    """The judge's sentence about one rating of a finished run."""
    from auditor.audits.rating import Spec
    from auditor.audits.rating.ensemble import about
    from auditor.audits.rating.explain import explain as ask
    from auditor.audits.rating.rubric import Rubric
    from auditor.audits.rating.variants import variant as form_of

    run = RunDirectory(Path(asked["run_dir"]))
    spec, found = run.spec(), run.findings()
    judge, settings = spec.models["judge"], Spec.model_validate(spec.spec)
    variant, several = settings.variants[0], "judgements" in run.table_files()
    score = _first_score(run, judge.name, variant, int(asked["row"]), asked["axis"])
    text = ask(
        settings,
        run.inputs(check=False)["conversations"],
        Rubric.model_validate(found["rubric"]),
        judge,
        n_ctx=int(found["provenance"]["settings"]["n_ctx"]),
        row=int(asked["row"]),
        axis=asked["axis"],
        score=score,
    )
    is_in_view = not several and form_of(variant).scale == 5
    return {"text": text if is_in_view else about(judge.name, variant, score) + text, "model": judge.name}


def _first_score(run: RunDirectory, judge: str, variant: str, row: int, axis: str) -> int:
    """What the first judge found most probable with the first prompt, on that prompt's own scale."""
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    from auditor.audits.rating.ensemble import own_score

    tables = run.table_files()
    chosen = (pc.field("row") == row) & (pc.field("axis") == axis)
    if "judgements" in tables:
        chosen &= (pc.field("judge") == judge) & (pc.field("variant") == variant)
    scores = pq.read_table(tables.get("judgements", tables["ratings"]), columns=["mode"], filters=chosen)["mode"]
    if len(scores) != 1:
        raise InputError("The run has no such rating", row=row, column=axis)
    found = int(scores[0].as_py())
    # The table of ratings has whole scores from 1 to 5, however the judge was asked.
    return found if "judgements" in tables else own_score(variant, found)


def agreement(asked: Question, _progress: Progress) -> Any:
    """How a run's results stand beside the human ratings of its case, with pictures; None if nobody rated."""
    with Case.open(Path(asked["case"]), write=False) as case:
        found = people_found(case, case.run(asked["run"]), asked["theme"])
    if found is None:
        return None
    return {
        "sentences": found.sentences,
        "headers": found.headers,
        "tables": found.tables,
        "notes": found.notes,
        "queue": found.queue,
        "pictures": [asdict(rendered(picture)) for picture in found.pictures],
    }


def agreement_export(asked: Question, _progress: Progress) -> Any:
    """Save a picture of the agreement, or its data."""
    with Case.open(Path(asked["case"]), write=False) as case:
        found = people_found(case, case.run(asked["run"]), asked["theme"])
    if found is None:
        raise RunError("There are no human ratings any more.")
    save(found.pictures, asked["name"], Path(asked["path"]))
    return {"path": asked["path"]}


def humans_preview(asked: Question, _progress: Progress) -> Any:
    """What a file of human ratings holds, and every problem of it for the run it is meant for."""
    from auditor.audits.rating import people

    path = Path(asked["path"])
    seen = people.preview(InputFile(path, path.name, ""), _scales(asked))
    problems, cautions = list(seen.problems), list[str]()
    axes: list[dict[str, Any]] = []
    # On the widest scale nothing is off it: so the axes are known before their scales are.
    try:
        found, left_out = _read(asked, people.PeopleScale(-1e9, 1e9))
        axes = _axes(found)
        cautions = [caution.message for caution in left_out]
        if not problems:
            _read(asked, _scales(asked))
    except InputError as error:
        problems = problems or [str(error)]
    return {
        "rows": seen.rows,
        "n_rows": seen.n_rows,
        "problems": problems,
        "n_problems": max(seen.n_problems, len(problems)),
        "cautions": cautions,
        "axes": axes,
    }


def humans_read(asked: Question, _progress: Progress) -> Any:
    """The ratings of a file that concern a run."""
    found, _ = _read(asked, _scales(asked))
    return [[str(said.row), said.axis, said.rater, said.score, said.note] for said in found]


def _read(asked: Question, scales: Any) -> Any:
    from auditor.audits.rating import people

    run = RunDirectory(Path(asked["run_dir"]))
    path = Path(asked["path"])
    names = [axis["name"] for axis in run.findings()["axes"]]
    units = people.UnitIndex.from_ratings(run.table_files()["ratings"])
    return people.read_humans(path, path.name, units, names, scales)


def _scales(asked: Question) -> "dict[str, PeopleScale]":
    from auditor.audits.rating.people import PeopleScale

    return {
        name: PeopleScale(float(low), float(high), "linear" if linear else "none")
        for name, (low, high, linear) in (asked.get("scales") or {}).items()
    }


def _axes(found: "list[HumanRating]") -> list[dict[str, Any]]:
    by_axis: dict[str, list[HumanRating]] = {}
    for said in found:
        by_axis.setdefault(said.axis, []).append(said)
    return [
        {
            "name": name,
            "ratings": len(ratings),
            "units": len({said.row for said in ratings}),
            "raters": len({said.rater for said in ratings}),
            "low": min(said.score for said in ratings),
            "high": max(said.score for said in ratings),
        }
        for name, ratings in by_axis.items()
    ]


TASKS = (units, explain, agreement, agreement_export, humans_preview, humans_read)
