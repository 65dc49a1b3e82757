"""One step of training in three ways, and the peak memory of each.

``python -m tests.benchmarks.unlearning_steps MODEL_JSON WAY LENGTH TEXTS ANSWER_SHARE`` prints bytes: the highest resident size
of this process over two steps, so that moments are there, less what it was once the weights were (Linux).
"""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from auditor.audits.unlearning.batches import Batch, Tokens, collate
from auditor.audits.unlearning.objective_settings import PduSettings
from auditor.audits.unlearning.objectives import objective
from auditor.models import ModelFile
from auditor.models.make_trainable import trainable
from auditor.models.trainable import Trainable
from tests.models.peak import high_water

GAMMA, LAMBDA, EPSILON = 0.002, 1.0, 0.3
Step = Callable[[Batch, Batch], None]


def learner(model: ModelFile) -> Trainable:
    """A model, all weights of it, float32."""
    return trainable(model, dtype="float32", device="cpu")


def batches(model: Trainable, n: int, length: int, answer_share: float) -> tuple[Batch, Batch]:
    """Texts of random tokens to forget and to keep, each of the same length, the last part of each an answer."""
    draw = torch.Generator().manual_seed(0)
    answer_from = length - round(answer_share * length)
    texts = torch.randint(0, len(model.head_weight), (2, n, length), generator=draw).tolist()
    forget, retain = (collate([Tokens(tuple(ids), answer_from) for ids in part], pad=0) for part in texts)
    return forget, retain


def ours(model: Trainable) -> Step:
    """As the trainer does it: terms back-propagated one after the other, heads only where a loss is read, lean layers."""
    method = objective("pdu", PduSettings(epsilon=EPSILON, gamma=GAMMA, lambda_start=LAMBDA))

    def step(forget: Batch, retain: Batch) -> None:
        with model.training():
            method.backward(model, forget, retain, 1.0)

    return step


def published(model: Trainable) -> Step:
    """All logits of both batches, one backward pass."""

    def step(forget: Batch, retain: Batch) -> None:
        logits = _asked(model, forget).logits.flatten(0, 1)
        mask = (forget.labels != -100).flatten()
        margins = (logits.max(dim=-1)[0] - logits.mean(dim=-1)) ** 2
        lost = (margins * mask).sum() / mask.sum()
        kept = _asked(model, retain, labels=retain.labels).loss
        (GAMMA * lost + LAMBDA * (kept - EPSILON)).backward()

    return step


def fine_tuning(model: Trainable) -> Step:
    """The mean loss of the same texts, as transformers computes it."""

    def step(forget: Batch, retain: Batch) -> None:
        pairs = zip((forget.ids, forget.labels), (retain.ids, retain.labels), strict=True)
        ids, labels = (torch.cat(pair) for pair in pairs)
        model.module(input_ids=ids, attention_mask=torch.ones_like(ids), labels=labels, use_cache=False).loss.backward()

    return step


def _asked(model: Trainable, batch: Batch, **more: Any) -> Any:
    return model.module(input_ids=batch.ids, attention_mask=batch.attention_mask, use_cache=False, **more)


WAYS: dict[str, Callable[[Trainable], Step]] = {"ours": ours, "published": published, "fine_tuning": fine_tuning}


def optimizer(model: Trainable) -> Any:
    """The same for all ways."""
    return torch.optim.AdamW(model.parameters, lr=1e-6, weight_decay=0.01, fused=True)


def main(file: ModelFile, way: str, length: int, n: int, answer_share: float) -> int:
    """Peak above the weights, bytes."""
    model = learner(file)
    step, moments, (forget, retain) = WAYS[way](model), optimizer(model), batches(model, n, length, answer_share)
    Path("/proc/self/clear_refs").write_text("5")  # the peak so far is forgotten
    before = high_water()
    for _ in range(2):
        step(forget, retain)
        moments.step()
        moments.zero_grad()
    return high_water() - before


if __name__ == "__main__":
    asked = ModelFile.model_validate_json(sys.argv[1])
    sys.stdout.write(f"{main(asked, sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), float(sys.argv[5]))}\n")
