"""What people said: ratings read from a file, checked line by line.

Nothing is dropped silently: the first structural fault of a file is an error that names its place, and ratings of
conversations or axes that a run lacks are counted.
"""

import csv
import itertools
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from auditor.audits import InputFile, Preview
from auditor.audits.findings import Caution
from auditor.audits.rating.conversation import BadRow
from auditor.audits.rating.labels import HumanRating, PeopleScale, Scales, UnitIndex, scale_of
from auditor.audits.rating.readers import csv_records
from auditor.audits.rating.records import Unusable, label
from auditor.errors import InputError, printable

__all__ = [
    "HumanRating",
    "PeopleScale",
    "Scales",
    "UnitIndex",
    "below_the_top",
    "preview",
    "read_humans",
    "scale_of",
]

NEEDED = ("conversation_id", "axis", "rater", "score")
COLUMNS = (*NEEDED, "note")

_HEAD_BYTES = 64 * 1024
_PREVIEW_ROWS, _PREVIEW_PROBLEMS = 50, 1000
_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?", re.ASCII)
_SHOWN = 3
#: From so many scores of an axis on, that none reaches the top of the scale is worth a word (ours).
_MANY = 20


def read_humans(
    path: Path, name: str, units: UnitIndex, axes: Sequence[str], scale: Scales
) -> tuple[list[HumanRating], list[Caution]]:
    """Read a file of human ratings.

    Parameters
    ----------
    path : Path
        CSV in UTF-8 with the header conversation_id, axis, rater, score and, if wanted, note; separated by commas,
        semicolons or tabs.
    name : str
        The file's name as the person knows it.
    units, axes
        What the run rated.
    scale : PeopleScale or mapping of axis to PeopleScale
        The scale that people used.

    Returns
    -------
    list of HumanRating
        In the file's order.
    list of Caution
        Ratings left out because the run lacks their conversation or axis; columns that were not used; axes on which no
        score comes near the top of the scale.

    Raises
    ------
    InputError
        At the first row that cannot be used, for a rating that stands twice, for an id that stands for several
        conversations, and if no rating concerns the run.
    """
    ratings: list[HumanRating] = []
    seen: dict[tuple[int | str, str, str], int] = {}
    lost_units, lost_axes = Counter[str](), Counter[str]()
    columns, delimiter = _header(path, name)
    for row, cells in _rows(path, name, columns, delimiter):
        said = _checked(cells, row, name)
        unit = _unit(units, said.conversation, row, name)
        key = (said.conversation if unit is None else unit, said.axis, said.rater)
        if key in seen:
            raise InputError(
                f"{printable(said.rater)} rates this conversation on this axis a second time, after row {seen[key]}",
                file=name,
                row=row,
                column="conversation_id",
                value=said.conversation,
                fix="Keep one of the two rows.",
            )
        seen[key] = row
        if said.axis not in axes:
            lost_axes[said.axis] += 1
            continue
        score = _on_scale(said.score, scale_of(scale, said.axis), row, name)
        if unit is None:
            lost_units[said.conversation] += 1
        else:
            ratings.append(HumanRating(unit, said.axis, said.rater, score, cells.get("note", "").strip()))
    if not seen:
        raise InputError("The file holds no rating", file=name, fix="Put one rating in each row below the header.")
    if not ratings:
        raise _nothing_in_common(name, lost_units, lost_axes, units, axes)
    cautions = _cautions(name, lost_units, lost_axes, axes, columns)
    return ratings, [*cautions, *below_the_top((rating, scale_of(scale, rating.axis)) for rating in ratings)]


def mentioned(path: Path, name: str) -> set[str]:
    """Ids of the conversations in a file of human ratings.

    Raises
    ------
    InputError
        If the file cannot be read, or its header lacks a column.
    """
    columns, delimiter = _header(path, name)
    return {cells["conversation_id"].strip() for _, cells in _rows(path, name, columns, delimiter)}


