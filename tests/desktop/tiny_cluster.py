"""A server that answers a test of its connection as a cluster of two nodes does."""

import json
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from auditor import __version__
from auditor.runs.ray.clean import MARK, VARIABLE, cleaned
from tests.runs.ray.pretender import Pretender

_GIB = 1024**3


@contextmanager
def tiny_cluster() -> Iterator[Pretender]:
    """The server; it ends with the block."""
    cluster = Pretender()
    nodes = [{"state": "ALIVE", "resources_total": {"CPU": 8.0, "GPU": gpus}} for gpus in (2.0, 0.0)]
    cluster.answers["/api/v0/nodes"] = _json({"result": True, "data": {"result": {"result": nodes}}})
    hardware = [
        {"mem": [40 * _GIB, 30 * _GIB], "gpus": [{"name": "NVIDIA H100"}, {"name": "NVIDIA H100"}]},
        {"mem": [24 * _GIB, 20 * _GIB], "gpus": []},
    ]
    cluster.answers["/nodes"] = _json({"data": {"summary": hardware}})
    probe = json.dumps([platform.python_version(), __version__])
    cluster.job["logs"] = f"auditor-probe {probe}\n"
    try:
        yield cluster
    finally:
        cluster.close()


def lie_there(cluster: Pretender, room: Path) -> None:
    """Have jobs that clear up look at, and remove from, a folder of this machine, as they do on a cluster."""

    def take(request: dict[str, Any]) -> None:
        variables = request["runtime_env"]["env_vars"]
        if VARIABLE in variables:
            told = cleaned(room, json.loads(variables[VARIABLE])).model_dump_json()
            cluster.job["logs"] = f"started\n{MARK}{told}\n"

    cluster.take = take


def _json(found: Any) -> tuple[int, dict[str, str], bytes]:
    return 200, {"Content-Type": "application/json"}, json.dumps(found).encode()
