"""A disk that fills up while a run writes: a clear sentence, the case opens, nothing rated is lost."""

import errno
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from auditor.case import Case, verify
from auditor.models import ModelFile
from auditor.runs.contract import RunState
from auditor.runs.local import LocalExecutor
from tests.conftest import SAMPLE


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of two megabytes."""
    folder = tmp_path / "small"
    folder.mkdir()
    if os.name == "nt" or os.geteuid() != 0:
        pytest.skip("mounting a small file system needs root")
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", folder], check=False, capture_output=True
    )
    if mounted.returncode:
        pytest.skip(f"no small file system can be mounted here: {mounted.stderr.decode().strip()}")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def fill(path: Path) -> None:
    """Write until the disk is full."""
    with path.open("wb", buffering=0) as file:
        size = 65536
        while size:
            try:
                file.write(b"x" * size)
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise
                size //= 2


@pytest.mark.slow
def test_a_full_disk_is_named_and_the_run_goes_on_once_there_is_room(
    small_disk: Path, starter_model: ModelFile
) -> None:
    executor = LocalExecutor()
    filler = small_disk / "filler"
    with Case.create(small_disk / "case") as case:
        run = case.new_run("rating", {"limit": 12}, {"conversations": SAMPLE}, {"judge": starter_model}, seed=0)
        executor.start(run.path)
        while sum(event["kind"] == "row" and event["table"] == "ratings" for event in run.events()) < 6:
            time.sleep(0.05)
        fill(filler)
        status = executor.wait(run.path, 120)
        assert status.state is RunState.FAILED, status
        assert "The disk is full" in status.message
        assert "resume" in status.message
        kept = [event["row"] for event in run.events() if event["kind"] == "row"]
        assert len(kept) >= 6
    # The case opens on the full disk, at least for reading.
    with Case.open(small_disk / "case", write=False) as reader:
        assert reader.runs()[0].state is RunState.FAILED
    filler.unlink()
    with Case.open(small_disk / "case") as case:
        executor.start(run.path)
        assert executor.wait(run.path, 120).state is RunState.DONE
        rows = [event["row"] for event in run.events() if event["kind"] == "row"]
        assert rows[: len(kept)] == kept
        assert sum("axis" in row for row in rows) == 36
        case.link_pending()
    assert verify(small_disk / "case").ok
