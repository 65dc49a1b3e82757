"""Questions of the desktop about finished runs of one audit side by side; see `auditor.tasks`.

The first run is A, every other one in turn B. An audit whose runs can be compared has a side here that says which runs there
are to choose, what came out for each pair, and its pictures.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from auditor import tasks_compare_guard, tasks_compare_rating, tasks_compare_unlearning
from auditor.audits import guard, rating, unlearning
from auditor.case import Case, RunSummary
from auditor.errors import AuditorError, InputError
from auditor.report.pictures import save
from auditor.runs.directory import RunDirectory

if TYPE_CHECKING:
    from auditor.audits import Picture

Question = Mapping[str, Any]
Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class _Side:
    """What an audit says of its runs side by side.

    Attributes
    ----------
    offered : callable
        (summary) -> a run to choose: model, two lines in words, and what it must have in common with others; None for one
        that nothing can be compared with.
    side_by_side : callable
        (case, runs, theme, folder, progress) -> warnings, and for every pair title, sentence, facts, runs, tables, pictures
        and filters; with a folder also the column files of its rows, written to ``folder/<place of the pair>``.
    pictures : callable
        (case, runs, place of the pair, theme) -> pictures with their data.
    """

    offered: Callable[[RunSummary], dict[str, Any] | None]
    side_by_side: Callable[[Case, Sequence[RunDirectory], str, Path | None, Progress], dict[str, Any]]
    pictures: Callable[[Case, Sequence[RunDirectory], int, str], "Iterator[Picture]"]


_SIDES: Mapping[str, _Side] = {
    rating.name: _Side(tasks_compare_rating.offered, tasks_compare_rating.side_by_side, tasks_compare_rating.pictures),
    guard.name: _Side(tasks_compare_guard.offered, tasks_compare_guard.side_by_side, tasks_compare_guard.pictures),
    unlearning.name: _Side(
        tasks_compare_unlearning.offered, tasks_compare_unlearning.side_by_side, tasks_compare_unlearning.pictures
    ),
}


def comparable_runs(asked: Question, _progress: Progress) -> Any:
    """Finished runs of a case that can be compared with others of their audit, newest first; and who rated by hand."""
    with Case.open(Path(asked["case"]), write=False) as case:
        runs, problems = [], []
        for summary in case.runs():
            side = _SIDES.get(summary.audit)
            if side is None or not summary.sealed:
                continue
            try:
                found = side.offered(summary)
            except AuditorError as error:
                problems.append(f"{summary.id} cannot be compared: {error}")
            except (KeyError, TypeError):
                problems.append(f"{summary.id} cannot be compared: its findings are damaged.")
            else:
                if found is not None:
                    runs.append({"id": summary.id, "audit": summary.audit, "verdict": summary.verdict, **found})
        people = tasks_compare_rating.people_words(case)
    return {"runs": runs, "problems": problems, "people": people}


def compare(asked: Question, progress: Progress) -> Any:
    """Runs side by side: in words, in figures, as pictures, and as column files where a folder is named.

    `runs` are ids, A first; with `folder` the rows of every pair are written to ``folder/<place of the pair>``.
    """
    with Case.open(Path(asked["case"]), write=False) as case:
        progress(0, 1, "Comparing")
        audit, runs = _of_one_audit(case, asked["runs"])
        folder = Path(asked["folder"]) if asked.get("folder") else None
        return {"audit": audit, **_SIDES[audit].side_by_side(case, runs, asked["theme"], folder, progress)}


def compare_export(asked: Question, _progress: Progress) -> Any:
    """Save a picture of a pair of runs, or its data."""
    with Case.open(Path(asked["case"]), write=False) as case:
        audit, runs = _of_one_audit(case, asked["runs"])
        found = _SIDES[audit].pictures(case, runs, int(asked["pair"]), asked["theme"])
        save(found, asked["name"], Path(asked["path"]))
    return {"path": asked["path"]}


def _of_one_audit(case: Case, ids: Sequence[str]) -> tuple[str, list[RunDirectory]]:
    """The audit of some runs, and the runs.

    Raises
    ------
    InputError
        If they are of several audits, or of one whose runs cannot be compared.
    """
    runs = [case.run(run) for run in ids]
    audits = {run.spec().audit for run in runs}
    if len(audits) != 1 or not audits <= _SIDES.keys():
        raise InputError(
            "Only runs of one audit can be compared",
            value=", ".join(sorted(audits)),
            fix=f"Choose runs of {' or of '.join(_SIDES)}.",
        )
    return audits.pop(), runs


TASKS = (
    *(comparable_runs, compare, compare_export),
    *(*tasks_compare_rating.TASKS, *tasks_compare_guard.TASKS, *tasks_compare_unlearning.TASKS),
)
