"""Parts of a run that are done once: each result is flushed, and a resumed run takes it from there.

A result passes through JSON whether it was computed now or by an earlier process, so that a resumed run ends with the
same bytes as an unbroken one.
"""

from collections.abc import Callable
from typing import Any, TypeVar

from pydantic import TypeAdapter

from auditor.audits import Context
from auditor.errors import Cancelled

_TABLE = "stages"
T = TypeVar("T")


class Stages:
    """The stages of a run that are known already, and those that are still to come."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._known: dict[str, Any] = {row["stage"]: row["result"] for row in context.rows(_TABLE)}

    def is_done(self, name: str) -> bool:
        """Whether a stage is known already."""
        return name in self._known

    def once(self, name: str, kind: Any, make: Callable[[], T]) -> T:
        """The result of a stage; made and flushed if no earlier process did.

        Parameters
        ----------
        name : str
            Of the stage, once in a run.
        kind : type
            What pydantic reads the result as.
        make : callable

        Raises
        ------
        Cancelled
            If a person asked for it.
        """
        stop_if_asked(self._context)
        adapter: TypeAdapter[T] = TypeAdapter(kind)
        if name not in self._known:
            self._known[name] = adapter.dump_python(make(), mode="json")
            self._context.row(_TABLE, {"stage": name, "result": self._known[name]})
        return adapter.validate_python(self._known[name], strict=False)


def stop_if_asked(context: Context) -> None:
    """Look between units whether to go on.

    Raises
    ------
    Cancelled
        If not.
    """
    if context.cancelled():
        raise stopped()


def stopped() -> Cancelled:
    """What is raised where a person asked to stop."""
    return Cancelled("The run was cancelled; what was computed is kept.")
