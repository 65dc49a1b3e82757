"""No network: the demo passes where there is no interface at all."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
@pytest.mark.timeout(1_200)
def test_the_demo_passes_without_any_network_interface(tmp_path: Path) -> None:
    unshare = shutil.which("unshare")
    if unshare is None or subprocess.run([unshare, "-n", "true"], check=False, capture_output=True).returncode:
        pytest.skip("no network namespace can be made here")
    command = [unshare, "-n", sys.executable, "-m", "auditor", "demo", "--case", str(tmp_path / "demo"), "--no-window"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=1_100)
    assert done.returncode == 0, done.stderr
    assert "24 last replies rated by starter" in done.stdout
    assert "the guard holds these demonstrations" in done.stdout
    assert "parity within the margin" in done.stdout
    assert "disparity detected" in done.stdout
    reports = list((tmp_path / "demo").glob("reports/*/report.html"))
    assert len(reports) == 4
    for report in reports:
        assert f"Report: {report}" in done.stdout
        assert report.with_suffix(".pdf").read_bytes().startswith(b"%PDF")
