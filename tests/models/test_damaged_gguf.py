"""200 damaged model files: the asking process lives, and each file is named with what is wrong or read as it is."""

import struct
import tempfile
from pathlib import Path

import pytest
from auditor.errors import ModelError
from auditor.models import ModelFile
from auditor.models.inspect import inspect
from auditor.models.starter import path as starter_path
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

_HEADER_BYTES = 1_800_000  # metadata and tensor list of the starter model lie below


def _small() -> bytes:
    import numpy as np
    from gguf import GGUFWriter

    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "small.gguf"
        writer = GGUFWriter(target, "llama")
        writer.add_context_length(128)
        writer.add_embedding_length(8)
        writer.add_block_count(1)
        writer.add_head_count(2)
        writer.add_head_count_kv(1)
        writer.add_file_type(0)
        writer.add_token_list(["<s>", "</s>", *"abcdefgh"])
        writer.add_tensor("token_embd.weight", np.ones((10, 8), dtype=np.float32))
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        return target.read_bytes()


_SMALL = _small()


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    data = bytearray(_SMALL)
    match draw(st.sampled_from(["cut", "flip", "magic", "version", "tensors", "pairs", "length", "empty", "junk"])):
        case "cut":
            data = data[: draw(st.integers(0, len(data) - 1))]
        case "flip":
            for position in draw(st.lists(st.integers(0, len(data) - 1), min_size=1, max_size=6)):
                data[position] ^= 1 << draw(st.integers(0, 7))
        case "magic":
            data[:4] = draw(st.binary(min_size=4, max_size=4).filter(lambda magic: magic != b"GGUF"))
        case "version":
            data[4:8] = struct.pack("<I", draw(st.sampled_from([0, 1, 4, 99, 2**32 - 1])))
        case "tensors":
            data[8:16] = struct.pack("<Q", draw(st.sampled_from([10**6, 2**40, 2**64 - 1])))
        case "pairs":
            data[16:24] = struct.pack("<Q", draw(st.sampled_from([10**6, 2**40, 2**64 - 1])))
        case "length":
            data[24:32] = struct.pack("<Q", draw(st.sampled_from([2**31, 2**40, 2**63, 2**64 - 1])))
        case "empty":
            data = bytearray()
        case "junk":
            data = bytearray(draw(st.binary(max_size=400)))
    return bytes(data)


@pytest.mark.slow
@settings(max_examples=200, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(damaged())
def test_damage_is_named_by_the_living_process(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.gguf"
        path.write_bytes(content)
        model, refused = attempt(path)
    if model is None:
        assert refused.startswith("model.gguf ")
        kinds = ("is not a usable GGUF file: ", "cannot be used: ", "could not be read", "is no language model")
        assert any(kind in refused for kind in kinds)
        assert refused.endswith(".")
        assert "\n" not in refused
    else:
        # A flipped bit in a weight or a name leaves a readable file: it is another file, by another hash.
        assert content != _SMALL or model.architecture == "llama"
        assert len(content) >= len(_SMALL)


def attempt(path: Path) -> tuple[ModelFile | None, str]:
    try:
        return inspect(path), ""
    except ModelError as error:
        return None, str(error)


def test_the_undamaged_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "small.gguf"
    path.write_bytes(_SMALL)
    model = inspect(path)
    assert (model.architecture, model.layers, model.heads, model.kv_heads) == ("llama", 1, 2, 1)


@pytest.mark.parametrize("keep", [4, 23, 1000, 100_000, 50_000_000])
def test_a_truncated_real_model_is_refused(tmp_path: Path, keep: int) -> None:
    source = starter_path()
    assert source is not None
    path = tmp_path / "cut.gguf"
    with source.open("rb") as file:
        path.write_bytes(file.read(keep))
    with pytest.raises(ModelError, match="cut"):
        inspect(path)
