import shutil
from pathlib import Path

import pytest
from auditor.errors import ModelError
from auditor.models import ModelFile, starter
from auditor.models.fit import estimate, require
from auditor.models.inspect import inspect
from auditor.models.library import Library


@pytest.fixture(scope="module")
def gguf(tmp_path_factory: pytest.TempPathFactory, starter_model: ModelFile) -> Path:
    return Path(shutil.copy(starter_model.path, tmp_path_factory.mktemp("models") / "mine.gguf"))


def test_the_starter_is_listed_with_what_its_file_says(starter_model: ModelFile) -> None:
    found = inspect(starter_model.path, name="starter")
    same = found.model_dump(exclude={"held", "licence"})
    assert same == starter_model.model_dump(exclude={"held", "licence"})
    assert Library().list() == [starter_model]
    assert Library().default() == starter_model


def test_a_referenced_model_is_found_again_and_preferred_to_the_starter(gguf: Path) -> None:
    added = Library().add(gguf, name="mine")
    assert Library().get("mine") == added
    assert Library().default() == added
    assert Library().check("mine").sha256 == starter.SHA256


def test_a_copied_model_survives_its_source(gguf: Path, tmp_path: Path) -> None:
    source = Path(shutil.copy(gguf, tmp_path / "source.gguf"))
    Library().add(source, name="kept", copy=True)
    source.unlink()
    assert Library().check("kept").path.is_file()
    Library().remove("kept")
    assert [model.name for model in Library().list()] == ["starter"]


def test_a_changed_or_missing_model_is_refused(gguf: Path, tmp_path: Path) -> None:
    source = Path(shutil.copy(gguf, tmp_path / "source.gguf"))
    Library().add(source, name="mine")
    with source.open("r+b") as file:
        file.seek(90_000_000)
        file.write(b"\x00\x01\x02\x03")
    with pytest.raises(ModelError, match="has changed"):
        Library().check("mine")
    source.unlink()
    with pytest.raises(ModelError, match="is gone"):
        Library().check("mine")


def test_names_and_contents_stand_once(gguf: Path, tmp_path: Path) -> None:
    Library().add(gguf, name="mine")
    with pytest.raises(ModelError, match="another name"):
        Library().add(gguf, name="mine")
    with pytest.raises(ModelError, match="as mine"):
        Library().add(gguf, name="other")
    with pytest.raises(ModelError, match="cannot be a model's name"):
        Library().add(gguf, name="starter")


def test_what_does_not_fit_is_refused_in_a_sentence(starter_model: ModelFile) -> None:
    fit = estimate(starter_model, n_ctx=2048, free_bytes=300 * 1024**2)
    assert not fit.fits
    with pytest.raises(ModelError, match=r"needs about .* but only 0\.29 GiB are free"):
        require(fit)
