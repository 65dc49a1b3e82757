"""A guard run beside the other runs of its case, for the report."""

from collections.abc import Sequence

from auditor.audits import FinishedRun, FollowedOverTime
from auditor.audits.guard.compare import Comparison, PairComparison, RunTables, compare
from auditor.audits.guard.figures_compare import compare_pictures
from auditor.audits.guard.words import interval, percent, points
from auditor.errors import InputError

#: The newest of the others, as a report has no room for all.
_MOST = 4
_HEADERS = ("B", "Figure", "A", "B", "A less B (interval)", "McNemar p")


def beside_runs(run: FinishedRun, others: Sequence[FinishedRun], theme: str) -> FollowedOverTime:
    """Compare a run with the newest of the others that test some of the same queries.

    Parameters
    ----------
    run : FinishedRun
        A.
    others : sequence of FinishedRun
        In order of time.
    theme : str
        "light" or "dark".
    """
    found: list[Comparison] = []
    notes: dict[str, None] = {}
    for other in others[::-1][:_MOST]:
        try:
            compared = compare(
                [tables_of(run), tables_of(other)], confidence=float(run.findings["confidence"]), n_runs=len(others) + 1
            )
        except InputError as error:
            notes[f"{other.run} is not compared: {error}"] = None
        else:
            found.append(compared)
            notes |= dict.fromkeys(caution.message for caution in compared.cautions if caution.code != "starter")
    left = len(others) - _MOST
    if left > 0:
        notes[f"{left:,} older runs of the case are not compared here; `auditor compare` compares any."] = None
    pairs = [pair for compared in found for pair in compared.pairs]
    pictures = [
        picture for number, one in enumerate(found, start=1) for picture in compare_pictures(one, theme, first=number)
    ]
    return FollowedOverTime(
        sentences=tuple(f"{_described(pair)} {pair.sentence}" for pair in pairs) or ("No other run can be compared.",),
        headers=_HEADERS,
        rows=tuple(row for pair in pairs for row in _rows(pair)),
        notes=tuple(notes),
        pictures=tuple(pictures),
    )


def tables_of(run: FinishedRun, name: str = "") -> RunTables:
    """A finished run, as far as it is compared.

    Parameters
    ----------
    name : str
        What it is called in the comparison; its id if not given.

    Raises
    ------
    InputError
        If its table of queries is gone.
    """
    if "queries" not in run.tables:
        raise InputError(
            f"The run {run.run} has lost its table of queries", fix="Verify the case: that names what changed."
        )
    return RunTables(name or run.run, run.findings, run.tables["queries"], run.inputs.get("queries", ""))


def _described(pair: PairComparison) -> str:
    return f"A is this run, B is {pair.b}; they differ in {', '.join(pair.differs) or 'nothing that was set'}."


def _rows(pair: PairComparison) -> list[tuple[str, ...]]:
    """Accuracies; risks stand in the table of `auditor compare`."""
    return [
        (
            pair.b,
            measured.title,
            percent(measured.a.value),
            percent(measured.b.value),
            f"{points(measured.difference.value)}{interval(measured.difference.low, measured.difference.high)}",
            "" if measured.mcnemar_p is None else f"{measured.mcnemar_p:.3g}",
        )
        for measured in pair.measures
        if measured.name != "risk"
    ]
