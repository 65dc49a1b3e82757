"""GGUF files turned into weights for torch: whole or not at all, checked, and the numbers the file stands for."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from auditor.errors import ModelError
from auditor.models import ModelFile
from auditor.models.exits import open_scorer
from auditor.models.inspect import inspect
from auditor.models.library import Library
from auditor.models.torch_files import record_of, weights_folder
from auditor.models.torch_model import load, variation
from gguf import GGMLQuantizationType, GGUFReader, GGUFWriter
from tests.models.random_gguf import Shape, write

SMALL = Shape(layers=4, embedding=128, heads=4, kv_heads=2, feed_forward=256, vocabulary=512)
#: Its weights take a moment to write.
LARGER = Shape(layers=4, embedding=768, heads=12, kv_heads=4, feed_forward=2048, vocabulary=32000)
_DEQUANTISE = """
import sys
from auditor.models import ModelFile
from auditor.models.torch_files import weights_folder
print(weights_folder(ModelFile.model_validate_json(sys.argv[1])))
"""


@pytest.fixture
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home in which nothing was dequantised yet."""
    folder = tmp_path / "own-home"
    monkeypatch.setenv("AUDITOR_HOME", str(folder))
    return folder


@pytest.fixture
def small(tmp_path: Path) -> ModelFile:
    return inspect(write(tmp_path / "small.gguf", SMALL, GGMLQuantizationType.Q8_0))


def _kept(home: Path) -> list[str]:
    return sorted(found.name for found in (home / "models" / "torch").iterdir() if found.suffix != ".lock")


def test_weights_are_kept_and_made_anew_where_they_were_damaged(own_home: Path, small: ModelFile) -> None:
    folder = weights_folder(small)
    assert _kept(own_home) == [folder.name]
    shard = next(folder.glob("*.safetensors"))
    made = shard.stat().st_mtime_ns
    assert weights_folder(small) == folder
    assert shard.stat().st_mtime_ns == made
    whole = shard.read_bytes()
    with shard.open("r+b") as file:
        file.seek(len(whole) - 8)
        file.write(b"\xff" * 8)
    assert weights_folder(small) == folder
    assert shard.read_bytes() == whole
    Library().add(small.path, name="small")
    Library().remove("small")
    assert _kept(own_home) == []


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="signals")
def test_nothing_half_written_is_ever_used(own_home: Path, tmp_path: Path) -> None:
    """Killed while it writes; what it left is no model to anybody, and goes when the next one begins."""
    model = inspect(write(tmp_path / "larger.gguf", LARGER, GGMLQuantizationType.Q8_0))
    command = [sys.executable, "-c", _DEQUANTISE, model.model_dump_json()]
    at_work = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    torch_folder = own_home / "models" / "torch"
    until = time.monotonic() + 300
    while not list(torch_folder.glob("*.part/*.safetensors")):
        assert at_work.poll() is None, "it ended before it could be killed"
        assert time.monotonic() < until
        time.sleep(0.001)
    at_work.send_signal(signal.SIGKILL)
    at_work.wait()
    (left,) = torch_folder.glob("*.part")
    assert _kept(own_home) == [left.name]
    assert record_of(model) is None
    folder = weights_folder(model)
    assert _kept(own_home) == [folder.name]


def test_numbers_are_those_of_the_file(small: ModelFile, own_home: Path) -> None:
    """Random weights of one shape in float16: llama.cpp and torch compute the same up to its rounding of values."""
    assert own_home
    loaded = load(small, device="cpu", dtype="float32", threads=1)
    try:
        assert variation(loaded, ["w5 w9", "w1 w2 w3 w4 w5 w6 w7 w8 w9 w10"]) < 0.02
    finally:
        loaded.words.close()


def _with(source: Path, target: Path, *, tensor: str = "", values: "np.ndarray | None" = None, **keys: object) -> Path:
    """A copy of a small GGUF file with one more tensor or other metadata."""
    reader = GGUFReader(source)
    writer = GGUFWriter(target, "llama")
    for field in reader.fields.values():
        if field.name.startswith("GGUF.") or field.name == "general.architecture" or field.name in keys:
            continue
        writer.add_key_value(field.name, field.contents(), field.types[0], field.types[1] if field.types[1:] else None)
    for name, value in keys.items():
        kind = reader.fields[name].types[0] if name in reader.fields else None
        if kind is None:
            writer.add_string(name, str(value))
        else:
            writer.add_key_value(name, value, kind)
    for one in reader.tensors:
        writer.add_tensor(one.name, one.data, raw_dtype=one.tensor_type)
    if values is not None:
        writer.add_tensor(tensor, values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return target


def test_factors_of_rotary_frequencies_are_carried_over(tmp_path: Path, small: ModelFile, own_home: Path) -> None:
    """Llama 3.1 stores them as a tensor, which transformers' own reader forgets."""
    assert own_home
    factors = np.linspace(1, 8, SMALL.head_dim // 2, dtype=np.float32)
    scaled = inspect(_with(small.path, tmp_path / "scaled.gguf", tensor="rope_freqs.weight", values=factors))
    text = ["w1 w2 w3 w4 w5 w6 w7 w8 w9 w10 w11 w12"]
    loaded = load(scaled, device="cpu", dtype="float32", threads=1)
    try:
        assert variation(loaded, text) < 0.02
        rotary = loaded.module.model.rotary_emb
        plain = 10000.0 ** -(np.arange(0, SMALL.head_dim, 2) / SMALL.head_dim)
        assert np.allclose(rotary.inv_freq.numpy(), plain / factors, rtol=1e-5)
    finally:
        loaded.words.close()


def test_a_tensor_without_a_place_is_named(tmp_path: Path, small: ModelFile, own_home: Path) -> None:
    extra = np.ones(128, np.float32)
    odd = inspect(_with(small.path, tmp_path / "odd.gguf", tensor="blk.0.attn_sub_norm.weight", values=extra))
    with pytest.raises(ModelError, match=r"odd cannot be turned into a torch model: its tensor 'blk\.0\.attn_sub_norm"):
        open_scorer(odd, device="cpu")
    assert _kept(own_home) == []


def test_an_architecture_that_cannot_be_carried_over_is_named(small: ModelFile, own_home: Path) -> None:
    assert own_home
    strange = small.model_copy(update={"architecture": "wavenet"})
    with pytest.raises(ModelError, match=r"architecture 'wavenet' .* choose the llama\.cpp backend"):
        open_scorer(strange, device="cpu")


def test_scaled_positions_are_refused_rather_than_forgotten(tmp_path: Path, small: ModelFile, own_home: Path) -> None:
    assert own_home
    scaled = inspect(_with(small.path, tmp_path / "yarn.gguf", **{"llama.rope.scaling.type": "yarn"}))
    with pytest.raises(ModelError, match=r"yarn cannot be turned .* positions are scaled by 'yarn'"):
        open_scorer(scaled, device="cpu")
