"""The wheel, installed with the constraints into a clean environment outside the checkout, passes the self-test."""

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.timeout(1800)
def test_the_wheel_passes_the_self_test_without_and_with_the_starter_model(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PYTHONPATH")
    script = Path(__file__).parents[2] / "packaging" / "check-wheel.sh"
    done = subprocess.run(["sh", str(script), sys.executable, str(home)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    without, _, with_starter = done.stdout.partition("With the starter model:")
    assert "skipped Starter model scores: it is not installed" in without
    assert without.count("ok ") == 6
    assert with_starter.count("ok ") == 7
    assert "Verified: 5 links, 2 runs" in with_starter
