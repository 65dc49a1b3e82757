"""How many threads a process may use."""

import os
import subprocess
import sys

import psutil
import pytest

_TOLD = "from auditor.processor import usable_cores; print(usable_cores())"


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system holds no process to some cores")
def test_a_process_that_is_held_to_one_core_uses_one_thread() -> None:
    held = f"import os; os.sched_setaffinity(0, {{min(os.sched_getaffinity(0))}}); {_TOLD}"
    assert subprocess.run([sys.executable, "-c", held], capture_output=True, text=True, check=True).stdout == "1\n"


def test_never_more_threads_than_physical_cores() -> None:
    told = subprocess.run([sys.executable, "-c", _TOLD], capture_output=True, text=True, check=True).stdout
    assert 1 <= int(told) <= (psutil.cpu_count(logical=False) or psutil.cpu_count() or 1)
