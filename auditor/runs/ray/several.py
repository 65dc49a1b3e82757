"""Processes that train together on a cluster: Ray Train, in place of torchrun. See `auditor.audits.devices`.

Runs on the cluster only, as a child of a worker: ``python -m auditor.runs.ray.several DEVICES KIND MODULE FILE``. Ray places
the processes, on one node if they fit there and on several if not; those then need the folder of the run under one path.
"""

import os
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from auditor.errors import BackendError
from auditor.runs.ray.several_process import process

#: Part of a graphics processor that a process asks for. The rest is the worker's, whose own model waits in main memory
#: meanwhile (see `auditor.runs.ray.follow`).
GPU_SHARE, WORKER_GPU_SHARE = 0.99, 0.01
_PATIENCE_SECONDS = 6 * 3600
_BACKENDS = {"cpu": "gloo", "cuda": "cpu:gloo,cuda:nccl"}


def main(arguments: list[str]) -> int:
    """Have the processes started, and wait until they have ended; returns 0 if they did as they should."""
    devices, kind, module, file = int(arguments[0]), arguments[1], arguments[2], Path(arguments[3])
    with import_module(module).Line(-1, "launch"):
        return _fit(devices, kind, module, file)


def _fit(devices: int, kind: str, module: str, file: Path) -> int:
    # What newer versions of Ray do without being asked.
    os.environ.setdefault("RAY_TRAIN_V2_ENABLED", "1")
    try:
        import ray
        from ray.train import RunConfig, ScalingConfig
        from ray.train.torch import TorchConfig, TorchTrainer
    except ImportError as error:
        raise BackendError(
            "Several devices train together on a cluster through Ray Train, which is not installed whole there: install "
            f"ray[train] on every node ({error})."
        ) from error
    ray.init()
    _require(devices, kind, ray.cluster_resources())
    variables = {name: value for name, value in os.environ.items() if name.startswith("AUDITOR_")}
    trainer = TorchTrainer(
        process,
        train_loop_config={
            "module": module,
            "file": str(file),
            "variables": variables,
            "host": ray.util.get_node_ip_address(),
            "kind": kind,
        },
        scaling_config=ScalingConfig(
            num_workers=devices,
            use_gpu=kind == "cuda",
            resources_per_worker={"CPU": 1, "GPU": GPU_SHARE} if kind == "cuda" else {"CPU": 1},
        ),
        torch_config=TorchConfig(backend=_BACKENDS[kind], timeout_s=_PATIENCE_SECONDS),
        run_config=RunConfig(name="together", storage_path=str(file.parent / "ray")),
    )
    trainer.fit()
    return 0


def _require(devices: int, kind: str, resources: dict[str, Any]) -> None:
    """Refuse what the cluster will never have room for.

    Raises
    ------
    BackendError
    """
    # The job itself takes a processor.
    there = int(resources.get("GPU", 0)) if kind == "cuda" else int(resources.get("CPU", 0)) - 1
    if devices > there:
        what = "graphics processors" if kind == "cuda" else "processors beside that of the job"
        raise BackendError(
            f"{devices:,} devices are to train together, but the cluster has {max(0, there):,} {what}: set Devices to at most "
            "as many."
        )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
