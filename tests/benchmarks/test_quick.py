"""The benchmarks do not crash, and print what they promise."""

import json
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.parametrize(
    "name",
    [
        "inputs",
        "startup",
        "lateness",
        "memory",
        "drift",
        "parity",
        "parity_inputs",
        "parity_window",
        "guard",
        "unlearning",
        "unlearning_methods",
    ],
)
def test_quick_round(name: str) -> None:
    command = [sys.executable, "-m", f"tests.benchmarks.{name}", "--quick"]
    root = Path(__file__).parents[2]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120, cwd=root)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert set(told) == {"machine", "settings", "figures", "ratios"}
    for figure in told["figures"].values():
        assert figure["min"] <= figure["median"] <= figure["max"]
