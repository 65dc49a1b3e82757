"""Two processes train one model as one process would; whichever of them is killed, the run goes on and ends the same."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch
from auditor.audits import unlearning
from auditor.audits.memory import MemoryContext
from auditor.audits.unlearning.together import train_together
from auditor.audits.unlearning.turns import turns
from auditor.errors import InputError, RunError
from auditor.models.training_state import Checkpoints
from auditor.models.world import ALONE, require_devices
from pydantic import ValidationError
from tests.audits.unlearning.together_child import Job, carry_out, task
from tests.models import small

pytestmark = pytest.mark.skipif(os.name == "nt", reason="processes train together under Linux and macOS")


def test_batches_are_counted_off_and_all_compute_as_often() -> None:
    assert [turns(range(4, 9), rank, 2) for rank in (0, 1)] == [[4, 6, 8], [5, 7, None]]
    assert [turns(range(1), rank, 3) for rank in (0, 1, 2)] == [[0], [None], [None]]
    assert turns(range(3), 0, 1) == [0, 1, 2]


def test_devices_that_cannot_share_the_batches_are_refused_with_the_fix() -> None:
    with pytest.raises(
        ValidationError, match=r"2 devices cannot share the 3 accumulated batches.*set the accumulation to 2 or a"
    ):
        unlearning.Spec(devices=2, accumulation=3)
    if torch.cuda.is_available():
        with pytest.raises(InputError, match="More devices are to train together"):
            require_devices(torch.cuda.device_count() + 1, "cuda")


@pytest.mark.slow
def test_two_processes_take_the_steps_of_one(tmp_path: Path) -> None:
    """Full training and adapters, methods with a reference and without, also where one has no batch left."""
    model = small.write(tmp_path / "llama")
    jobs = [
        Job(name="pdu", model=model, method="pdu", gradient_checkpointing=True),
        Job(name="rmu", model=model, method="rmu"),
        Job(name="adapters", model=model, method="npo", lora_rank=4),
    ]
    torchrun = ("-m", "torch.distributed.run", "--standalone", "--local-addr=127.0.0.1", "--nproc-per-node=2")
    given = (str(tmp_path / "two"), json.dumps([job.model_dump(mode="json") for job in jobs]))
    ran = subprocess.run(
        [sys.executable, *torchrun, "-m", "tests.audits.unlearning.together_child", *given],
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
        env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONFAULTHANDLER": "1"},
    )
    assert ran.returncode == 0, ran.stderr
    carry_out(tmp_path / "one", jobs, ALONE)
    for job in jobs:
        one, two = (_left(tmp_path / name / job.name) for name in ("one", "two"))
        assert one["weights"].keys() == two["weights"].keys()
        for name, weight in one["weights"].items():
            assert torch.allclose(weight, two["weights"][name], rtol=0, atol=1e-6), (job.name, name)
        assert len(two["devices"]) == 2
        assert two["warnings"] == one["warnings"]
        for known, found in zip(one["rows"], two["rows"], strict=True):
            for part in ("forget_loss", "retain_loss", "gradient_norm", "state"):
                assert found[part] == pytest.approx(known[part], rel=1e-5), (job.name, part)
        for known, found in zip(one["trace"], two["trace"], strict=True):
            assert found == pytest.approx(known, rel=1e-4), job.name
    assert len({row["state"]["lambda"] for row in _left(tmp_path / "two" / "pdu")["rows"]}) == 4


def _left(folder: Path) -> dict[str, Any]:
    """What a job has left."""
    weights = dict(Checkpoints(folder / "checkpoints" / "training").weights(4))
    told: dict[str, Any] = json.loads((folder / "trained.json").read_text())
    return told | {"weights": weights}


class _KillsOne(MemoryContext):
    """Kills the second process of this one once two rows have come."""

    def row(self, table: str, row: Mapping[str, Any]) -> None:
        super().row(table, row)
        if len(self.flushed[table]) == 2:
            _processes(psutil.Process())[1].kill()


@pytest.mark.slow
def test_whichever_process_is_killed_the_training_goes_on_and_ends_the_same(tmp_path: Path) -> None:
    """First the worker's whole group, which takes all along; then one that trains; the weights are those of an unbroken one."""
    model, folder = small.write(tmp_path / "llama"), tmp_path / "killed"
    command = [sys.executable, "-m", "tests.audits.unlearning.together_child", str(folder), str(model)]
    worker = subprocess.Popen(command, start_new_session=True, stderr=subprocess.PIPE)
    _once(lambda: len(list(folder.glob("checkpoints/training/step-*[1-9]"))) >= 2)
    processes = _processes(psutil.Process(worker.pid))
    assert len(processes) == 2
    os.killpg(worker.pid, signal.SIGKILL)
    worker.communicate(timeout=30)
    _, left = psutil.wait_procs(processes, timeout=30)
    assert not left, "processes must not outlive the worker"
    with pytest.raises(RunError, match="Process 2 of 2 that train together ended without a word: it was killed"):
        train_together(task(folder, model), 2, _KillsOne(seed=7, folder=folder))
    found = []
    for place in (folder, tmp_path / "unbroken"):
        context = MemoryContext(seed=7, folder=place)
        trained = train_together(task(place, model), 2, context)
        assert (trained.steps, len(trained.devices)) == (20, 2)
        assert [row.step for row in trained.rows] == list(range(1 + max((0, *trained.resumed_at)), 21))
        assert sorted(path.name for path in context.checkpoints.iterdir()) == ["training"]
        found.append((trained, dict(Checkpoints(context.checkpoints / "training").weights(20))))
    (killed, weights), (unbroken, known) = found
    assert len(killed.resumed_at) == 2
    assert not unbroken.resumed_at
    assert killed.state == unbroken.state
    assert all(torch.equal(weights[name], known[name]) for name in known)


def _processes(worker: psutil.Process) -> list[psutil.Process]:
    """Those that train, in their order."""
    found = [
        process
        for process in worker.children(recursive=True)
        if "RANK" in process.environ() and "torch.distributed.run" not in process.cmdline()
    ]
    return sorted(found, key=lambda process: int(process.environ()["RANK"]))


def _once(happened: Callable[[], bool]) -> None:
    until = time.monotonic() + 150
    while not happened():
        assert time.monotonic() < until, "it did not happen"
        time.sleep(0.01)
