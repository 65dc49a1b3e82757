"""Executors by name."""

from auditor.runs.executor import LOCAL, Executor
from auditor.runs.local import LocalExecutor


def executor_named(name: str) -> Executor:
    """The executor of a name: "local", or a backend's.

    Raises
    ------
    BackendError
        If there is no backend of that name.
    """
    if name == LOCAL:
        return LocalExecutor()
    from auditor.runs.ray import store
    from auditor.runs.ray.executor import RayExecutor

    return RayExecutor(store.backend(name).name)
