"""Where the images of items lie: beside the table that names them, or in a folder that was dropped on the window."""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from auditor.errors import InputError

#: Endings of files that are looked at.
ENDINGS = frozenset({".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".bmp", ".tif", ".tiff"})
#: Most images that a folder may hold (ours): beyond it the folder is hardly the one that was meant.
MAX_FILES = 1_000_000


def image_beside(
    text: str, root: Path, *, file: str | None = None, row: int | None = None, column: str | None = None
) -> Path | None:
    """File that an image column names, relative to the folder of its table or of the images.

    Parameters
    ----------
    text : str
        As it stands in the table.
    root : Path
        Folder that the image must lie in.
    file, row, column : optional
        Place of the text, for the error.

    Returns
    -------
    Path or None
        None if there is no such file.

    Raises
    ------
    InputError
        If the path leads out of the folder, through .., a link or an absolute path.
    """

    def refused(problem: str, fix: str | None = None) -> InputError:
        return InputError(problem, file=file, row=row, column=column, value=text, fix=fix)

    try:
        home = root.resolve()
        path = (home / text.replace("\\", "/")).resolve()
        if not path.is_relative_to(home):
            raise refused("the image lies outside the folder", "Move it into the folder, or drop the folder it is in.")
        return path if path.is_file() else None
    except ValueError as error:  # a NUL or half a character in the path
        raise refused("this is no path") from error
    except (OSError, RuntimeError):  # too long a name; links in a circle
        return None


def find_images(ids: Iterable[str], folder: Path) -> Mapping[str, Path]:
    """Images of items in a folder and the folders below it, by name.

    An item's image is the file whose path in the folder is the item's id, with or without its ending, or else whose name
    without folder and ending is the id. Links are not followed.

    Parameters
    ----------
    ids : iterable of str
        Ids of items.
    folder : Path
        Folder that was dropped.

    Returns
    -------
    mapping of str to Path
        Only the items that have an image.

    Raises
    ------
    InputError
        If there is no such folder, it holds more than `MAX_FILES` images, or two files go by the name of one item.
    """
    if not folder.is_dir():
        raise InputError("there is no such folder", file=str(folder))
    by_path: dict[str, Path] = {}
    by_name: dict[str, list[Path]] = {}
    for path in _images_in(folder):
        inside = path.relative_to(folder)
        by_path[inside.as_posix()] = path
        for name in {path.stem, inside.with_suffix("").as_posix()}:
            by_name.setdefault(name, []).append(path)
    found: dict[str, Path] = {}
    for name in ids:
        named = [by_path[name]] if name in by_path else by_name.get(name, [])
        if len(named) > 1:
            first, second = (path.relative_to(folder).as_posix() for path in named[:2])
            problem = f"two images go by the name of item {name[:80]!r}: {first} and {second}"
            raise InputError(problem, file=folder.name, fix="Name the images in a column of the table.")
        if named:
            found[name] = named[0]
    return found


def _images_in(folder: Path) -> Iterable[Path]:
    count = 0
    for here, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            path = Path(here, name)
            if path.suffix.lower() not in ENDINGS or path.is_symlink():
                continue
            count += 1
            if count > MAX_FILES:
                raise InputError(f"the folder holds more than {MAX_FILES:,} images", file=folder.name)
            yield path
