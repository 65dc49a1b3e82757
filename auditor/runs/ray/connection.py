"""Whether a cluster can be used, and what it has."""

import json
import secrets
from dataclasses import dataclass
from typing import Any

from auditor import __version__
from auditor.errors import BackendError
from auditor.runs.ray.backend import Backend
from auditor.runs.ray.jobs_api import JobsApi, NotRay, Unreachable, shown
from auditor.runs.ray.package import python_version
from auditor.runs.ray.small_job import output_of

#: A job that starts nothing but Python takes a few seconds on an idle cluster.
_PROBE_SECONDS = 45.0
#: The first version of Ray whose dashboard asks for tokens.
_OLDEST = (2, 52)
_MARK = "auditor-probe "
_PROBE = (
    'python -c \'import importlib.metadata as m, json, platform; found = [d.version for d in m.distributions(name="auditor")]; '
    f'print("{_MARK}" + json.dumps([platform.python_version(), found[0] if found else None]))\''
)


@dataclass(frozen=True)
class Seen:
    """What a cluster has.

    Attributes
    ----------
    ray_version, python_version : str
        The version of Python is empty where no job could be started in time.
    nodes : int
    cpus, gpus : float
        As Ray counts them.
    gpu_names : tuple of str
        One for each graphics processor, where the cluster tells.
    memory_bytes : int
        Main memory of all nodes.
    auditor_version : str or None
        None if it is not installed, or no job could be started in time.
    """

    ray_version: str
    python_version: str
    nodes: int
    cpus: float
    gpus: float
    gpu_names: tuple[str, ...]
    memory_bytes: int
    auditor_version: str | None


def test(backend: Backend, timeout_s: float = 10) -> Seen:
    """Ask a cluster what it is and has, and start a small job on it.

    Parameters
    ----------
    timeout_s : float
        Seconds to wait for each answer; the job is waited for up to 45 s.

    Raises
    ------
    BackendError
        With a sentence: it cannot be reached, wants another token, is no Ray cluster, or has another version of Python or
        of the program.
    """
    api = JobsApi(backend, timeout_s)
    version = api.version()
    if _numbers(version.ray) < _OLDEST:
        raise NotRay(f"{backend.address} runs Ray {version.ray}: 2.52 is the first version that can be used.")
    nodes, hardware = api.nodes(), api.hardware()
    python, auditor = _probed(api)
    if python and ".".join(python.split(".")[:2]) != python_version():
        raise BackendError(
            f"{backend.name} runs Python {python}, this machine {python_version()}: results may depend on it. Start "
            f"Ray there from an environment of Python {python_version()}."
        )
    if auditor is not None and auditor != __version__:
        raise BackendError(
            f"{backend.name} has Auditor {auditor}, this machine {__version__}: install the same on both."
        )
    totals = [node.get("resources_total") for node in nodes]
    return Seen(
        ray_version=version.ray,
        python_version=python,
        nodes=len(nodes),
        cpus=_sum(totals, "CPU"),
        gpus=_sum(totals, "GPU"),
        gpu_names=_gpu_names(hardware) or _accelerators(totals),
        memory_bytes=_memory(hardware) or int(_sum(totals, "memory")),
        auditor_version=auditor,
    )


def _probed(api: JobsApi) -> tuple[str, str | None]:
    """Versions of Python and of the program where jobs run; empty and None if no job could be started in time."""
    job = f"auditor-test-{secrets.token_hex(6)}"
    try:
        api.submit(
            {
                "entrypoint": _PROBE,
                "submission_id": job,
                "runtime_env": {"env_vars": {"RAY_USAGE_STATS_ENABLED": "0"}},
                "metadata": {"job_name": "Auditor: connection test"},
            }
        )
    except Unreachable:
        # A head that has only just started takes no jobs yet.
        return "", None
    output = output_of(api, job, seconds=_PROBE_SECONDS, could_not="could not run a small job")
    return ("", None) if output is None else _told(output)


def _told(output: str) -> tuple[str, str | None]:
    for line in output.splitlines():
        if line.startswith(_MARK):
            try:
                python, auditor = json.loads(line.removeprefix(_MARK))
            except (ValueError, TypeError):
                break
            return shown(str(python), 40), None if auditor is None else shown(str(auditor), 40)
    return "", None


def _sum(totals: list[Any], name: str) -> float:
    return sum(
        float(total[name]) for total in totals if isinstance(total, dict) and isinstance(total.get(name), (int, float))
    )


def _gpu_names(hardware: list[dict[str, Any]]) -> tuple[str, ...]:
    gpus = [gpu for node in hardware for gpu in node.get("gpus") or () if isinstance(gpu, dict)]
    return tuple(shown(str(gpu["name"]), 80) for gpu in gpus if gpu.get("name"))


def _accelerators(totals: list[Any]) -> tuple[str, ...]:
    """Kinds of graphics processors, from the resources that Ray names after them."""
    kind = "accelerator_type:"
    return tuple(
        shown(name.removeprefix(kind), 80)
        for total in totals
        if isinstance(total, dict)
        for name in total
        if isinstance(name, str) and name.startswith(kind)
    )


def _memory(hardware: list[dict[str, Any]]) -> int:
    found = 0
    for node in hardware:
        memory = node.get("mem")
        if isinstance(memory, list) and memory and isinstance(memory[0], (int, float)):
            found += int(memory[0])
    return found


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in version.split(".")[:2] if number.isdigit())
