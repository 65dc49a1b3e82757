"""What is asked and found when a model file is optimised: prompts, candidates, agreement, outcome."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from auditor.models.file import Kind, ModelFile
from auditor.models.tolerance import Tolerance
from auditor.models.tree import Unit


@dataclass(frozen=True)
class PreparedPrompts:
    """Prompts on which a requantised file is compared with its original.

    Attributes
    ----------
    prefix : tuple of int
        Tokens that all prompts begin with.
    units : tuple of Unit
        A conversation each, with one suffix for each axis.
    axes : tuple of str
        What the suffixes ask about.
    labels : tuple of int
        Token ids of the scores 1, 2, ...
    n_ctx : int
        Longest prompt, tokens.
    sample : str
        What was rated, in words.
    is_bundled : bool
        Whether it is the sample that ships, for want of conversations of the person's own.
    """

    prefix: tuple[int, ...]
    units: tuple[Unit, ...]
    axes: tuple[str, ...]
    labels: tuple[int, ...]
    n_ctx: int
    sample: str
    is_bundled: bool


class Speed(BaseModel):
    """Prefill rate, tokens per second, measured in turns with the other files."""

    model_config = ConfigDict(frozen=True)

    median: float
    low: float
    high: float
    rounds: tuple[float, ...]


class Agreement(BaseModel):
    """How a candidate's ratings agree with the original's.

    Attributes
    ----------
    axis : str
        Empty for all together.
    n : int
        Ratings compared.
    same_mode : float
        Share whose most probable score is the same.
    same_or_near : float
        The same, with near ties counted as agreement: how prompts are cut into batches alone can turn them.
    difference : float
        Mean absolute difference of expected scores, points.
    """

    model_config = ConfigDict(frozen=True)

    axis: str
    n: int
    same_mode: float
    same_or_near: float
    difference: float


class Candidate(BaseModel):
    """One quantisation that was considered.

    Attributes
    ----------
    state : str
        "measured", "left out" (it does not fit, or is what the original has) or "failed".
    reason : str
        Why it was left out or failed.
    ratio : float or None
        Median over rounds of its speed over the original's.
    """

    kind: Kind
    state: Literal["waiting", "measured", "left out", "failed"] = "waiting"
    reason: str = ""
    size_bytes: int = 0
    sha256: str = ""
    speed: Speed | None = None
    ratio: float | None = None
    agreement: Agreement | None = None
    by_axis: list[Agreement] = []
    is_faster: bool = False
    is_within: bool = False


class Outcome(BaseModel):
    """What came of it.

    Attributes
    ----------
    kept : ModelFile or None
        The file as it is in the library now.
    sentence : str
        The result for people.
    cautions : list of str
        What must be known beside it.
    """

    original_name: str
    original_sha256: str
    original_quantisation: str
    original_speed: Speed | None
    tolerance: Tolerance
    sample: str
    conversations: int
    device: str
    candidates: list[Candidate]
    kept: ModelFile | None
    sentence: str
    cautions: list[str]


def agreement(axis: str, original: NDArray[np.float64], other: NDArray[np.float64], *, near_tie: float) -> Agreement:
    """Agreement of two models' label logits, each of shape (n, labels).

    The most probable score is the lower one where two are equal; the expected score is the sum of i p(i) with p the
    softmax over the labels. A changed score is a near tie where the original's probabilities of the two scores differ
    by at most `near_tie`.
    """
    p, q = _shares(original), _shares(other)
    rows = np.arange(len(p))
    before, after = p.argmax(axis=-1), q.argmax(axis=-1)
    is_near = p[rows, before] - p[rows, after] <= near_tie
    scores = np.arange(1, p.shape[-1] + 1)
    return Agreement(
        axis=axis,
        n=len(p),
        same_mode=float((before == after).mean()),
        same_or_near=float(((before == after) | is_near).mean()),
        difference=float(np.abs(p @ scores - q @ scores).mean()),
    )


def _shares(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    shares = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(shares / shares.sum(axis=-1, keepdims=True), np.float64)
