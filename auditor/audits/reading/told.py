"""Errors where there is neither form nor preview: settings by other names, and every kind of problem on a line."""

import re
from collections.abc import Callable

from pydantic import BaseModel

from auditor.audits.reading.columnar import Several
from auditor.errors import InputError

#: Kinds of problem that are listed where there is no preview.
LISTED = 10
_QUOTED = re.compile("“([^“”]{1,60})”")


def told(error: InputError, spec: type[BaseModel], name_of: Callable[[str], str]) -> InputError:
    """An error for a place without form and preview.

    Parameters
    ----------
    error : InputError
        Calls settings by their title on the form, in curly quotes.
    spec : type of BaseModel
        Has these settings.
    name_of : callable
        Name of a setting in that place, from its field.
    """
    if isinstance(error, Several):
        return Several([_renamed(one, spec, name_of) for one in error.errors], error.count, listed=LISTED)
    return _renamed(error, spec, name_of)


def _renamed(error: InputError, spec: type[BaseModel], name_of: Callable[[str], str]) -> InputError:
    fields = {field.title: name for name, field in spec.model_fields.items()}

    def called(text: str) -> str:
        return _QUOTED.sub(lambda found: name_of(fields[found[1]]) if found[1] in fields else found[0], text)

    return InputError(
        called(error.problem),
        file=error.file,
        row=error.row,
        column=error.column,
        value=error.value,
        fix=None if error.fix is None else called(error.fix),
    )
