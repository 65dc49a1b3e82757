"""Rubrics: one text per score level per axis, kept in TOML files and named by their hash."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from auditor.audits import Preview
from auditor.errors import InputError, printable
from auditor.files import sha256_of_json
from auditor.resources import resource

LONGEST_TEXT, MOST_AXES = 4000, 50
#: Far more than any rubric that fits into a prompt.
_MOST_BYTES = 4 * 1024 * 1024

_Text = Annotated[str, Field(min_length=1, max_length=LONGEST_TEXT)]


class Axis(BaseModel):
    """One question about a conversation, answered from 1 to 5."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[a-z][a-z0-9_]{0,39}$", description="Name in tables and on the command line.")
    title: _Text
    question: _Text
    levels: tuple[_Text, _Text, _Text, _Text, _Text] = Field(description="What a score of 1, 2, 3, 4, 5 means.")


class Rubric(BaseModel):
    """The axes a judge is asked about."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_.-]{0,59}$")
    title: _Text
    axes: tuple[Axis, ...] = Field(min_length=1, max_length=MOST_AXES)

    @property
    def sha256(self) -> str:
        """SHA-256 of the rubric's content in canonical JSON; comments and layout of the file do not count."""
        return sha256_of_json(self.model_dump(mode="json"))

    def axis(self, name: str) -> Axis:
        """The axis of a name.

        Raises
        ------
        InputError
            If the rubric has none of that name.
        """
        for axis in self.axes:
            if axis.name == name:
                return axis
        raise InputError(
            f"The rubric {self.name} has no such axis",
            value=name,
            fix=f"It has: {', '.join(axis.name for axis in self.axes)}.",
        )


@dataclass(frozen=True)
class Problem:
    """What keeps a rubric from being used.

    Attributes
    ----------
    place : tuple
        Where: ("name",), ("axes", 0, "levels", 2), ...; places count from 0.
    sentence : str
        What is wrong, for people.
    value : object
        What stands there.
    """

    place: tuple[str | int, ...]
    sentence: str
    value: object = None

    @property
    def words(self) -> str:
        """The place as it is written in a file, counted from 1: "axis 1, level 3"."""
        names = {"axes": "axis", "levels": "level"}
        parts: list[str] = []
        for part in self.place:
            if isinstance(part, int):
                parts[-1] = f"{names.get(parts[-1], parts[-1])} {part + 1}"
            else:
                parts.append(part)
        return ", ".join(parts)


def problems(fields: Mapping[str, Any]) -> list[Problem]:
    """Everything that is wrong with the fields of a rubric, in their order; empty if it can be used."""
    found: list[Problem] = []
    try:
        Rubric.model_validate(fields)
    except ValidationError as error:
        found += [Problem(wrong["loc"], _sentence(wrong), wrong.get("input")) for wrong in error.errors()]
    known = {problem.place for problem in found}
    for place, text in _texts(fields):
        if place not in known and isinstance(text, str) and not text.strip():
            found.append(Problem(place, "This text is empty."))
    found += _twins(fields, "name", "Another axis has this name: give each its own.")
    # The judge is asked for an axis by its title: two of one title would be one question.
    found += _twins(fields, "title", "Another axis has this title, by which the judge is asked: give each its own.")
    return found


def _twins(fields: Mapping[str, Any], field: str, sentence: str) -> list[Problem]:
    """A problem for every axis whose text in a field an earlier axis has."""
    found: list[Problem] = []
    seen: set[str] = set()
    for number, axis in _axes(fields):
        text = axis.get(field)
        if isinstance(text, str):
            plain = " ".join(text.split()).casefold()
            if plain and plain in seen:
                found.append(Problem(("axes", number, field), sentence, text))
            seen.add(plain)
    return found


def _axes(fields: Mapping[str, Any]) -> list[tuple[int, Mapping[str, Any]]]:
    """What looks like an axis, with its place."""
    axes = fields.get("axes")
    listed = axes if isinstance(axes, (list, tuple)) else []
    return [(number, axis) for number, axis in enumerate(listed) if isinstance(axis, Mapping)]


def _texts(fields: Mapping[str, Any]) -> list[tuple[tuple[str | int, ...], Any]]:
    """Every text of a rubric with its place."""
    texts: list[tuple[tuple[str | int, ...], Any]] = [(("title",), fields.get("title"))]
    for number, axis in _axes(fields):
        place = ("axes", number)
        texts += [((*place, name), axis.get(name)) for name in ("title", "question")]
        levels = axis.get("levels")
        if isinstance(levels, (list, tuple)):
            texts += [((*place, "levels", level), text) for level, text in enumerate(levels)]
    return texts


