"""Rubrics that a person keeps: every saved state is a version, a file named by its content, never overwritten.

The folder is the index: ``rubrics/NAME-<first 12 digits of SHA-256>.toml`` below `auditor.models.library.home`; when a
version was saved last is the time of its file. The rubric that ships is listed with them and stays as it is.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from auditor.audits.rating.rubric import Rubric, load, to_toml
from auditor.errors import InputError
from auditor.files import read_json, write_atomic, write_json
from auditor.models.library import home
from auditor.resources import resource

#: Name of the rubric that ships.
SHIPPED = "default"
_DIGITS = 12
_DRAFT = "draft.json"
_STEM = re.compile(rf"^(?P<name>[a-z0-9][a-z0-9_.-]{{0,59}})-(?P<digits>[0-9a-f]{{{_DIGITS}}})$")


@dataclass(frozen=True)
class Version:
    """A rubric as it was saved.

    Attributes
    ----------
    name, title : str
        The rubric's own.
    axes : tuple of str
        Names of its axes.
    sha256 : str
        Hash of its content.
    path : Path
        The file.
    saved : datetime or None
        When it was saved last, UTC; None for the rubric that ships.
    """

    name: str
    title: str
    axes: tuple[str, ...]
    sha256: str
    path: Path
    saved: datetime | None

    @property
    def is_shipped(self) -> bool:
        """Whether it is the one that ships."""
        return self.saved is None


def folder() -> Path:
    """Where versions lie."""
    return home() / "rubrics"


def shipped() -> Version:
    """The rubric that ships."""
    path = resource("rubrics", "default.toml")
    return _version(load(path), path, None)


def save(rubric: Rubric) -> Version:
    """Keep a rubric as a version; content that was saved before keeps its file and becomes the newest again.

    Raises
    ------
    InputError
        If it has the name of the rubric that ships and other content, or another file stands in its place.
    OSError
        If the disk refuses.
    """
    if rubric.name == SHIPPED:
        if rubric.sha256 == (original := shipped()).sha256:
            return original
        raise InputError(
            f"The rubric {SHIPPED} ships with the program and stays as it is", fix="Give yours another name."
        )
    path = folder() / f"{rubric.name}-{rubric.sha256[:_DIGITS]}.toml"
    if path.exists():
        if _read(path).sha256 != rubric.sha256:
            raise InputError("Another rubric stands where this one would be kept", file=path.name)
        os.utime(path)
    else:
        write_atomic(path, to_toml(rubric))
    return _saved(rubric, path)


def versions() -> tuple[list[Version], list[str]]:
    """All versions, the one that ships first, then the newest; and a sentence for every file that is none."""
    found: list[tuple[int, str, Version]] = []
    problems = []
    for path in sorted(folder().glob("*.toml")):
        try:
            rubric = _read(path)
            found.append((-path.stat().st_mtime_ns, path.name, _saved(rubric, path)))
        except InputError as error:
            problems.append(str(error))
        except FileNotFoundError:
            continue  # removed since the folder was read
    return [shipped(), *(version for _, _, version in sorted(found, key=lambda item: item[:2]))], problems


def find(name_or_path: str | Path) -> Path:
    """The file of a rubric: by name (its newest version), by ``NAME-<12 digits>`` (that version), or by path.

    Raises
    ------
    InputError
        If there is none, or the version was changed after it was saved.
    """
    wanted = str(name_or_path)
    if wanted == SHIPPED:
        return shipped().path
    stem = wanted.removesuffix(".toml")
    if _STEM.match(stem) and (path := folder() / f"{stem}.toml").is_file():
        _read(path)
        return path
    named = [path for path in folder().glob("*.toml") if (m := _STEM.match(path.stem)) and m["name"] == wanted]
    if named:
        newest = max(named, key=lambda path: (path.stat().st_mtime_ns, path.name))
        _read(newest)
        return newest
    if Path(name_or_path).is_file():
        return Path(name_or_path)
    known = ", ".join(dict.fromkeys(version.name for version in versions()[0]))
    raise InputError("There is no such rubric, and no such file", value=wanted, fix=f"Kept are: {known}.")


def keep_draft(fields: Mapping[str, Any]) -> None:
    """Keep unsaved fields of a rubric, usable or not, so that they outlive a crash; there is one draft at most.

    Raises
    ------
    OSError
        If the disk refuses.
    """
    write_json(folder() / _DRAFT, dict(fields))


def draft() -> tuple[dict[str, Any], datetime] | None:
    """Fields that were left unsaved, and when they were kept (UTC); None if there are none that can be read."""
    path = folder() / _DRAFT
    try:
        fields, kept = read_json(path), datetime.fromtimestamp(path.stat().st_mtime, UTC)
    except (OSError, ValueError, RecursionError):
        return None
    texts = isinstance(fields, dict) and all(isinstance(fields.get(name), str) for name in ("name", "title"))
    return (fields, kept) if texts and _are_axes(fields.get("axes")) else None


def _are_axes(axes: object) -> bool:
    return isinstance(axes, list) and all(
        isinstance(axis, dict)
        and all(isinstance(axis.get(name), str) for name in ("name", "title", "question"))
        and isinstance(axis.get("levels"), list)
        and [type(text) for text in axis["levels"]] == [str] * 5
        for axis in axes
    )


def drop_draft() -> None:
    """Forget the draft."""
    (folder() / _DRAFT).unlink(missing_ok=True)


def free_name(wanted: str) -> str:
    """A name that no version has yet: the wanted one, else with a number behind it."""
    taken = {m["name"] for path in folder().glob("*.toml") if (m := _STEM.match(path.stem))} | {SHIPPED}
    number, name = 2, wanted
    while name in taken:
        name, number = f"{wanted}-{number}", number + 1
    return name


def _read(path: Path) -> Rubric:
    """A version, checked against its name."""
    rubric = load(path)
    if path.stem != f"{rubric.name}-{rubric.sha256[:_DIGITS]}":
        raise InputError(
            "This version of a rubric was changed after it was saved",
            file=path.name,
            fix="Move the file elsewhere and import it, so that it becomes a version of its own.",
        )
    return rubric


def _saved(rubric: Rubric, path: Path) -> Version:
    return _version(rubric, path, datetime.fromtimestamp(path.stat().st_mtime, UTC))


def _version(rubric: Rubric, path: Path, saved: datetime | None) -> Version:
    return Version(rubric.name, rubric.title, tuple(axis.name for axis in rubric.axes), rubric.sha256, path, saved)
