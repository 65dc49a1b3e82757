"""Trained models as files: merged, whole, with their tokenizer, and computing what was trained."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from auditor.errors import ModelError
from auditor.models import ModelFile, export_folder, export_gguf, gguf_layout
from auditor.models.export_gguf import MOST_DIFFERENCE
from auditor.models.export_prompts import PROMPTS
from auditor.models.file import STARTER_SHA256
from auditor.models.folder import inspect_folder
from auditor.models.inspect import inspect
from auditor.models.library import Library
from auditor.models.llama import LabelScorer
from auditor.models.make_trainable import trainable
from auditor.models.same_tokens import first_difference
from auditor.models.torch_model import load, own_logits
from auditor.models.trainable import Trainable
from auditor.models.words import words_of
from safetensors.torch import load_file
from tests.models import small, tiny

Make = Callable[..., Trainable]
IDS = torch.tensor([[5, 9, 200, 17, 80, 33]])
_LINEAR = {"rope_type": "linear", "rope_theta": 10000.0, "factor": 2.0}
_LLAMA_3 = {
    "rope_type": "llama3",
    "rope_theta": 10000.0,
    "factor": 4.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 256,
}


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    """Loads models for training, moves what is trained, and frees them."""
    made: list[Trainable] = []

    def one(model: Path | ModelFile, **asked: Any) -> Trainable:
        file = model if isinstance(model, ModelFile) else inspect(model)
        made.append(trainable(file, device="cpu", **{"dtype": "float32", "threads": 1} | asked))
        torch.manual_seed(1)
        with torch.no_grad():
            for weight in made[-1].parameters:
                weight.add_(torch.randn_like(weight), alpha=0.02)
        return made[-1]

    yield one
    for learner in made:
        learner.close()


def _logits(module: Any) -> torch.Tensor:
    with torch.no_grad():
        found: torch.Tensor = module(input_ids=IDS, use_cache=False).logits
    return found


# ---- folders


@pytest.mark.parametrize("architecture", ["llama", "qwen2", "gpt2"])
@pytest.mark.parametrize("rank", [None, 4])
def test_a_folder_computes_what_was_trained(tmp_path: Path, make: Make, architecture: str, rank: int | None) -> None:
    source = small.write(tmp_path / "source", architecture)
    (source / "chat_template.jinja").write_text("{{ messages[0].content }}")
    learner = make(source, lora_rank=rank)
    exported = export_folder.export_folder(learner, tmp_path / "exported", "float32")
    assert exported == inspect_folder(tmp_path / "exported")
    assert exported.trained_from == inspect_folder(source).sha256
    assert exported.parameters == inspect_folder(source).parameters
    assert exported.has_chat_template
    again = load(exported, device="cpu", dtype="float32", threads=1)
    try:
        assert torch.allclose(_logits(again.module), _logits(learner.module), atol=1e-4)
        assert first_difference(again.words, learner.model.words) is None
    finally:
        again.words.close()
    assert not list((tmp_path / "exported").glob("*adapter*"))


def test_a_folder_in_bfloat16_holds_rounded_weights(tmp_path: Path, make: Make) -> None:
    learner = make(small.write(tmp_path / "source", tie_word_embeddings=True))
    exported = export_folder.export_folder(learner, tmp_path / "exported")
    assert exported.quantisation == "BF16"
    assert json.loads((tmp_path / "exported" / "config.json").read_text())["dtype"] == "bfloat16"
    weights = load_file(tmp_path / "exported" / "model.safetensors")
    assert "lm_head.weight" not in weights
    for name, weight in weights.items():
        assert torch.equal(weight, learner.named[name].detach().bfloat16()), name
    assert learner.module.dtype == torch.float32


@pytest.mark.parametrize("architecture", ["llama", "gpt2"])
@pytest.mark.parametrize("asked", [{}, {"lora_rank": 4}, {"dtype": "bfloat16"}, {"lora_rank": 4, "dtype": "bfloat16"}])
def test_a_settled_model_is_the_one_that_is_written(
    tmp_path: Path, make: Make, architecture: str, asked: dict[str, Any]
) -> None:
    """What is measured of it is measured of the file: the same bits come out when the folder is loaded."""
    learner = make(small.write(tmp_path / "source", architecture, tie_word_embeddings=True), **asked)
    trained = _logits(learner.module)
    learner.settle("bfloat16")
    settled = _logits(learner.module)
    assert torch.allclose(settled, trained, atol=0.5)
    exported = export_folder.export_folder(learner, tmp_path / "exported")
    again = load(exported, device="cpu", dtype=asked.get("dtype", "float32"), threads=1)
    try:
        assert torch.equal(_logits(again.module), settled)
    finally:
        again.words.close()
    if architecture == "llama":
        assert export_gguf.export_gguf(learner, tmp_path / "model.gguf").check.difference <= MOST_DIFFERENCE
        assert torch.equal(_logits(learner.module), settled), "writing it does not change it"


def _without(name: str, save: Callable[..., None]) -> Callable[..., None]:
    def saved(folder: Path, *, state_dict: dict[str, Any], **asked: Any) -> None:
        save(folder, state_dict={key: weight for key, weight in state_dict.items() if key != name}, **asked)

    return saved


def test_a_weight_that_was_not_written_is_missed(tmp_path: Path, make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    learner = make(small.write(tmp_path / "source"))
    name = "model.layers.1.mlp.up_proj.weight"
    monkeypatch.setattr(learner.module, "save_pretrained", _without(name, learner.module.save_pretrained))
    with pytest.raises(ModelError, match=f"1 are not in the folder .* {name}"):
        export_folder.export_folder(learner, tmp_path / "exported")
    assert sorted(found.name for found in tmp_path.iterdir()) == ["source"]


def test_a_folder_that_computes_something_else_is_never_offered(tmp_path: Path, make: Make) -> None:
    """A configuration that is not the one that was trained with: all weights are there, and mean something else."""
    learner = make(small.write(tmp_path / "source", rope_theta=10000.0))
    learner.module.config.num_key_value_heads = learner.module.config.num_attention_heads // 4
    learner.module.config.rms_norm_eps = 30.0
    with pytest.raises(ModelError):
        export_folder.export_folder(learner, tmp_path / "exported")
    learner.module.config.num_key_value_heads = 2
    with pytest.raises(ModelError, match="loaded again its next-token probabilities differ"):
        export_folder.export_folder(learner, tmp_path / "exported")
    assert sorted(found.name for found in tmp_path.iterdir()) == ["source"]


@pytest.mark.parametrize("export", [export_folder.export_folder, export_gguf.export_gguf])
def test_memory_that_runs_out_is_told(
    tmp_path: Path, make: Make, monkeypatch: pytest.MonkeyPatch, export: Callable[..., object]
) -> None:
    learner = make(small.write(tmp_path / "source"))

    def out_of_memory() -> None:
        raise torch.OutOfMemoryError("tried to allocate 28.00 GiB")

    monkeypatch.setattr(learner, "merged", out_of_memory)
    with pytest.raises(ModelError, match=r"could not be written.*28\.00 GiB"):
        export(learner, tmp_path / "exported")
    assert sorted(found.name for found in tmp_path.iterdir()) == ["source"]


def test_a_folder_that_is_there_is_left_alone(tmp_path: Path, make: Make) -> None:
    learner = make(small.write(tmp_path / "source"))
    with pytest.raises(ModelError, match="is there already"):
        export_folder.export_folder(learner, tmp_path / "source")
    assert sorted(found.name for found in tmp_path.iterdir()) == ["source"]


# ---- GGUF files


def _read(file: ModelFile, tokens: list[int]) -> np.ndarray:
    with LabelScorer(file, n_ctx=64) as scorer:
        return scorer.prefill(tokens, range(scorer.n_tokens))


@pytest.mark.parametrize(
    ("architecture", "changes"),
    [
        ("llama", {}),
        ("llama", {"tie_word_embeddings": True, "attention_bias": True}),
        ("llama", {"head_dim": 32, "rope_theta": 50000.0}),
        ("llama", {"rope_parameters": _LLAMA_3}),
        ("qwen2", {}),
        ("qwen2", {"tie_word_embeddings": True}),
    ],
)
def test_llama_cpp_reads_what_torch_computes(
    tmp_path: Path, make: Make, architecture: str, changes: dict[str, Any]
) -> None:
    learner = make(small.write(tmp_path / "source", architecture, **changes), lora_rank=4)
    exported = export_gguf.export_gguf(learner, tmp_path / "model.gguf", "F32")
    assert exported.file == inspect(tmp_path / "model.gguf")
    assert exported.file.trained_from == learner.model.file.sha256
    assert exported.check.prompts == len(PROMPTS) == 20
    assert exported.check.difference < 0.01
    assert exported.check.same_first == 20
    tokens = learner.model.words.tokenize("Answer: Ada Marsh keeps the lighthouse, the light", begin=True)
    theirs = _read(exported.file, tokens)
    assert np.abs(theirs - own_logits(learner.model, tokens)).max() < 0.02
    assert sorted(found.name for found in tmp_path.iterdir()) == ["model.gguf", "source"]


@pytest.mark.parametrize("kind", ["F16", "BF16", "Q8_0", "Q4_0"])
def test_smaller_kinds_are_compared_too(tmp_path: Path, make: Make, kind: export_gguf.GgufKind) -> None:
    learner = make(small.write(tmp_path / "source", "llama"))
    exported = export_gguf.export_gguf(learner, tmp_path / "model.gguf", kind)
    assert exported.kind == kind
    assert exported.file.quantisation == kind
    assert exported.file.trained_from == learner.model.file.sha256
    assert exported.check.prompts == 20
    if kind in {"F16", "BF16"}:
        assert exported.check.difference <= MOST_DIFFERENCE
        assert not exported.file.made_from
    else:
        assert exported.file.made_from
    assert 0 < exported.check.difference < 3  # weights of noise lose most when they are quantised


def test_a_gguf_file_gives_a_gguf_file_and_a_folder(tmp_path: Path, make: Make) -> None:
    first = make(small.write(tmp_path / "source", "llama"))
    source = export_gguf.export_gguf(first, tmp_path / "source.gguf", "F32").file
    learner = make(source, lora_rank=4)
    exported = export_gguf.export_gguf(learner, tmp_path / "trained.gguf", "F32")
    assert exported.check.difference < 0.01
    assert exported.file.trained_from == source.sha256
    folder = export_folder.export_folder(learner, tmp_path / "trained", "float32")
    again = load(folder, device="cpu", dtype="float32", threads=1)
    words = words_of(exported.file, exported.file.path)
    try:
        assert torch.allclose(_logits(again.module), _logits(learner.module), atol=1e-4)
        assert first_difference(again.words, words) is None
        assert first_difference(words, first.model.words) is None
    finally:
        again.words.close()
        words.close()


def test_a_file_that_computes_something_else_is_never_offered(
    tmp_path: Path, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Queries and keys in transformers' order are the classic mistake: llama.cpp reads them without a word."""
    learner = make(small.write(tmp_path / "source", "llama"))
    monkeypatch.setattr(gguf_layout, "_TURNED", ())
    with pytest.raises(ModelError, match=r"its logits there differ from torch's by .* Export a folder"):
        export_gguf.export_gguf(learner, tmp_path / "model.gguf", "F32")
    assert sorted(found.name for found in tmp_path.iterdir()) == ["source"]


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (
            lambda folder: small.write(folder, "gpt2"),
            r"architecture 'gpt2' is not among those that can be \(llama and qwen2\)",
        ),
        (lambda folder: tiny.write(folder, "llama"), "merges no byte pairs"),
        (lambda folder: small.write(folder, "llama", rope_parameters=_LINEAR), "positions are scaled by 'linear'"),
        (lambda folder: small.write(folder, "qwen2", use_sliding_window=True), "a sliding window"),
    ],
)
def test_what_cannot_be_written_is_named(tmp_path: Path, make: Make, write: Any, message: str) -> None:
    learner = make(write(tmp_path / "source"))
    with pytest.raises(ModelError, match=message):
        export_gguf.export_gguf(learner, tmp_path / "model.gguf")
    assert sorted(found.name for found in tmp_path.iterdir()) == ["source"]


