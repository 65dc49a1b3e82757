"""The benchmarks do not crash, and print what they promise."""

import json
import subprocess
import sys
from pathlib import Path

import pytest


def test_whoever_asks_for_help_is_told_and_nothing_is_measured() -> None:
    command = [sys.executable, "-m", "tests.benchmarks.startup", "--help"]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=60, cwd=Path(__file__).parents[2]
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("From the start of the process to the shown window.")
    assert "{" not in done.stdout


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
