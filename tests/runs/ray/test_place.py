"""Where a run and its models lie on the cluster."""

import zipfile
from pathlib import Path

import pytest
from auditor.case import Case
from auditor.errors import BackendError
from auditor.models import ModelFile
from auditor.runs.directory import RunDirectory
from auditor.runs.ray import package
from auditor.runs.ray.backend import Backend
from auditor.runs.ray.place import models_of, settle

_SHA = "a" * 64


def backend(**more: str) -> Backend:
    return Backend(name="gpu", address="https://gpu.example", **more)


def run_with(tmp_path: Path, words: Path, model: ModelFile) -> RunDirectory:
    with Case.create(tmp_path / "case") as case:
        return case.new_run("counting", {}, {"words": words}, {"model": model}, seed=0, executor="gpu")


def placed(run: RunDirectory, where: Backend, unpacked: Path) -> Path:
    asked = package.request(run, run.spec(), where, "auditor-x-1")
    return Path(models_of(run.spec(), asked, unpacked)["model"])


def test_a_model_is_found_in_the_shared_folder_then_under_its_hash_then_in_the_package(
    tmp_path: Path, words: Path
) -> None:
    shared, cache, unpacked = tmp_path / "shared", tmp_path / "cache", tmp_path / "package"
    shared.mkdir()
    cache.mkdir()
    (shared / "model.gguf").write_bytes(b"GGUF")
    model = ModelFile(name="small", path=shared / "model.gguf", sha256=_SHA, size_bytes=4)
    run = run_with(tmp_path, words, model)
    assert placed(run, backend(shared=str(shared)), unpacked) == model.path
    assert placed(run, backend(cache=str(cache)), unpacked) == unpacked / "models" / "model.gguf"
    (cache / f"{_SHA}.gguf").write_bytes(b"GGUF")
    assert placed(run, backend(cache=str(cache)), unpacked) == cache / f"{_SHA}.gguf"
    assert placed(run, backend(), unpacked) == unpacked / "models" / "model.gguf"


def test_a_large_model_needs_a_place_on_the_cluster(tmp_path: Path, words: Path) -> None:
    model = ModelFile(name="large", path=tmp_path / "m", format="folder", sha256=_SHA, size_bytes=10**10)
    run = run_with(tmp_path, words, model)
    with pytest.raises(BackendError, match="neither a shared folder that holds it nor a folder of models"):
        placed(run, backend(), tmp_path)
    with pytest.raises(BackendError, match=f"put its folder on the cluster as {tmp_path}/{_SHA}"):
        placed(run, backend(cache=str(tmp_path)), tmp_path)
    (tmp_path / _SHA).mkdir()
    assert placed(run, backend(cache=str(tmp_path)), tmp_path) == tmp_path / _SHA


def test_a_run_is_not_begun_anew_beside_rows_that_have_arrived(
    tmp_path: Path, words: Path, monkeypatch: pytest.MonkeyPatch, unpacked: Path
) -> None:
    """Rows without the checkpoints that belong to them would make wrong results."""
    run = RunDirectory(next((unpacked / "case" / "runs").iterdir()))
    monkeypatch.setenv("AUDITOR_HOME", str(tmp_path / "there"))
    asked = package.request(run, run.spec(), backend(), "auditor-x-1")
    there = settle(asked, unpacked)
    assert there.spec_file.read_bytes() == run.spec_file.read_bytes()
    assert list(there.inputs()) == ["words"]
    there.events_file.write_bytes(b"one\ntwo\n")
    (there.checkpoints / "kept").touch()
    run.events_file.write_bytes(b"one\n")
    assert settle(package.request(run, run.spec(), backend(), "auditor-x-2"), unpacked) == there
    assert (there.checkpoints / "kept").exists()
    for differs in (b"other\n", b"one\ntwo\nthree\n"):
        run.events_file.write_bytes(differs)
        with pytest.raises(BackendError, match="Start a new run"):
            settle(package.request(run, run.spec(), backend(), "auditor-x-3"), unpacked)


@pytest.fixture
def unpacked(tmp_path: Path, words: Path) -> Path:
    """A package as Ray unpacks it."""
    return unpack(tmp_path, words)[1]


def unpack(tmp_path: Path, words: Path) -> tuple[RunDirectory, Path]:
    """A run, and its package as Ray unpacks it."""
    folder = tmp_path / "unpacked"
    with Case.create(folder / "case") as case:
        run = case.new_run("counting", {}, {"words": words}, {}, seed=0, executor="gpu")
    file = tmp_path / "package.zip"
    name = package.write(file, run, run.spec(), package.request(run, run.spec(), backend(), "auditor-x-1"))
    assert name.startswith("_ray_pkg_")
    assert name == package.write(file, run, run.spec(), package.request(run, run.spec(), backend(), "auditor-x-1"))
    with zipfile.ZipFile(file) as archive:
        archive.extractall(folder)
    return run, folder
