"""Characters that the fonts of a report or a picture lack are shown as such; they never cost the report."""

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from auditor.audits.look import shortened
from auditor.case import Case
from auditor.report.content import collect
from auditor.report.pdf import pdf
from auditor.runs.directory import RunDirectory

RARE = "졶 한국어 日本語 עברית हिन्दी ไทย 🙂 ꙮ ǅ ᚠ"


def test_a_pdf_shows_them_as_escapes(finished_case: Path, tmp_path: Path) -> None:
    with Case.open(finished_case, write=False) as case:
        content = collect(case, RunDirectory(case.runs()[0].path))
    data = pdf(replace(content, verdict=f"Said: {RARE}", subtitle="Plain é ß Ж α"))
    assert data.startswith(b"%PDF")
    if shutil.which("pdftotext") is None:
        pytest.skip("pdftotext is not installed: the text of the PDF is not read back")
    (tmp_path / "r.pdf").write_bytes(data)
    text = subprocess.run(["pdftotext", tmp_path / "r.pdf", "-"], capture_output=True, text=True, check=True).stdout
    assert "\\uc876" in text
    assert "Plain é ß Ж α" in text, "what the fonts have stays as it is"


def test_a_picture_shows_a_box() -> None:
    assert shortened("a 졶\nb é", 20) == "a □ b é"
