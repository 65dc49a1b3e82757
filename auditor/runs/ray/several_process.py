"""One of the processes that train together on a cluster, started by Ray Train: see `auditor.runs.ray.several`."""

import os
from importlib import import_module
from pathlib import Path
from typing import Any

from auditor.errors import BackendError


def process(asked: dict[str, Any]) -> None:
    """What runs in each of the processes, wherever Ray has put it.

    Raises
    ------
    BackendError
        If the folder of the run is not there.
    RuntimeError
        If the training failed, which the worker has heard by then.
    """
    from ray.train.torch import get_device

    os.environ.update(asked["variables"])
    address, file = os.environ["AUDITOR_RANKS_ADDRESS"], Path(asked["file"])
    os.environ["AUDITOR_RANKS_ADDRESS"] = f"{asked['host']}:{address.rpartition(':')[2]}"
    module = import_module(asked["module"])
    if not file.is_file():
        with module.Line(int(os.environ["RANK"]), "life"):
            raise BackendError(
                f"The folder of the run is not on every node that trains ({file.parent} is missing on one): have AUDITOR_HOME "
                "lie in a folder that all nodes share, or take as few devices as one node has."
            )
    if asked["kind"] == "cuda":
        os.environ["LOCAL_RANK"] = str(get_device().index or 0)
    if module.carry_out(file) != 0:
        raise RuntimeError("the training failed")
