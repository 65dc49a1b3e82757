"""No network: the demo passes where there is no interface at all."""

import shutil
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from auditor.case import Case, verify


@pytest.mark.slow
@pytest.mark.long
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
    assert len(reports) == 5
    for report in reports:
        assert f"Report: {report}" in done.stdout
        assert report.with_suffix(".pdf").read_bytes().startswith(b"%PDF")
    _check_what_was_unlearnt(tmp_path / "demo")


def _check_what_was_unlearnt(path: Path) -> None:
    """The starter model has learnt the sample's facts, and forgotten a part of them."""
    with Case.open(path, write=False) as opened:
        forgot, learnt = (opened.run(run.id) for run in opened.runs() if run.audit == "unlearning")
        findings = forgot.findings()
        assert learnt.findings()["state"] == "learnt"
        exports = pq.read_table(forgot.table_files()["exports"])
    head = findings["headline"]
    assert head["forget_probability_before"] > 0.8
    assert head["forget_probability_after"] < 0.05
    assert head["retain_probability_after"] > 0.95 * head["retain_probability_before"]
    assert head["retain_loss_after"] <= head["epsilon"]
    files = ["artefacts/model", "artefacts/model.gguf", "artefacts/model-Q8_0.gguf", "artefacts/model-Q4_0.gguf"]
    assert head["artefacts"] == files
    # The very files were asked: in none of them an answer came back.
    assert [file["name"] for file in findings["files"]] == files
    assert all(file["forget"]["high"] < 0.05 and file["survivors"] == 0 for file in findings["files"])
    assert findings["is_starter"]
    assert "not evidence" in findings["verdict"]["sentence"]
    assert exports["rms_difference"].to_pylist()[1] < 0.05
    assert verify(path).ok
