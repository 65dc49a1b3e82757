"""Settings as the window hands them over while a form is being filled, checked as a run would check them."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from auditor.errors import InputError

S = TypeVar("S", bound=BaseModel)


def settings_of(spec: type[S], options: Mapping[str, Any], named: Callable[[str], str]) -> S:
    """Settings from options, of which those of other names are left out.

    Parameters
    ----------
    spec : type of BaseModel
    options : mapping
        Fields, and what else the window knows.
    named : callable
        What a field is called on the form.

    Raises
    ------
    InputError
        If a setting is not possible; it calls it as the form does.
    """
    try:
        return spec.model_validate({name: value for name, value in options.items() if name in spec.model_fields})
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0]) if first["loc"] else ""
        title = named(name) if name in spec.model_fields else "The setting"
        message = str(first["msg"]).removeprefix("Value error, ")
        raise InputError(f"{title} is wrong: {message}") from error
