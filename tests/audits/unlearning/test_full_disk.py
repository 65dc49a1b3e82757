"""A disk that fills up when the model is trained: the run stops there, and makes what is missing once there is room."""

import errno
import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from auditor.audits import InputFile, unlearning
from auditor.audits.memory import MemoryContext
from auditor.audits.unlearning.findings import ExportInfo, UnlearningFindings
from auditor.audits.unlearning.inputs import read
from auditor.audits.unlearning.written import Written
from auditor.models import ModelFile, export_gguf, quantise
from auditor.models.file import Kind
from tests.audits.unlearning.small_runs import UNLEARN
from tests.audits.unlearning.test_audit import Kept


def test_a_file_that_lacks_room_is_not_told_as_one_that_cannot_be_made(
    learnt: tuple[UnlearningFindings, ModelFile],
    given: dict[str, InputFile],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The run would be sealed without it, with nothing left from which it could be made."""

    def refuse(*_args: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(export_gguf, "_write", refuse)
    spec, rows = unlearning.Spec(**UNLEARN | {"gguf": True, "epochs": 1, "new_tokens": 1}), list[str]()
    with pytest.raises(OSError, match="No space left"):
        unlearning.run(spec, given, Kept(learnt[1], tmp_path, rows))
    assert '"folder"' in rows[-1]
    assert {path.name for path in (tmp_path / "artefacts").iterdir()} == {"model"}
    assert list((tmp_path / "checkpoints" / "training").iterdir())


def made_of(judge: ModelFile, context: MemoryContext) -> ExportInfo:
    """A file of a run."""
    shutil.copy(judge.path, context.artefacts / "model.gguf")
    return ExportInfo(
        name="artefacts/model.gguf", kind="GGUF, F16", sha256=judge.sha256, size_bytes=judge.path.stat().st_size
    )


def test_a_disk_that_fills_up_while_a_file_is_quantised_ends_the_run_and_leaves_no_half_of_one(
    tiny_judge: ModelFile, given: dict[str, InputFile], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """llama.cpp says no more than that it failed; here every byte that it writes meets a device without room."""
    context, spec = MemoryContext(folder=tmp_path), unlearning.Spec(**UNLEARN | {"quantised": ("Q8_0", "Q4_0")})
    source, real = made_of(tiny_judge, context), quantise.requantise

    def onto_a_full_one(path: Path, target: Path, kind: Kind, *, made_from: str) -> None:
        if kind == "Q4_0":
            target.symlink_to("/dev/full")
        real(path, target, kind, made_from=made_from)

    written = Written(spec, read(given, spec), context)
    with monkeypatch.context() as patch:
        patch.setattr(quantise, "requantise", onto_a_full_one)
        with pytest.raises(OSError, match="No space left") as caught:
            written.quantised(source)
    assert caught.value.errno == errno.ENOSPC
    assert {path.name for path in context.artefacts.iterdir()} == {"model.gguf", "model-Q8_0.gguf"}
    # Once there is room the same makes both.
    found = written.quantised(source)
    assert ([made.name for made in found.made], found.not_made) == (
        ["artefacts/model-Q8_0.gguf", "artefacts/model-Q4_0.gguf"],
        (),
    )


def test_too_little_room_is_seen_before_anything_is_quantised(
    tiny_judge: ModelFile, given: dict[str, InputFile], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context, spec = MemoryContext(folder=tmp_path), unlearning.Spec(**UNLEARN | {"quantised": ("Q8_0",)})
    source = made_of(tiny_judge, context)
    full = shutil.disk_usage(tmp_path)._replace(free=source.size_bytes // 2)
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: full)
    with pytest.raises(OSError, match="No space left"):
        Written(spec, read(given, spec), context).quantised(source)
    assert [path.name for path in context.artefacts.iterdir()] == ["model.gguf"]


def test_a_file_that_may_not_be_so_large_is_named_as_one_that_cannot_be_made(
    tiny_judge: ModelFile, tmp_path: Path
) -> None:
    """More room does not help here; the limit is one of the process, which dies with it."""
    most = tiny_judge.path.stat().st_size // 4
    asked = (
        f"requantise(Path({str(tiny_judge.path)!r}), Path({str(tmp_path / 'q8.gguf')!r}), 'Q8_0', made_from='0' * 64)"
    )
    code = f"from pathlib import Path; from auditor.models.quantise import requantise; {asked}"
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (most, most)),
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 1
    assert "File too large" in done.stderr.splitlines()[-1]
    assert list(tmp_path.iterdir()) == []
