"""Where the answer looks: attention of the last position on the label words of the demonstrations, by layer and head.

Published work on misleading demonstrations finds single heads in late layers that copy their labels ("false induction
heads"); a map of the attention shows where to look. It explains nothing by itself: attention is not influence.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from auditor.audits.guard.prompts import Prompts
from auditor.audits.guard.task import Example
from auditor.audits.stages import Stages
from auditor.models.exits import Prompt, Scorer


class _Looked(BaseModel):
    """Mass on the label words of right and of corrupted demonstrations, of one query: layers by heads."""

    model_config = ConfigDict(frozen=True)

    correct: list[list[float]]
    corrupted: list[list[float]]
    n_correct: int
    n_corrupted: int


def attention_rows(
    scorer: Scorer,
    prompts: Prompts,
    queries: Sequence[Example],
    conditions: Sequence[str],
    stages: Stages,
    tell: Callable[[int], None],
) -> list[dict[str, Any]]:
    """Rows of the table of attention: condition, layer, head, and on whose labels.

    Parameters
    ----------
    queries : sequence of Example
        Over which the mass is averaged.
    conditions : sequence of str
    stages : Stages
        Each query under each condition is one.
    tell : callable
        Called with 1 after each of them.

    Raises
    ------
    ModelError
        If the model does not tell its attention.
    """
    rows = []
    for condition in conditions:
        looked = []
        for query in queries:
            name = f"attention {condition} {query.id}"
            looked.append(stages.once(name, _Looked, partial(_look, scorer, prompts, condition, query)))
            tell(1)
        rows += _rows(condition, looked)
    return rows


def _rows(condition: str, looked: Sequence[_Looked]) -> list[dict[str, Any]]:
    rows = []
    for span in ("correct", "corrupted"):
        n_labels = np.mean([getattr(one, f"n_{span}") for one in looked]) if looked else 0
        if n_labels == 0:
            continue
        mass = np.mean([getattr(one, span) for one in looked], axis=0)
        rows += [
            {
                "condition": condition,
                "layer": layer + 1,
                "head": head + 1,
                "span": span,
                "mass": float(mass[layer, head]),
                "n_labels": round(float(n_labels)),
            }
            for layer in range(mass.shape[0])
            for head in range(mass.shape[1])
        ]
    return rows


def _look(scorer: Scorer, prompts: Prompts, condition: str, query: Example) -> _Looked:
    shown, made = prompts.demonstrations(condition, query.id), prompts.encoded(condition, query)
    mass = scorer.attention(Prompt(made.prefix, made.query), made.labels).astype(np.float64)
    wrong = np.array([one.corrupted for one in shown], dtype=np.bool_)
    return _Looked(
        correct=_sum(mass, ~wrong),
        corrupted=_sum(mass, wrong),
        n_correct=int((~wrong).sum()),
        n_corrupted=int(wrong.sum()),
    )


def _sum(mass: NDArray[np.float64], chosen: NDArray[np.bool_]) -> list[list[float]]:
    """Mass on the chosen spans together; to eight digits, which is more than the model's own arithmetic has."""
    found: list[list[float]] = np.round(mass[:, :, chosen].sum(axis=-1), 8).tolist()
    return found
