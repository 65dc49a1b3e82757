"""A disk that fills up when the model is trained: the run stops there, and makes what is missing once there is room."""

import errno
from pathlib import Path
from typing import Any

import pytest
from auditor.audits import InputFile, unlearning
from auditor.audits.unlearning.findings import UnlearningFindings
from auditor.models import ModelFile, export_gguf
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
