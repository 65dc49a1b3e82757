"""What a true early exit costs by the clock, on test queries: against all layers, and at fixed depths."""

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict

from auditor.audits.guard import guarded
from auditor.audits.guard.answers import Reading
from auditor.audits.guard.conditions import CORRECT, ZERO_SHOT
from auditor.audits.guard.pools import mixed
from auditor.audits.guard.prompts import Prompts
from auditor.audits.guard.spec import GuardSpec
from auditor.audits.guard.task import Example
from auditor.audits.guard.template import Encoded
from auditor.models.exits import Scorer

#: Depths that are timed beside the guard.
_DEPTHS = (0.5, 5 / 6, 1.0)
_GUARDED = "guarded"


class Timing(BaseModel):
    """Measured times.

    Attributes
    ----------
    rows : list of dict
        Of the table of timing.
    ratio : float
        Time of all guarded answers over that of all answers of the full model with the demonstrations.
    labels : list of int
        What the guard answered, query by query.
    n : int
        Queries.
    """

    model_config = ConfigDict(frozen=True)

    rows: list[dict[str, Any]]
    ratio: float
    labels: list[int]
    n: int


def conditions_of(spec: GuardSpec, queries: Sequence[Example], seed: int) -> list[str]:
    """Under which condition each query is timed: as drawn for the mixture."""
    corrupted = mixed([query.id for query in queries], spec.mixture, seed=seed)
    return [spec.conditions[0] if is_corrupted else CORRECT for is_corrupted in corrupted]


def measure(
    scorer: Scorer,
    prompts: Prompts,
    queries: Sequence[Example],
    conditions: Sequence[str],
    labels: Sequence[Sequence[int]],
    reading: Reading,
    threshold: float,
    tell: Callable[[], None],
) -> Timing:
    """Time guarded answers, the full model, and fixed depths, in turns query by query.

    Parameters
    ----------
    queries : sequence of Example
        At least one; the first one is asked once more beforehand, while libraries warm up.
    conditions : sequence of str
        Of each query.
    threshold : float
        lambda of the guard.
    tell : callable
        Called after each query.
    """
    depths = sorted({max(0, round(depth * scorer.n_exits) - 1) for depth in _DEPTHS})
    seconds: dict[str, list[float]] = {name: [] for name in (_GUARDED, *map(str, depths))}
    said: list[int] = []
    for number, (query, condition) in enumerate(zip([queries[0], *queries], [conditions[0], *conditions], strict=True)):
        made, without = prompts.encoded(condition, query), prompts.encoded(ZERO_SHOT, query)
        _hold(scorer, prompts, made, without)
        guard = partial(guarded.answer, scorer, made, without, labels, reading, threshold)
        ways: list[tuple[str, Callable[[], Any]]] = [(_GUARDED, guard)]
        ways += [(str(at), partial(guarded.full, scorer, made, labels, up_to=at)) for at in depths]
        turn = number % len(ways)
        for name, way in ways[turn:] + ways[:turn]:
            begun = time.perf_counter()
            found = way()
            if number:
                seconds[name].append(time.perf_counter() - begun)
            if number and name == _GUARDED:
                said.append(found.label)
        if number:
            tell()
    return _timing(seconds, depths, scorer.n_exits, said)


def _hold(scorer: Scorer, prompts: Prompts, made: Encoded, without: Encoded) -> None:
    """As a service would: what all queries begin with is computed beforehand."""
    if without.prefix:
        scorer.hold(without.prefix)
    if prompts.draw.is_fixed:
        scorer.hold(made.prefix)


def _timing(seconds: dict[str, list[float]], depths: Sequence[int], n_exits: int, said: list[int]) -> Timing:
    full = np.array(seconds[str(n_exits - 1)])
    rows = []
    for at in depths:
        times = np.array(seconds[str(at)])
        rows.append(
            {
                "exit": at + 1,
                "depth": (at + 1) / n_exits,
                "seconds": float(np.median(times)),
                "low": float(times.min()),
                "high": float(times.max()),
                "ratio": float(np.median(times / full)),
                "n": len(times),
            }
        )
    return Timing(rows=rows, ratio=float(np.sum(seconds[_GUARDED]) / full.sum()), labels=said, n=len(said))