def test_a_tokenizer_that_llama_cpp_reads_otherwise_is_refused(tmp_path: Path, make: Make) -> None:
    """A step that its metadata does not have: lower case before byte pairs."""
    source = small.write(tmp_path / "source", "llama")
    told = json.loads((source / "tokenizer.json").read_text())
    (source / "tokenizer.json").write_text(json.dumps(told | {"normalizer": {"type": "Lowercase"}}))
    learner = make(source)
    with pytest.raises(ModelError, match=r"llama\.cpp cuts the text .* into other tokens"):
        export_gguf.export_gguf(learner, tmp_path / "model.gguf")


@pytest.mark.slow
def test_the_starter_goes_out_and_comes_in_again(tmp_path: Path, make: Make, starter_model: ModelFile) -> None:
    """Trained a little, exported, compared on 20 prompts, loaded as a judge is."""
    learner = trainable(starter_model, device="cpu", dtype="float32", lora_rank=4)
    try:
        with torch.no_grad():
            for name, weight in learner.named.items():
                if "lora_B" in name:
                    weight.add_(torch.randn_like(weight), alpha=0.01)
        exported = export_gguf.export_gguf(learner, tmp_path / "trained.gguf", "BF16")
        exact = export_gguf.export_gguf(learner, tmp_path / "exact.gguf", "F32")
        folder = export_folder.export_folder(learner, tmp_path / "trained")
    finally:
        learner.close()
    assert exported.check.difference <= MOST_DIFFERENCE
    # Where llama.cpp does not round what it multiplies, every single logit agrees.
    assert exact.check.largest <= 0.05
    assert exported.file.is_starter
    assert exported.file.trained_from == STARTER_SHA256
    assert folder.is_starter
    kept = Library().add(tmp_path / "trained.gguf", name="trained")
    assert Library().get("trained") == kept
    with LabelScorer(kept, n_ctx=128) as scorer:
        tokens = scorer.tokenize("The capital of France is", special=False, begin=True)
        assert np.isfinite(scorer.prefill(tokens, range(scorer.n_tokens))).all()
