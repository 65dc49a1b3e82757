"""Settings by the name that they have where a message is read: on the form, on the command line, in a notebook.

Messages of this package call a setting by its title on the form, in curly quotes. `told` gives an error the names of
another place.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

from pydantic import ValidationError

from auditor.audits.parity.spec import ParitySpec
from auditor.audits.reading.names import did_you_mean, nearest
from auditor.audits.reading.told import told as shared
from auditor.errors import InputError


def named(field: str) -> str:
    """A setting as messages call it: its title on the form, in curly quotes."""
    return f"“{ParitySpec.model_fields[field].title}”"


def told(error: InputError, name_of: Callable[[str], str]) -> InputError:
    """An error for a place without form and preview: settings by other names, and what the problems are, a line each kind.

    Parameters
    ----------
    name_of : callable
        Name of a setting in that place, from its field.
    """
    return shared(error, ParitySpec, name_of)


def checked(asked: Mapping[str, Any], name_of: Callable[[str], str] = named) -> ParitySpec:
    """Settings from their fields.

    Parameters
    ----------
    name_of : callable, optional
        Name of a setting in the place where an error is read, from its field: the form's title if not given.

    Raises
    ------
    InputError
        If a setting is not possible, or there is none of that name; it names the nearest ones.
    """
    try:
        return ParitySpec.model_validate(asked)
    except ValidationError as error:
        first = error.errors()[0]
    field = str(first["loc"][0])
    if first["type"] == "extra_forbidden":
        near = nearest(field, ParitySpec.model_fields, most=3)
        meant = f"Did you mean {' or '.join(name_of(name) for name in near)}? " if near else ""
        listed = ", ".join(name_of(name) for name in ParitySpec.model_fields)
        raise InputError("There is no setting of this name", value=field, fix=f"{meant}There are: {listed}.")
    message = str(first["msg"]).removeprefix("Value error, ")
    allowed = re.findall("'([^']*)'", str(first.get("ctx", {}).get("expected", "")))
    fix = did_you_mean(str(first["input"]), allowed).strip() or None
    if first["type"] == "tuple_type":
        message, fix = "It takes a list of names", f"Write [{first['input']!r}]."
    raise InputError(f"{name_of(field)}: {message}", value=_shown(first["input"]), fix=fix)


def _shown(value: Any) -> Any:
    """A value as it was given, without Python's brackets; None where there is nothing to show."""
    if value == "":
        return None
    if isinstance(value, dict):
        return ", ".join(f"{name}={part}" for name, part in value.items())
    return ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else value