def check(path: Path, name: str, axes: Sequence[str], scale: Scales) -> None:
    """Find every fault that a file of human ratings has by itself, before anything is rated.

    Raises
    ------
    InputError
        As `read_humans` does, except for what concerns the conversations of a run.
    """
    every = {identity: [number] for number, identity in enumerate(mentioned(path, name), start=1)}
    read_humans(path, name, UnitIndex(frozenset(), every), axes, scale)


@dataclass(frozen=True)
class _Said:
    conversation: str
    axis: str
    rater: str
    score: float


def _header(path: Path, name: str) -> tuple[tuple[str, ...], str]:
    """Column names, in lower case, and the separator."""
    try:
        with path.open("rb") as stream:
            head = stream.read(_HEAD_BYTES)
    except OSError as error:
        raise InputError(f"The file cannot be read: {error.strerror}", file=name) from error
    if head[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise InputError("The file is UTF-16", file=name, fix="Save it as UTF-8.")
    lines = [line for line in head.removeprefix(b"\xef\xbb\xbf").decode(errors="replace").splitlines() if line]
    if not lines:
        raise InputError("The file is empty", file=name)
    delimiter = max(",;\t", key=lines[0].count)
    try:
        columns = tuple(cell.strip().lower() for cell in next(csv.reader([lines[0]], delimiter=delimiter)))
    except (csv.Error, StopIteration):
        columns = ()
    fix = f"The first row must name the columns {', '.join(NEEDED)}, and note if there are notes."
    for needed in NEEDED:
        if needed not in columns:
            raise InputError("The column is missing", file=name, column=needed, value=lines[0], fix=fix)
    for column, count in Counter(columns).items():
        if count > 1:
            raise InputError("The column stands twice", file=name, column=column, fix=fix)
    return columns, delimiter


def _rows(path: Path, name: str, columns: tuple[str, ...], delimiter: str) -> Iterator[tuple[int, Mapping[str, str]]]:
    for row, cells in csv_records(InputFile(path, name, ""), columns, delimiter):
        if isinstance(cells, BadRow):
            raise InputError(cells.problem, file=name, row=row, column=cells.column, value=cells.value, fix=cells.fix)
        yield row, cells


def _checked(cells: Mapping[str, str], row: int, name: str) -> _Said:
    texts = {}
    for column in NEEDED:
        try:
            text = label(cells[column].strip(), column)
        except Unusable as error:
            raise InputError(
                error.problem, file=name, row=row, column=column, value=error.value, fix=error.fix
            ) from None
        if text is None:
            raise InputError(
                "The cell is empty", file=name, row=row, column=column, fix="Fill it, or leave the row out."
            )
        texts[column] = text
    if _NUMBER.fullmatch(texts["score"]) is None:
        raise InputError(
            "The score is not a number",
            file=name,
            row=row,
            column="score",
            value=texts["score"],
            fix="Write digits, with a point before decimals.",
        )
    return _Said(texts["conversation_id"], texts["axis"], texts["rater"], float(texts["score"]))


def _unit(units: UnitIndex, identity: str, row: int, name: str) -> int | None:
    found = units.find(identity)
    if len(found) > 1:
        raise InputError(
            f"The id stands for {len(found):,} conversations of the run, rows {_few(found)}",
            file=name,
            row=row,
            column="conversation_id",
            value=identity,
            fix=f"Write row-{found[0]} and so on instead of the id.",
        )
    return found[0] if found else None


def _on_scale(score: float, scale: PeopleScale, row: int, name: str) -> float:
    if not scale.low <= score <= scale.high:
        raise InputError(
            f"The score is not on the scale from {scale.words()}",
            file=name,
            row=row,
            column="score",
            value=f"{score:g}",
            fix="Correct it, or declare the scale that people used (on the command line: --human-scale LOW-HIGH).",
        )
    return score


def _nothing_in_common(
    name: str, lost_units: Counter[str], lost_axes: Counter[str], units: UnitIndex, axes: Sequence[str]
) -> InputError:
    if lost_units:
        some = _few(itertools.islice(units.by_id, _SHOWN))
        return InputError(
            "None of the rated conversations is in the run",
            file=name,
            column="conversation_id",
            value=next(iter(lost_units)),
            fix=f"The run's ids begin with {some}.",
        )
    return InputError(
        "None of the axes is in the run",
        file=name,
        column="axis",
        value=next(iter(lost_axes)),
        fix=f"The run rated {', '.join(axes)}.",
    )


def _cautions(
    name: str, lost_units: Counter[str], lost_axes: Counter[str], axes: Sequence[str], columns: Iterable[str]
) -> list[Caution]:
    found = []
    if lost_units:
        message = (
            f"{name}: {lost_units.total():,} ratings of {len(lost_units):,} conversations that the run did not rate were "
            f"left out, for example {_few(map(printable, lost_units))}."
        )
        found.append(Caution(code="humans_unknown_conversation", message=message, count=lost_units.total()))
    if lost_axes:
        message = (
            f"{name}: {lost_axes.total():,} ratings on axes that the run did not rate were left out: "
            f"{_few(map(printable, lost_axes))}. The run rated {', '.join(axes)}."
        )
        found.append(Caution(code="humans_unknown_axis", message=message, count=lost_axes.total()))
    unused = [column for column in columns if column not in COLUMNS]
    if unused:
        message = f"{name}: columns that were not used: {_few(map(printable, unused))}."
        found.append(Caution(code="humans_unused_column", message=message, count=len(unused)))
    return found


def below_the_top(given: Iterable[tuple[HumanRating, PeopleScale]]) -> list[Caution]:
    """Axes whose many scores all lie a quarter of the scale or more below its top: it may have been another one."""
    scores: dict[tuple[str, PeopleScale], list[float]] = {}
    for rating, scale in given:
        scores.setdefault((rating.axis, scale), []).append(rating.score)
    found = []
    for (axis, scale), said in scores.items():
        if len(said) >= _MANY and max(said) <= scale.high - (scale.high - scale.low) / 4:
            message = (
                f"{axis}: of {len(said):,} human ratings none is above {max(said):g}, though the scale is taken to go from "
                f"{scale.words()}. If people used another scale, declare it: figures in points would be wrong."
            )
            found.append(Caution(code="humans_scale", message=message, count=len(said)))
    return found


def _few(items: Iterable[object]) -> str:
    """The first three of some items, and how many more there are."""
    texts = [str(item) for item in items]
    more = f" and {len(texts) - _SHOWN:,} more" if len(texts) > _SHOWN else ""
    return ", ".join(texts[:_SHOWN]) + more


def preview(file: InputFile, scale: Scales) -> Preview:
    """Read a whole file of human ratings: the first rows, every problem, the counts. Knows no run."""
    try:
        columns, delimiter = _header(file.path, file.name)
    except InputError as error:
        return Preview("Human ratings", (), {}, (), (str(error),), 0, 1)
    rows: list[Mapping[str, str]] = []
    problems: list[str] = []
    n_rows = n_problems = 0
    seen: dict[tuple[str, str, str], int] = {}
    for row, cells in csv_records(file, columns, delimiter):
        try:
            if isinstance(cells, BadRow):
                raise InputError(cells.problem, file=file.name, row=row, value=cells.value, fix=cells.fix)
            said = _checked(cells, row, file.name)
            _on_scale(said.score, scale_of(scale, said.axis), row, file.name)
            first = seen.setdefault((said.conversation, said.axis, said.rater), row)
            if first != row:
                raise InputError(f"The rating stands in row {first} already", file=file.name, row=row)
        except InputError as error:
            n_problems += 1
            problems += [str(error)] if n_problems <= _PREVIEW_PROBLEMS else []
            continue
        n_rows += 1
        if n_rows <= _PREVIEW_ROWS:
            rows.append(
                {"row": str(row), **{name: printable(cells[name], 160)[1:-1] for name in COLUMNS if name in cells}}
            )
    used = {column: column for column in COLUMNS if column in columns}
    return Preview("Human ratings", columns, used, tuple(rows), tuple(problems), n_rows, n_problems)
