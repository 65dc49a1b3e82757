"""The image of every item, by a column of paths or by its id in a folder; nothing outside the folder is ever opened."""

import os
import stat
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from auditor.audits.findings import Caution
from auditor.audits.parity.data import MISSING
from auditor.audits.parity.image_files import find_images, image_beside
from auditor.audits.reading.columnar import Column, Problems, Table
from auditor.errors import InputError


def images_of(
    table: Table,
    name: str,
    item: NDArray[np.int32],
    n_items: int,
    folder: Path,
    problems: Problems,
    cautions: list[Caution],
) -> dict[int, str]:
    """Item -> path of its image, from a column of paths relative to a folder.

    Parameters
    ----------
    item : ndarray of int32, shape (n_rows,)
        Item of each row; `MISSING` rows are passed over.
    folder : Path
        Where relative paths begin. A path that leads out of it is a problem, one that leads nowhere is counted.
    """
    column = table.columns[name]
    rows = np.flatnonzero((column.codes != MISSING) & (item != MISSING))[::-1]
    of_item = np.full(n_items, MISSING, np.int32)
    of_item[item[rows]] = column.codes[rows]  # in reverse, so that the first row is written last
    paths, refused = _paths(column, folder)
    problems.add_rows(
        np.flatnonzero(np.isin(column.codes, list(refused))),
        lambda row: InputError(
            refused[int(column.codes[row])].problem,
            file=table.file,
            row=table.row(row),
            column=name,
            value=column.text(row),
            fix=refused[int(column.codes[row])].fix,
        ),
    )
    named = np.flatnonzero(of_item != MISSING)
    found = {int(number): path for number in named if (path := paths.get(int(of_item[number]))) is not None}
    if len(found) < len(named):
        count = len(named) - len(found)
        message = (
            f"Images that are not there: {count:,}. Name the folder that they lie in; the test does not need them."
        )
        cautions.append(Caution(code="images-missing", message=message, count=count))
    return found


def _paths(column: Column, folder: Path) -> tuple[dict[int, str], dict[int, InputError]]:
    """Path of each distinct text that names a file in the folder, and what is wrong with the others that are refused."""
    home = folder.resolve()
    parents: dict[str, Path | None] = {}
    paths: dict[int, str] = {}
    refused: dict[int, InputError] = {}
    for code in column.used.tolist():
        text = column.texts[code].as_py()
        parent, _, name = text.replace("\\", "/").rpartition("/")
        try:
            # Folders are followed once; only a file that is a link itself needs another look.
            if parent not in parents:
                parents[parent] = _inside(home, parent) if not text.startswith(("/", "\\")) else None
            place = parents[parent]
            path: Path | None
            if place is not None and name not in ("", ".", "..") and ":" not in name and _is_plain(place / name):
                path = place / name
            else:
                path = image_beside(text, folder)
        except InputError as error:
            refused[code] = error
            continue
        if path is not None:
            paths[code] = str(path)
    return paths, refused


def _inside(home: Path, parent: str) -> Path | None:
    """A folder within another one, its links followed; None if it is not, or cannot be."""
    try:
        place = (home / parent).resolve()
    except (OSError, RuntimeError, ValueError):
        return None
    return place if place.is_relative_to(home) else None


def _is_plain(path: Path) -> bool:
    """Whether there is a file that is no link."""
    try:
        return stat.S_ISREG(os.lstat(path).st_mode)
    except (OSError, ValueError):
        return False


def images_in(folder: Path, item_ids: tuple[str, ...], cautions: list[Caution]) -> dict[int, str]:
    """Item -> path of its image, by the item's id in a folder."""
    try:
        found = find_images(item_ids, folder)
    except InputError as error:
        cautions.append(Caution(code="images-missing", message=f"Images were not read: {error}", count=len(item_ids)))
        return {}
    return {number: str(found[name]) for number, name in enumerate(item_ids) if name in found}
