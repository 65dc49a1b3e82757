"""Folders of safetensors: read without running anything, known by their hash, refused with the fix."""

import json
import struct
from pathlib import Path

import pytest
from auditor.errors import ModelError
from auditor.models.folder import folder_sha256, inspect_folder, read_header
from auditor.models.inspect import inspect
from auditor.models.library import Library
from safetensors.torch import load_file
from tests.models.tiny import write


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write(tmp_path / "small", "qwen2")


def test_a_folder_tells_what_a_model_file_tells(folder: Path) -> None:
    model = inspect_folder(folder)
    assert (model.format, model.name, model.architecture, model.quantisation) == ("folder", "small", "qwen2", "F32")
    assert (model.layers, model.heads, model.kv_heads, model.head_dim) == (4, 4, 2, 8)
    assert (model.embedding, model.feed_forward, model.vocabulary, model.context_length) == (32, 64, 258, 512)
    assert model.parameters == sum(tensor.numel() for tensor in load_file(folder / "model.safetensors").values())
    assert inspect(folder) == model


def test_its_hash_covers_the_files_that_matter(folder: Path) -> None:
    before = folder_sha256(folder)
    (folder / "README.md").write_text("Nothing that is computed with.")
    assert folder_sha256(folder) == before
    (folder / "generation_config.json").unlink(missing_ok=True)
    assert folder_sha256(folder) == before
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"rms_norm_eps": 1e-3}))
    changed = folder_sha256(folder)
    assert changed != before
    (folder / "tokenizer_config.json").unlink()
    assert folder_sha256(folder) not in {before, changed}


def test_the_library_takes_folders(folder: Path, tmp_path: Path) -> None:
    added = Library().add(folder, name="mine")
    assert Library().get("mine") == added
    assert Library().get(str(folder)).sha256 == added.sha256
    assert Library().check("mine").format == "folder"
    assert Library().default().name == "starter"
    assert Library().default(folders=True) == added
    Library().remove("mine")
    assert folder.is_dir()
    kept = Library().add(folder, name="kept", copy=True)
    assert kept.path != folder
    (folder / "config.json").unlink()
    assert Library().check("kept").sha256 == added.sha256
    Library().remove("kept")
    assert not kept.path.exists()


def test_pickled_weights_are_never_read(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(b"\x80\x04.")
    with pytest.raises(ModelError, match=r"as pickle \(pytorch_model\.bin\).*take the safetensors"):
        inspect_folder(folder)


def test_an_incomplete_or_foreign_folder_is_refused(folder: Path) -> None:
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"a": "model-00001.safetensors"}}))
    with pytest.raises(ModelError, match=r"not complete: model-00001\.safetensors is missing"):
        inspect_folder(folder)
    index.write_text(json.dumps({"weight_map": {"a": "../model.safetensors"}}))
    with pytest.raises(ModelError, match=r"names '\.\./model\.safetensors' as a file of weights"):
        inspect_folder(folder)
    index.unlink()
    (folder / "model.safetensors").unlink()
    with pytest.raises(ModelError, match="holds no weights"):
        inspect_folder(folder)
    (folder / "config.json").unlink()
    with pytest.raises(ModelError, match=r"has no config\.json"):
        inspect_folder(folder)


def test_quantised_weights_of_other_libraries_are_refused(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"quantization_config": {"quant_method": "gptq"}}))
    with pytest.raises(ModelError, match="quantised by 'gptq'"):
        inspect_folder(folder)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "header is longer than the file"),
        (struct.pack("<Q", 2**62), "header is longer than the file"),
        (struct.pack("<Q", 4) + b"junk", "no JSON"),
        (struct.pack("<Q", 2) + b"[]", "does not describe tensors"),
        (struct.pack("<Q", 9) + b'{"a": {}}', "does not describe tensors"),
    ],
)
def test_damaged_weights_are_named(tmp_path: Path, content: bytes, problem: str) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=problem):
        read_header(path)


def test_weights_that_were_cut_short_are_named(folder: Path) -> None:
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(ModelError, match="its tensors end at byte"):
        inspect_folder(folder)
