"""Clearing up on a cluster: what of its runs is whole and sealed here may go there."""

import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pydantic import ValidationError

from auditor.errors import BackendError
from auditor.files import sha256_of
from auditor.runs import seal
from auditor.runs.directory import RunDirectory
from auditor.runs.ray.backend import Backend
from auditor.runs.ray.clean import MARK, VARIABLE, Answer, Lying
from auditor.runs.ray.jobs_api import JobsApi, Unreachable
from auditor.runs.ray.small_job import output_of

_ENTRY = "exec python -m auditor.runs.ray.clean"
#: Deleting checkpoints of hundreds of gigabytes takes its time.
_SECONDS = 900.0
_NODE = "node:"
#: Too little to take anything from a run, enough to be sent to this machine.
_SHARE = 0.001
#: As many names as a variable of the environment surely holds.
_MOST_AT_ONCE = 500
_DAY_SECONDS = 24 * 3600.0


@dataclass(frozen=True)
class Found:
    """A run that lies on a cluster.

    Attributes
    ----------
    lying : Lying
    node : str
        Resource by which Ray sends a job to its machine; empty if the cluster names none.
    stays : str
        Why it is not removed; empty if it may be.
    """

    lying: Lying
    node: str
    stays: str = ""


def find(backend: Backend, sealed: Mapping[str, RunDirectory], older_days: float = 0.0) -> list[Found]:
    """The runs that lie on a cluster, oldest first.

    Parameters
    ----------
    backend : Backend
    sealed : mapping of str to RunDirectory
        Runs that are sealed on this machine.
    older_days : float
        Younger ones stay.

    Raises
    ------
    BackendError
        If the cluster cannot be used, or does not answer as it should.
    """
    api = JobsApi(backend)
    # Machines that share a home tell of the same folders.
    found = {one.run: Found(one, node) for node in _nodes(api) for one in _asked(api, node, {}).runs}
    judged = [replace(one, stays=_why_it_stays(one.lying, sealed.get(name), older_days)) for name, one in found.items()]
    return sorted(judged, key=lambda one: -one.lying.age_s)


def remove(backend: Backend, chosen: Sequence[Found]) -> tuple[list[str], int]:
    """Remove runs of a cluster, and the inputs that only they had.

    Returns
    -------
    removed : list of str
        Those that were still there as they were found.
    freed_bytes : int

    Raises
    ------
    BackendError
    """
    api, removed, freed = JobsApi(backend), list[str](), 0
    for node in dict.fromkeys(one.node for one in chosen):
        of_node = {one.lying.run: one.lying.seal for one in chosen if one.node == node and not one.stays}
        names = list(of_node)
        for first in range(0, len(names), _MOST_AT_ONCE):
            answer = _asked(api, node, {name: str(of_node[name]) for name in names[first : first + _MOST_AT_ONCE]})
            removed += answer.removed
            freed += answer.freed_bytes
    return removed, freed


def _why_it_stays(there: Lying, here: RunDirectory | None, older_days: float) -> str:
    if there.at_work:
        return "a worker is at it"
    if there.age_s < older_days * _DAY_SECONDS:
        return "it is younger"
    if here is None:
        return "it is not sealed here"
    if there.seal is None or sha256_of(here.seal_file) != there.seal:
        return "what is sealed here is another run of this name"
    # Once it is gone there, what lies here is all there is of it.
    return "what lies here is not whole: verify the case" if seal.problems(here) else ""


# ---- there


def _nodes(api: JobsApi) -> list[str]:
    """The resource that stands for each machine of a cluster; one that is empty where none are named."""
    totals = [node.get("resources_total") for node in api.nodes()]
    named = {
        name
        for total in totals
        if isinstance(total, dict)
        for name in total
        if isinstance(name, str) and name.startswith(_NODE) and "internal_head" not in name
    }
    return sorted(named) or [""]


def _asked(api: JobsApi, node: str, wanted: Mapping[str, str]) -> Answer:
    """What the job answers that looks, and removes what is wanted, on one machine."""
    job = f"auditor-clean-{secrets.token_hex(6)}"
    request: dict[str, Any] = {
        "entrypoint": _ENTRY,
        "submission_id": job,
        "runtime_env": {"env_vars": {"RAY_USAGE_STATS_ENABLED": "0", VARIABLE: json.dumps(dict(wanted))}},
        "metadata": {"job_name": "Auditor: clearing up"},
    }
    if node:
        request["entrypoint_resources"] = {node: _SHARE}
    api.submit(request)
    output = output_of(api, job, seconds=_SECONDS, could_not="could not look what lies there")
    if output is None:
        raise Unreachable(
            f"{api.name} did not look what lies there within {_SECONDS / 60:.0f} min: it may be busy, try later."
        )
    return _told(api.name, output)


def _told(name: str, output: str) -> Answer:
    for line in output.splitlines():
        if line.startswith(MARK):
            try:
                return Answer.model_validate_json(line.removeprefix(MARK))
            except ValidationError:
                break
    raise BackendError(f"{name} did not say what lies there: see that Auditor is installed there, in this version.")
