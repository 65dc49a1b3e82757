"""Small models of many architectures with random weights: every layer is read, batched, behind a prefix, and early."""

from pathlib import Path

import numpy as np
import pytest
import torch
from auditor.errors import ModelError
from auditor.models.exits import Prompt, Stop, open_scorer
from auditor.models.folder import inspect_folder
from auditor.models.torch_model import load, own_logits
from safetensors.torch import load_file, save_file
from tests.models.tiny import CONFIGS, write

LABELS = [(3,), (7, 9), (11,)]
#: Logits are near 1; float32.
TOLERANCE = 2e-6
#: How a prefix is shared; plain attention in two parts, other kinds through a filled cache, states not at all.
_SHARED = {"gemma2": "filled cache", "gemma3_text": "filled cache", "mistral": "filled cache", "bloom": "filled cache"}
_SHARED |= {"mamba": "none"}


@pytest.mark.slow
@pytest.mark.parametrize("architecture", CONFIGS)
def test_every_way_of_reading_gives_the_models_own_numbers(tmp_path: Path, architecture: str) -> None:
    file = inspect_folder(write(tmp_path / architecture, architecture))
    loaded = load(file, device="cpu", dtype="float32", threads=1)
    with open_scorer(file, device="cpu", dtype="float32", threads=1) as scorer:
        prefix = tuple(scorer.tokenize("This is where all of the prompts begin. ", begin=True))
        prompts = [
            Prompt(prefix, tuple(scorer.tokenize("and go on: " + "abcdefgh"[:n], begin=False))) for n in range(1, 8)
        ]
        whole = [Prompt((), prompt.tokens) for prompt in prompts]
        alone = np.concatenate([scorer.scores([prompt], LABELS) for prompt in whole])
        assert scorer.n_exits == 4
        assert scorer.settings["shared_prefix"] == _SHARED.get(architecture, "attention in two parts")
        assert np.abs(scorer.scores(whole, LABELS) - alone).max() < TOLERANCE
        assert np.abs(scorer.scores(prompts, LABELS) - alone).max() < TOLERANCE
        every = [own_logits(loaded, prompt.tokens) for prompt in whole]
        own = np.array([[max(logits[token] for token in label) for label in LABELS] for logits in every])
        assert np.abs(alone[:, -1] - own).max() < TOLERANCE
        # Layers differ, so that reading the wrong one would be seen.
        assert min(np.abs(alone[:, a] - alone[:, b]).max() for a in range(4) for b in range(a)) > 100 * TOLERANCE
        for held in (False, True):
            if held:
                scorer.hold(prefix)
            for wanted in range(4):
                reached, logits = scorer.answer(prompts[3], LABELS, stop_at(wanted), first_exit=0)
                assert reached == wanted
                assert np.abs(logits - alone[3, wanted]).max() < TOLERANCE
        if architecture == "mamba":
            with pytest.raises(ModelError, match="does not tell where it attends"):
                scorer.attention(prompts[0], [(0, 3)])
        else:
            spans = [(n, n + 1) for n in range(len(prompts[0]))]
            assert np.abs(scorer.attention(prompts[0], spans) - _attention(file.path, prompts[0])).max() < TOLERANCE
    loaded.words.close()


def stop_at(wanted: int) -> Stop:
    return lambda reached, _logits: reached == wanted


def _attention(folder: Path, prompt: Prompt) -> np.ndarray:
    """Attention of the last position as transformers gives it in one pass with attention spelled out."""
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(folder, attn_implementation="eager", dtype=torch.float32).eval()
    with torch.inference_mode():
        told = model(input_ids=torch.tensor([prompt.tokens]), output_attentions=True).attentions
    return torch.stack([layer[0, :, -1] for layer in told]).numpy()


def test_a_text_is_never_read_for_special_tokens(tmp_path: Path) -> None:
    file = inspect_folder(write(tmp_path / "small", "llama"))
    with open_scorer(file, device="cpu", dtype="float32", threads=1) as scorer:
        plain = scorer.tokenize("</s>", begin=False)
        assert len(plain) == 4
        assert scorer.text(plain) == "</s>"
        begun = scorer.tokenize("</s>", begin=True)
        assert begun[1:] == plain
        assert scorer.text(begun[:1]) == "<s>"
        assert scorer.label_tokens("a") == tuple(sorted(scorer.tokenize("aA", begin=False)))
        assert scorer.label_tokens("positive") == ()