_SENTENCES = {
    "string_too_short": "This text is empty.",
    "string_unicode": "It holds half of a character: type it anew.",
    "string_type": "A text is expected here.",
    "tuple_type": "A list is expected here.",
    "model_type": "An axis with name, title, question and levels is expected here.",
    "extra_forbidden": "A rubric has no such field.",
    "missing": "This field is missing.",
    "too_short": "A rubric needs at least one axis.",
    "too_long": "Five levels are needed, from 1 to 5, not more.",
}
_RUBRIC_NAME = "Small letters, digits, “.”, “_” and “-” only, a letter or digit first, at most 60."
_AXIS_NAME = "Small letters, digits and “_” only, a letter first, at most 40."


def _sentence(wrong: Any) -> str:
    """What pydantic found, in words for people."""
    place, kind, value = wrong["loc"], wrong["type"], wrong.get("input")
    if kind == "string_pattern_mismatch":
        return _RUBRIC_NAME if place == ("name",) else _AXIS_NAME
    if kind == "string_too_long":
        return f"At most {LONGEST_TEXT:,} characters can stand here; these are {len(value):,}."
    if kind == "too_long" and place == ("axes",):
        return f"A rubric has at most {MOST_AXES} axes."
    if kind == "missing" and "levels" in place:
        return "Five levels are needed, from 1 to 5."
    return _SENTENCES.get(kind, f"{wrong['msg']}.")


def checked(fields: Mapping[str, Any], file: str | None = None) -> Rubric:
    """The rubric that fields describe.

    Raises
    ------
    InputError
        Naming the first problem.
    """
    for problem in problems(fields):
        *_, last = problem.place or ("",)
        if last == "name" and "Another axis" in problem.sentence:
            raise InputError(
                f"The axis {printable(problem.value)} stands twice", file=file, fix="Give each its own name."
            )
        value = problem.value if isinstance(problem.value, (str, int, float)) else None
        raise InputError(problem.sentence.rstrip("."), file=file, column=problem.words, value=value)
    return Rubric.model_validate(fields)


def load(path: Path | None = None) -> Rubric:
    """Read a rubric file; the one that ships when no path is given.

    Raises
    ------
    InputError
        If the file cannot be read, is not TOML, lacks a text, or names an axis twice.
    """
    path = path or resource("rubrics", "default.toml")
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise InputError("The file is too large for a rubric", file=path.name, fix="Choose a rubric in TOML.")
        fields = tomllib.loads(path.read_bytes().decode())
    except OSError as error:
        raise InputError(f"The rubric cannot be read: {error.strerror}", file=path.name) from error
    except UnicodeDecodeError as error:
        raise InputError("The rubric is not UTF-8", file=path.name, fix="Save it as UTF-8.") from error
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"The rubric is not TOML: {error}", file=path.name) from error
    except RecursionError as error:
        raise InputError("The rubric is not TOML that can be read: it nests too deep", file=path.name) from error
    return checked(fields, path.name)


def to_toml(rubric: Rubric) -> str:
    """A rubric as TOML; reading it again gives the same rubric and the same hash."""
    lines = [f"name = {_quoted(rubric.name)}", f"title = {_quoted(rubric.title)}"]
    for axis in rubric.axes:
        lines += [
            "",
            "[[axes]]",
            *(f"{name} = {_quoted(getattr(axis, name))}" for name in ("name", "title", "question")),
        ]
        lines += ["levels = [", *(f"  {_quoted(text)}," for text in axis.levels), "]"]
    return "\n".join(lines) + "\n"


_ESCAPES = {'"': '\\"', "\\": "\\\\", "\b": "\\b", "\t": "\\t", "\n": "\\n", "\f": "\\f", "\r": "\\r"}


def _quoted(text: str) -> str:
    """A TOML basic string: quotes, backslashes and control characters escaped, everything else as it is."""
    return '"' + "".join(_ESCAPES.get(c) or (f"\\u{ord(c):04x}" if _is_control(c) else c) for c in text) + '"'


def _is_control(character: str) -> bool:
    # TOML allows the controls from 0x80 on as they are, but terminals may obey them.
    return character < " " or "\x7f" <= character <= "\x9f"


def preview(path: Path) -> Preview:
    """Show a rubric before it is used: one row an axis."""
    rubric = load(path)
    rows = tuple({"axis": axis.name, "question": axis.question, "5": axis.levels[4]} for axis in rubric.axes)
    return Preview(f"Rubric: {rubric.title}", (), {}, rows, (), len(rows), 0)
