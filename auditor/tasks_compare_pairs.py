"""What the questions about runs side by side tell of each pair, whatever the audit; see `auditor.tasks_compare`."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from auditor.audits.comparison import Comparison, Pair, SmallTable
from auditor.audits.findings import Column
from auditor.column_files import write_columns
from auditor.report.pictures import rendered
from auditor.runs.directory import RunDirectory

if TYPE_CHECKING:
    from auditor.audits import Picture

Progress = Callable[[int, int, str], None]
#: (comparison, theme) -> its pictures with their data.
Drawn = Callable[[Comparison[Pair], str], "Iterator[Picture]"]


@dataclass(frozen=True)
class PairWords:
    """What an audit says of one pair.

    Attributes
    ----------
    sentence, ground : str
        What came out, and what it rests on.
    tables : sequence of SmallTable or None
        None where there is nothing to tell.
    filters : sequence of mapping
        Quick filters of the window's table: title, condition and help.
    """

    sentence: str
    ground: str
    tables: Sequence[SmallTable | None]
    filters: Sequence[Mapping[str, str]]


@dataclass(frozen=True)
class Shown:
    """How an audit names runs, and what of its rows the window shows.

    Attributes
    ----------
    described : callable
        (run) -> the run in a line.
    told_by : str
        Finding that tells it from others in a word or two.
    columns : sequence of Column
        All of the comparison's table.
    names : sequence of str
        Those the window's table has, in its order.
    """

    described: Callable[[RunDirectory], str]
    told_by: str
    columns: Sequence[Column]
    names: Sequence[str]


def told_pairs(
    found: Comparison[Pair],
    runs: Sequence[RunDirectory],
    words: Callable[[Pair], PairWords],
    drawn: Drawn[Pair],
    shown: Shown,
    *,
    theme: str,
    folder: Path | None,
    progress: Progress,
) -> list[dict[str, Any]]:
    """Every pair as the window shows it; with a folder also the column files of its rows.

    Parameters
    ----------
    runs : sequence of RunDirectory
        A first, then the other one of each pair.
    folder : Path or None
        The files of a pair go into ``folder/<place of the pair>``.
    """
    pairs = []
    for place, pair in enumerate(found.pairs):
        progress(place, len(found.pairs), "Drawing")
        a, other, said = runs[0], runs[place + 1], words(pair)
        about = shown.described(other)
        pairs.append(
            {
                "title": f"{pair.b}: {about}",
                "sentence": said.sentence,
                "facts": f"A: {shown.described(a)}. {pair.b}: {about}. {said.ground}",
                "runs": [_named("A", a, shown), _named("B", other, shown)],
                "tables": [asdict(table) for table in said.tables if table is not None],
                "pictures": [asdict(rendered(picture)) for picture in pictures_of(found, place, drawn, theme)],
                "filters": list(said.filters),
                **(_columns(found, pair, shown, folder / str(place)) if folder else {}),
            }
        )
    return pairs


def pictures_of(found: Comparison[Pair], place: int, drawn: Drawn[Pair], theme: str) -> "Iterator[Picture]":
    """Pictures of the pair in this place."""
    return drawn(replace(found, pairs=(found.pairs[place],)), theme)


def _named(letter: str, run: RunDirectory, shown: Shown) -> dict[str, str]:
    return {"letter": letter, "run": run.path.name, "model": str(run.findings()[shown.told_by])}


def _columns(found: Comparison[Pair], pair: Pair, shown: Shown, folder: Path) -> dict[str, Any]:
    """Column files of one pair."""
    import pyarrow.compute as pc

    about = {column.name: column.model_dump() for column in shown.columns}
    folder.mkdir()
    return write_columns(found.table.filter(pc.field("b") == pair.b), [about[name] for name in shown.names], folder)
