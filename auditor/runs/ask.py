"""Making the spec of a new run: who asks what, on which machine, with which software. Whoever carries it out tells the same."""

import os
import platform
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import psutil

from auditor.models import ModelFile
from auditor.runs.clock import utc_now
from auditor.runs.contract import Host, InputRecord, RunSpec
from auditor.runs.executor import LOCAL

#: Software that numbers or pictures depend on.
_SOFTWARE = (
    *("auditor", "llama-cpp-python", "gguf", "torch", "transformers", "tokenizers", "safetensors", "peft"),
    *("numpy", "scipy", "pyarrow", "pydantic", "ijson", "matplotlib", "typst"),
)


def new_spec(
    audit: str,
    spec: Mapping[str, Any],
    inputs: Mapping[str, InputRecord],
    models: Mapping[str, ModelFile],
    *,
    seed: int,
    device: str = "auto",
    executor: str = LOCAL,
) -> RunSpec:
    """A spec with a fresh run id: time of asking, audit, and four random bytes in hex."""
    stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    return RunSpec(
        run=f"{stamp}-{audit}-{secrets.token_hex(4)}",
        audit=audit,
        spec=dict(spec),
        inputs=dict(inputs),
        models=dict(models),
        seed=seed,
        created=utc_now(),
        versions=versions(),
        host=machine(),
        device=device,
        executor=executor,
    )


def versions() -> dict[str, str]:
    """What is installed here, distribution -> version."""
    found = {"python": platform.python_version()}
    for name in _SOFTWARE:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


def machine() -> Host:
    """What this process runs on."""
    return Host(
        system=f"{platform.system()} {platform.release()}",
        machine=platform.machine(),
        processor=processor(),
        cores=os.cpu_count() or 1,
        memory_bytes=psutil.virtual_memory().total,
    )


def processor() -> str:
    """Name of the processor, as the system gives it."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:  # noqa: PTH123 (a device of the kernel)
            for line in file:
                if line.startswith("model name"):
                    return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor()
