"""kill -9 of a worker in the middle of a permutation test: the blocks that are done are not computed again."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from auditor.audits.parity.null_blocks import FlushedBlocks
from auditor.case import Case
from auditor.runs.contract import RunState
from auditor.runs.directory import RunDirectory
from auditor.runs.local import LocalExecutor

#: Takes some seconds, so that there is time to kill it.
_SPEC = {"attribute": "tone", "permutations": 60_000, "sensitivity": False}
_SEQUENTIAL = {**_SPEC, "sequential": True}


def results(path: Path, *, bias: float) -> Path:
    """Results of 1,200 queries in two groups, five each."""
    random = np.random.default_rng(4)
    lines = ["query_id,item_id,rank,query_group,tone"]
    for query in range(1_200):
        group = ("light", "dark")[query % 2]
        for rank in range(1, 6):
            tone = group if random.random() < bias else ("light", "medium", "dark")[random.integers(3)]
            lines.append(f"q{query},i{query}-{rank},{rank},{group},{tone}")
    path.write_text("\n".join([*lines, ""]), encoding="utf-8")
    return path


def checkpoint(run: RunDirectory) -> Path | None:
    """The file of the primary test's blocks, once there is one."""
    return next(iter(run.checkpoints.glob("null-*.npy")), None)


def wait_for_blocks(executor: LocalExecutor, run: RunDirectory, n_bytes: int) -> None:
    """Wait until the file of blocks has grown to a size."""
    end = time.monotonic() + 120
    while (path := checkpoint(run)) is None or path.stat().st_size < n_bytes:
        assert executor.status(run.path).state.is_live, list(run.events())[-2:]
        assert time.monotonic() < end, "no blocks came"
        time.sleep(0.002)


def kill_worker(executor: LocalExecutor, run: RunDirectory) -> None:
    """Kill the worker as `kill -9` does."""
    (worker,) = [child for child in psutil.Process().children() if str(run.path) in child.cmdline()]
    worker.kill()
    assert executor.wait(run.path, 10).state is RunState.INTERRUPTED


def stages(run: RunDirectory) -> list[str]:
    return [event["row"]["stage"] for event in run.events() if event.get("table") == "stages"]


@pytest.mark.slow
@pytest.mark.parametrize("spec", [_SPEC, _SEQUENTIAL], ids=["all", "sequential"])
def test_a_test_that_was_killed_twice_goes_on_from_its_blocks(tmp_path: Path, spec: Mapping[str, Any]) -> None:
    # Under sequential stopping a clear difference keeps the test going, until the twentieth exceedance that never comes.
    file = results(tmp_path / "results.csv", bias=0.02 if spec is _SPEC else 0.05)
    executor = LocalExecutor()
    with Case.create(tmp_path / "case") as case:
        whole, killed = (case.new_run("parity", spec, {"results": file}, {}, seed=9) for _ in range(2))
        executor.start(whole.path)
        assert executor.wait(whole.path, 300).state is RunState.DONE
        first: list[bytes] = []
        for n_bytes in (10_000, 60_000):
            executor.start(killed.path)
            wait_for_blocks(executor, killed, n_bytes)
            kill_worker(executor, killed)
            assert "primary" not in stages(killed)
            path = checkpoint(killed)
            assert path is not None
            first.append(path.read_bytes())
        assert first[1].startswith(first[0]), "blocks that were done were written anew"
        executor.start(killed.path)
        assert executor.wait(killed.path, 300).state is RunState.DONE
    assert killed.findings_file.read_bytes() == whole.findings_file.read_bytes()
    for name, table in whole.table_files().items():
        assert killed.table_files()[name].read_bytes() == table.read_bytes(), name
    assert checkpoint(killed) is None
    executor.close()


def test_a_torn_block_is_cut_off_and_the_others_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "null.npy"
    blocks = FlushedBlocks(path)
    made = [np.random.default_rng(number).normal(size=(5, 2)) for number in range(4)]
    for block in made:
        blocks.append(block)
    whole = path.read_bytes()
    per_block = len(whole) // 4
    for torn in (1, 7, 60, per_block - 1):
        path.write_bytes(whole[: 3 * per_block + torn])
        again = FlushedBlocks(path)
        assert len(again) == 3
        again.append(made[3])
        assert path.read_bytes() == whole
        assert all((FlushedBlocks(path)[number] == block).all() for number, block in enumerate(made))
