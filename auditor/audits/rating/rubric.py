"""Rubrics: one text per score level per axis, kept in TOML files and named by their hash."""

import tomllib
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from auditor.audits import Preview
from auditor.errors import InputError, printable
from auditor.files import sha256_of_json
from auditor.resources import resource

_Text = Annotated[str, Field(min_length=1, max_length=4000)]


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
    axes: tuple[Axis, ...] = Field(min_length=1)

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


def load(path: Path | None = None) -> Rubric:
    """Read a rubric file; the one that ships when no path is given.

    Raises
    ------
    InputError
        If the file cannot be read, is not TOML, lacks a text, or names an axis twice.
    """
    path = path or resource("rubrics", "default.toml")
    try:
        rubric = Rubric.model_validate(tomllib.loads(path.read_bytes().decode()))
    except OSError as error:
        raise InputError(f"The rubric cannot be read: {error.strerror}", file=path.name) from error
    except UnicodeDecodeError as error:
        raise InputError("The rubric is not UTF-8", file=path.name, fix="Save it as UTF-8.") from error
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"The rubric is not TOML: {error}", file=path.name) from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise InputError(f"{first['msg']}", file=path.name, column=where, value=first.get("input")) from error
    names = [axis.name for axis in rubric.axes]
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"The axis {printable(name)} stands twice", file=path.name, fix="Give each its own name.")
    return rubric


def preview(path: Path) -> Preview:
    """Show a rubric before it is used: one row an axis."""
    rubric = load(path)
    rows = tuple({"axis": axis.name, "question": axis.question, "5": axis.levels[4]} for axis in rubric.axes)
    return Preview(f"Rubric: {rubric.title}", (), {}, rows, (), len(rows), 0)
