"""Room on the disk: what is estimated before a run holds all that it writes, and a disk that is too full is told before."""

import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from auditor.audits import InputFile, unlearning
from auditor.audits.memory import MemoryContext
from auditor.audits.unlearning.findings import UnlearningFindings
from auditor.audits.unlearning.room import room
from auditor.case import Case
from auditor.errors import ModelError
from auditor.models import ModelFile
from auditor.models.library import Library
from auditor.tasks_unlearning import unlearning_check
from tests.audits.unlearning.small_runs import UNLEARN
from tests.models import small

Learnt = tuple[UnlearningFindings, ModelFile]
_GIB = 1024**3


class Watched(MemoryContext):
    """Notes the most that lay in its folders when anything was told."""

    def __init__(self, model: ModelFile, folder: Path) -> None:
        super().__init__({"model": model}, seed=3, folder=folder)
        self.most = 0

    def progress(self, done: int, total: int | None, message: str = "") -> None:
        self._look()

    def row(self, table: str, row: Mapping[str, Any]) -> None:
        super().row(table, row)
        self._look()

    def _look(self) -> None:
        folders = (self.artefacts, self.checkpoints)
        self.most = max(self.most, sum(p.stat().st_size for f in folders for p in f.rglob("*") if p.is_file()))


def test_the_estimate_holds_all_that_a_run_writes(learnt: Learnt, given: dict[str, InputFile], tmp_path: Path) -> None:
    spec = unlearning.Spec(**UNLEARN | {"epochs": 4, "checkpoint_steps": 1, "probe_steps": 1, "new_tokens": 1})
    context = Watched(learnt[1], tmp_path)
    unlearning.run(spec, given, context)
    estimated = room(spec, learnt[1], _GIB)
    # Two checkpoints and the best weights lay there at once, and a third while it was written, when nobody looked.
    assert estimated.disk_bytes * 0.5 < context.most < estimated.disk_bytes


def test_a_disk_that_is_too_full_is_told_before_anything_is_loaded(
    learnt: Learnt, given: dict[str, InputFile], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = MemoryContext({"model": learnt[1]}, seed=3, folder=tmp_path)
    full = shutil.disk_usage(tmp_path)._replace(free=400 * 1024**2)
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: full)
    words = r"The run of model needs up to [\d.]+ MiB on the disk .* but only 0\.39 GiB are free .*: make room, or open a case"
    with pytest.raises(ModelError, match=words):
        unlearning.run(unlearning.Spec(**UNLEARN), given, context)
    assert not context.flushed


def test_less_is_written_with_adapters_without_files_and_when_nothing_is_forgotten(learnt: Learnt) -> None:
    large = learnt[1].model_copy(update={"parameters": 7_000_000_000})

    def most(**changes: Any) -> int:
        return room(unlearning.Spec(**changes), large, 10**15).disk_bytes

    assert most() == 48 * 7_000_000_000
    assert most(method="learn") == 36 * 7_000_000_000
    # Adapters: what counts are the files, of which a folder and one of 16 bits have two bytes a weight.
    assert 4 * 7e9 < most(lora_rank=8, quantised=()) < most(lora_rank=8) < 6 * 7e9
    assert most(lora_rank=8, gguf=False) < 2.1 * 7e9
    told = room(unlearning.Spec(), large, 100 * _GIB)
    assert not told.fits
    assert "up to 312.92 GiB on the disk" in told.sentence
    assert "train low-rank adapters (LoRA)" in told.sentence


def test_the_estimate_before_a_run_counts_a_reference_and_the_disk_of_the_case(
    learnt: Learnt, given: dict[str, InputFile], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Case.create(tmp_path / "case"):
        Library().add(learnt[1].path, name="start")
    wide = small.write(tmp_path / "wide", hidden_size=256, intermediate_size=2048, num_hidden_layers=4)
    Library().add(wide, name="wide")

    def estimate(reference: str = "") -> dict[str, Any]:
        spec = UNLEARN | {"reference_model": reference}
        files = {role: str(given[role].path) for role in ("forget", "retain")}
        asked = {"files": files, "spec": spec, "model": "start", "case": str(tmp_path / "case"), "seed": 0}
        return dict(unlearning_check(asked, lambda *_told: None))

    alone, beside = estimate(), estimate("wide")
    assert alone["fits"]
    assert re.search(r"GiB of memory, up to \d[\d.]* MiB on the disk", alone["sentence"])
    # One after the other: the larger of them counts, not their sum.
    assert alone["memory_bytes"] < beside["memory_bytes"] < 2 * alone["memory_bytes"]
    full = shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: full)
    refused = estimate()
    assert not refused["fits"]
    assert "but only 1 KiB are free and 0.5 GiB stay reserved: make room" in refused["sentence"]