@pytest.mark.parametrize(
    ("architecture", "problem"),
    [
        ("falcon_h1", "reading its last layer does not give the model's own logits"),
        ("bert", "reading its last layer does not give the model's own logits"),
        ("t5", "cannot be loaded by transformers"),
    ],
)
def test_what_cannot_be_read_is_refused_in_a_sentence(tmp_path: Path, architecture: str, problem: str) -> None:
    """Logits multiplied in a way of its own; a head of several layers; no causal language model at all."""
    file = inspect_folder(write(tmp_path / "odd", architecture))
    with pytest.raises(ModelError, match=problem) as refused:
        open_scorer(file, device="cpu", dtype="float32", threads=1)
    assert "odd" in str(refused.value)
    assert "\n" not in str(refused.value)


def test_attention_to_what_comes_later_is_refused(tmp_path: Path) -> None:
    file = inspect_folder(write(tmp_path / "odd", "gemma2", is_causal=False))
    with pytest.raises(ModelError, match="odd cannot be read in batches: padding changes what it computes"):
        open_scorer(file, device="cpu", dtype="float32", threads=1)


def test_weights_that_are_missing_or_left_over_are_refused(tmp_path: Path) -> None:
    """transformers would draw the missing ones at random, and forget the others."""
    folder = write(tmp_path / "small", "qwen2")
    tensors = load_file(folder / "model.safetensors")
    gone = tensors.pop("model.layers.2.mlp.up_proj.weight")
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match=r"small has no weights for 'model\.layers\.2\.mlp\.up_proj\.weight'"):
        open_scorer(inspect_folder(folder), device="cpu", dtype="float32", threads=1)
    tensors["model.layers.2.mlp.up_proj.weight"] = gone
    tensors["model.layers.2.mlp.up_proj.bias"] = torch.ones(64)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match=r"small has weights that its configuration has no place for"):
        open_scorer(inspect_folder(folder), device="cpu", dtype="float32", threads=1)


def test_a_folder_that_changed_after_it_was_added_is_refused(tmp_path: Path) -> None:
    folder = write(tmp_path / "small", "llama")
    file = inspect_folder(folder)
    tensors = load_file(folder / "model.safetensors")
    tensors["model.norm.weight"] = tensors["model.norm.weight"] * 2
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match="has changed since it was added"):
        open_scorer(file, device="cpu", dtype="float32", threads=1)


def test_a_prompt_longer_than_the_context_is_refused(tmp_path: Path) -> None:
    file = inspect_folder(write(tmp_path / "small", "llama"))
    with open_scorer(file, device="cpu", dtype="float32", threads=1) as scorer:
        prompt = Prompt((), (5,) * 513)
        with pytest.raises(ModelError, match=r"513 tokens is longer than the 512"):
            scorer.scores([prompt], LABELS)
        with pytest.raises(ModelError, match=r"513 tokens is longer than the 512"):
            scorer.answer(prompt, LABELS, stop_at(0), first_exit=0)


def test_a_model_that_does_not_fit_is_refused_before_it_is_loaded(tmp_path: Path) -> None:
    file = inspect_folder(write(tmp_path / "small", "llama"))
    too_large = file.model_copy(update={"parameters": 10**13})
    with pytest.raises(ModelError, match=r"needs about .* but only .* are free"):
        open_scorer(too_large, device="cpu", dtype="bfloat16", threads=1)


def test_devices_precisions_and_backends_that_are_not_there_are_named(tmp_path: Path) -> None:
    file = inspect_folder(write(tmp_path / "small", "llama"))
    with pytest.raises(ModelError, match="no device abacus"):
        open_scorer(file, device="abacus")
    with pytest.raises(ModelError, match="no precision float8"):
        open_scorer(file, device="cpu", dtype="float8")
    with pytest.raises(ModelError, match=r"llama\.cpp runs GGUF files"):
        open_scorer(file, backend="llama.cpp")
