"""A step of primal-dual unlearning on a graphics processor in bfloat16: ours, the published one, and plain fine-tuning.

``python -m tests.benchmarks.unlearning_gpu [--rank R] [--vocabulary V] [--length T] [--answers SHARE] [--rounds N]
[--device cuda] [--quick]``

A Llama of the shape of 7B with weights drawn at random (they change no time), 4 texts to forget and 4 to keep of the same
length, of which a share is the answer. --rank 0 trains all weights, else low-rank adapters: ours in the precision of the
model, the published and the plain step with PEFT's in float32, which is its default. The same AdamW on both sides, moments in
the precision of what is trained. `ours_torch` is ours without Liger's kernels. Times are of steps between two
synchronisations, peaks what torch allocated above the weights. `share_of_matrix_rate` is the products that a step needs
(attention's among them, nothing computed twice) over its time, as a share of the rate of a bfloat16 product of
8192 x 8192 x 8192 in the same run. The losses of the head alone are timed too: ours, Liger's, and with all logits.
"""

import gc
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from auditor.audits.unlearning.batches import Batch
from auditor.models import lean_layers, lora
from auditor.models.folder import inspect_folder
from auditor.models.linear_losses import Head, cross_entropy, squared_margin
from auditor.models.precision import Precision, device_name
from auditor.models.readout import take_apart
from auditor.models.torch_model import PROBE, TorchModel
from auditor.models.trainable import Trainable
from auditor.models.words import words_of
from tests.benchmarks.harness import is_quick, option, ratio, report, summary
from tests.benchmarks.unlearning_steps import batches, fine_tuning, ours, published
from tests.models import tiny
from transformers import LlamaConfig, LlamaForCausalLM

_N, _MATRIX, _GIB = 4, 8192, 1024**3
SHAPE = {
    "hidden_size": 4096,
    "intermediate_size": 11008,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 32,
    "max_position_embeddings": 4096,
}
_SMALL = {**SHAPE, "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2}
_SMALL |= {"num_attention_heads": 4, "num_key_value_heads": 4}


def synchronise(device: Any) -> None:
    """Wait for what a device is at."""
    if device.type == "cuda":
        torch.cuda.synchronize()


def timed(work: Callable[[], Any], device: Any, rounds: int, warm: int = 2) -> list[float]:
    """Seconds of each round."""
    found = []
    for _ in range(warm + rounds):
        synchronise(device)
        begun = time.perf_counter()
        work()
        synchronise(device)
        found.append(time.perf_counter() - begun)
    return found[warm:]


def model(device: Any, vocabulary: int, folder: Path) -> TorchModel:
    """A Llama with weights drawn on the device; its tokenizer is one of bytes."""
    file = inspect_folder(folder)
    # The tokenizer's special tokens lie above those of bytes.
    config = LlamaConfig(
        **(_SMALL if is_quick() else SHAPE), vocab_size=max(vocabulary, 258), tie_word_embeddings=False
    )
    torch.manual_seed(0)
    default = torch.get_default_dtype()
    torch.set_default_dtype(torch.bfloat16)
    try:
        with torch.device(device):
            module = LlamaForCausalLM(config)
    finally:
        torch.set_default_dtype(default)
    module.eval().requires_grad_(False)
    words = words_of(file, folder)
    parts = take_apart(file, module, words.tokenize(PROBE, begin=True))
    return TorchModel(file, module, words, parts, device, Precision(dtype="bfloat16"))


def learner_of(way: str, loaded: TorchModel, rank: int) -> Trainable:
    """A model to train; PEFT keeps its adapters in float32 unless told otherwise."""
    found = Trainable(loaded, lora_rank=rank or None)
    if rank and not way.startswith("ours"):
        for layer in lora.layers(found.module):
            for adapters in (layer.lora_A, layer.lora_B):
                adapters.float()
    return found


STEPS: dict[str, Callable[[Trainable], Callable[[Batch, Batch], None]]] = {
    "published": published,
    "fine_tuning": fine_tuning,
    "ours_torch": ours,
    "ours": ours,
}


def measured(way: str, device: Any, asked: dict[str, Any], folder: Path) -> tuple[list[float], float | None]:
    """Seconds of each step, and GiB above the weights; none where the device keeps no count or has no room."""
    loaded = model(device, asked["vocabulary"], folder)
    kernels = lean_layers.fused_kernels
    if way == "ours_torch":
        lean_layers.fused_kernels = lambda tensor: None
    try:
        learner = learner_of(way, loaded, asked["rank"])
        step, pair = STEPS[way](learner), batches(learner, _N, asked["length"], asked["answers"])
        forget, retain = (batch.to(device) for batch in pair)
        moments = torch.optim.AdamW(learner.parameters, lr=1e-6, weight_decay=0.01, fused=True)
        weights = _allocated(device)

        def whole() -> None:
            step(forget, retain)
            moments.step()
            moments.zero_grad()

        whole()
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats()
        seconds = timed(whole, device, asked["rounds"])
        peak = None if device.type != "cuda" else (torch.cuda.max_memory_allocated() - weights) / _GIB
        return seconds, peak
    finally:
        lean_layers.fused_kernels = kernels
        loaded.words.close()


def _allocated(device: Any) -> int:
    return int(torch.cuda.memory_allocated()) if device.type == "cuda" else 0


def products(asked: dict[str, Any], shape: dict[str, int]) -> float:
    """Floating-point operations of the matrix products that a step needs.

    2 per weight and token forward, as many for the gradient of what a layer read, and as many for its weights where they are
    trained; attention over half of all pairs of tokens; the last feed-forward part and the head for predicting tokens only, the
    head forward alone for those that are forgotten.
    """
    width, wide, n_layers = shape["hidden_size"], shape["intermediate_size"], shape["num_hidden_layers"]
    tokens, passes = 2 * _N * asked["length"], 4 if asked["rank"] else 6
    feed_forward = 3 * width * wide * (n_layers - 1 + asked["answers"])
    layers = (n_layers * 4 * width * width + feed_forward) * passes * tokens
    attention = n_layers * 2 * width * asked["length"] / 2 * 6 * tokens
    answers = _N * asked["length"] * asked["answers"]
    head = width * asked["vocabulary"] * answers * (2 + passes)
    return float(layers + attention + head)


def matrix_rate(device: Any, rounds: int) -> list[float]:
    """Operations a second of a large product in bfloat16, on random numbers."""
    side = 256 if is_quick() else _MATRIX
    left, right = (torch.randn(side, side, device=device, dtype=torch.bfloat16) for _ in range(2))
    ten = timed(lambda: [left @ right for _ in range(10)], device, rounds)
    return [10 * 2 * side**3 / seconds for seconds in ten]


def head_losses(device: Any, asked: dict[str, Any], width: int) -> dict[str, list[float]]:
    """Seconds of the losses of a batch's head with their gradients."""
    n, vocabulary = round(_N * asked["length"] * asked["answers"]), asked["vocabulary"]
    hidden = torch.randn(n, width, device=device, dtype=torch.bfloat16).requires_grad_()
    weight = (torch.randn(vocabulary, width, device=device, dtype=torch.bfloat16) / 50).requires_grad_(
        asked["rank"] == 0
    )
    targets = torch.randint(0, vocabulary, (n,), device=device)
    head = Head(weight)

    def dense_margin() -> Any:
        logits = torch.nn.functional.linear(hidden, weight)
        return (logits.max(-1)[0] - logits.mean(-1)).square().mean()

    def dense_entropy() -> Any:
        return torch.nn.functional.cross_entropy(torch.nn.functional.linear(hidden, weight).float(), targets)

    ways: dict[str, Callable[[], Any]] = {
        "margin_ours": lambda: squared_margin(hidden, 1 / n, head),
        "margin_all_logits": dense_margin,
        "entropy_ours": lambda: cross_entropy(hidden, targets, 1 / n, head),
        "entropy_all_logits": dense_entropy,
    }
    if lean_layers.kernels_used(device) == "liger":
        from liger_kernel.ops.fused_linear_cross_entropy import LigerFusedLinearCrossEntropyFunction

        ways["entropy_liger"] = lambda: LigerFusedLinearCrossEntropyFunction.apply(hidden, weight, targets)[0]

    def whole(loss: Callable[[], Any]) -> None:
        hidden.grad = weight.grad = None
        loss().backward()

    return {name: timed(lambda loss=loss: whole(loss), device, asked["rounds"]) for name, loss in ways.items()}


def main() -> None:
    """Measure."""
    small = is_quick()
    device = torch.device(option("--device", "cpu" if small else "cuda"))
    asked = {
        "rank": int(option("--rank", "16")),
        "vocabulary": int(option("--vocabulary", "300" if small else "32000")),
        "length": int(option("--length", "16" if small else "512")),
        "answers": float(option("--answers", "0.5")),
        "rounds": int(option("--rounds", "1" if small else "10")),
    }
    shape = _SMALL if small else SHAPE
    figures: dict[str, Any] = {}
    seconds: dict[str, list[float]] = {}
    peaks: dict[str, float | None] = {}
    rates = matrix_rate(device, asked["rounds"])
    figures["matrix_rate"] = summary([rate / 1e12 for rate in rates], "TFLOP/s")
    with tempfile.TemporaryDirectory() as home:
        folder = tiny.write(Path(home) / "tiny", "llama")
        for way in STEPS:
            seconds[way], peaks[way] = measured(way, device, asked, folder)
            gc.collect()
            if device.type == "cuda":
                torch.cuda.empty_cache()
            figures[f"step_{way}"] = summary(seconds[way], "s")
            figures[f"tokens_{way}"] = summary([2 * _N * asked["length"] / found for found in seconds[way]], "tokens/s")
            if (peak := peaks[way]) is not None:
                figures[f"memory_{way}"] = {"value": peak, "unit": "GiB above the weights"}
    for name, found in head_losses(device, asked, shape["hidden_size"]).items():
        figures[f"head_{name}"] = summary([1000 * value for value in found], "ms")
    needed = products(asked, shape)
    ratios: dict[str, Any] = {
        "share_of_matrix_rate": ratio([needed / found for found in seconds["ours"]], rates),
        "share_of_matrix_rate_published": ratio([needed / found for found in seconds["published"]], rates),
    }
    for way in ("published", "fine_tuning", "ours_torch"):
        ratios[f"step_vs_{way}"] = ratio(seconds[way], seconds["ours"])
        if (ours_peak := peaks["ours"]) is not None and (theirs := peaks[way]) is not None:
            ratios[f"memory_vs_{way}"] = ours_peak / theirs
    settings = {"model": shape, "texts": f"{_N} + {_N}", **asked, "kernels": lean_layers.kernels_used(device)}
    report(settings | {"device": device_name(device)}, figures, ratios)


if __name__ == "__main__":
    main()
