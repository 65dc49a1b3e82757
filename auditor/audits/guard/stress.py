"""What bad demonstrations do without the guard and with it: accuracy, risk, harm and cost on the test queries.

Every figure is that of queries which took no part in the choice of the threshold. Shares of queries have exact intervals
(Clopper-Pearson). The risk is a mean of -1, 0 and 1, shares under a mixture are means of fractions, and queries of one group
are not independent: there the interval is by betting (Waudby-Smith and Ramdas), which is valid for every n too.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from auditor.audits.guard.answers import Answers
from auditor.audits.guard.attacks import generator
from auditor.audits.guard.certificate import MIXTURE, Shares
from auditor.audits.guard.conditions import CORRECT, ZERO_SHOT, steps_of
from auditor.stats.intervals import betting_interval, clopper_pearson

Values = NDArray[np.float64]
#: A guard set to lambda = 1 is zero-shot by construction: nothing is estimated.
_NO_RISK = dict.fromkeys(("risk_guarded", "risk_low", "risk_high", "harm_guarded", "harm_low", "harm_high"), 0.0)


@dataclass(frozen=True)
class Bounds:
    """A mean with its interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, eq=False)
class Measured:
    """Means over some queries, with intervals.

    Attributes
    ----------
    places : ndarray of int64, shape (m,)
        Of the queries.
    unit : ndarray of int64, shape (n,)
        Group of every query.
    confidence : float
    seed : int
        Of the order in which bets are placed.
    largest : int
        Queries in the largest group there can be.
    """

    places: NDArray[np.int64]
    unit: NDArray[np.int64]
    confidence: float
    seed: int
    largest: int

    def share(self, values: Values, *, whole: bool = True) -> Bounds:
        """Of numbers from 0 to 1, shape (n,): exact where queries stand for themselves and each says yes or no.

        Parameters
        ----------
        whole : bool
            Whether they are 0 or 1 by construction; it must not be looked up in them.
        """
        of_part = values[self.places]
        if whole and self.largest == 1:
            low, high = clopper_pearson(int(of_part.sum()), len(of_part), self.confidence)
            return Bounds(float(of_part.mean()), low, high)
        low_, high_ = self.bounds(values[None], least=0.0)
        return Bounds(float(of_part.mean()), float(low_[0]), float(high_[0]))

    def risk(self, losses: Values) -> Bounds:
        """Of losses from -1 to 1, shape (n,)."""
        low, high = self.bounds(losses[None], least=-1.0)
        return Bounds(float(losses[self.places].mean()), float(low[0]), float(high[0]))

    def bounds(self, values: Values, *, least: float) -> tuple[Values, Values]:
        """Intervals of the means of rows, shape (k, n) -> (k,) and (k,); numbers lie between least and 1."""
        _, inverse = np.unique(self.unit[self.places], return_inverse=True)
        sizes = np.bincount(inverse)
        order = generator(self.seed, "order of betting").permutation(len(sizes))
        sums = np.zeros((len(values), len(sizes)))
        for row, of_row in zip(sums, values[:, self.places], strict=True):
            row[:] = np.bincount(inverse, weights=of_row, minlength=len(sizes))
        return betting_interval(
            sums[:, order], self.confidence, least=least, most=1.0, sizes=sizes[order], largest=self.largest
        )


@dataclass(frozen=True, eq=False)
class Outcome:
    """What happened to every query at one threshold, arrays of shape (n,); fractions under a mixture.

    Attributes
    ----------
    unguarded_right, guarded_right : ndarray
    loss_unguarded, loss_guarded : ndarray
        Against zero-shot.
    harm_unguarded, harm_guarded : ndarray
        Right zero-shot and wrong now.
    lost_benefit : ndarray
        Wrong zero-shot, right with the demonstrations, wrong with the guard.
    fell_back : ndarray
    layers : ndarray
        Layers up to the answer, 0 where the guard fell back.
    passes : ndarray
        Layers run, as a share of those of one full prompt.
    zero_shot_passes : ndarray
        How many of them, in the same unit, were of the zero-shot prompt.
    """

    unguarded_right: Values
    guarded_right: Values
    loss_unguarded: Values
    loss_guarded: Values
    harm_unguarded: Values
    harm_guarded: Values
    lost_benefit: Values
    fell_back: Values
    layers: Values
    passes: Values
    zero_shot_passes: Values

    @classmethod
    def of(cls, answers: Answers, condition: str, index: int) -> Self:
        """Under one condition, at the threshold with this index."""
        under, right = answers.by_condition[condition], answers.zero_shot_right
        unguarded = under.unguarded == answers.truth
        guarded = under.guarded.labels[index] == answers.truth
        exits = under.guarded.exits[index]
        fell = exits == answers.n_exits
        arrays = (
            unguarded,
            guarded,
            right.astype(np.float64) - unguarded,
            right.astype(np.float64) - guarded,
            right & ~unguarded,
            right & ~guarded,
            ~right & unguarded & ~guarded,
            fell,
            np.where(fell, 0, exits + 1),
            under.passes[index] / answers.n_exits,
            fell,
        )
        return cls(*(array.astype(np.float64) for array in arrays))

    @classmethod
    def mixed(cls, answers: Answers, shares: Shares, index: int) -> Self:
        """Under a mixture: every query with each of its prompts, in their shares."""
        parts = [(share, cls.of(answers, condition, index)) for condition, share in shares.items()]
        return cls(*(sum(share * getattr(part, field.name) for share, part in parts) for field in fields(cls)))


def condition_rows(
    answers: Answers,
    measured: Measured,
    index: int,
    mixtures: Mapping[str, tuple[float, Shares]],
    n_corrupted: Mapping[str, Values],
    *,
    short: float,
) -> list[dict[str, Any]]:
    """Rows of the table of conditions: zero-shot, correct demonstrations, attacks, mixtures.

    Parameters
    ----------
    measured : Measured
        Of the test queries.
    index : int
        Of the threshold that the guard is set to.
    mixtures : mapping of str to (float, Shares)
        Name -> share of corrupted queries, and how much each prompt counts.
    n_corrupted : mapping of str to ndarray, shape (n,)
        Condition -> corrupted demonstrations in the prompt of each query; those that are measured are read.
    short : float
        Tokens of a zero-shot prompt over those of one with demonstrations, on average.
    """
    rows = [_zero_shot_row(answers, measured, short)]
    for condition in answers.by_condition:
        steps = steps_of(condition)
        single = steps[0] if len(steps) == 1 else None
        told = {
            "condition": condition,
            "kind": "attack" if steps else CORRECT,
            "attack": single.attack if single else (condition if steps else None),
            "strength": single.strength if single else None,
            "n_corrupted": float(n_corrupted[condition][measured.places].mean()),
        }
        found = outcome_row(answers, Outcome.of(answers, condition, index), measured, short)
        rows.append(told | found | (_NO_RISK if index == 0 else {}))
    for name, (share, shares) in mixtures.items():
        expected = sum(share_of * n_corrupted[condition] for condition, share_of in shares.items())
        told = {
            "condition": name,
            "kind": MIXTURE,
            "attack": None,
            "strength": share,
            "n_corrupted": float(np.asarray(expected)[measured.places].mean()),
        }
        found = outcome_row(answers, Outcome.mixed(answers, shares, index), measured, short, whole=False)
        rows.append(told | found | (_NO_RISK if index == 0 else {}))
    return rows


def outcome_row(
    answers: Answers, found: Outcome, measured: Measured, short: float, *, whole: bool = True
) -> dict[str, Any]:
    """Figures of an outcome with their intervals; `whole` is False under a mixture, whose queries are fractions."""
    places = measured.places
    unguarded, guarded, harm = (
        measured.share(values, whole=whole)
        for values in (found.unguarded_right, found.guarded_right, found.harm_guarded)
    )
    risk = measured.risk(found.loss_guarded)
    answered = len(places) - float(found.fell_back[places].sum())
    return {
        "n": len(places),
        "accuracy_zero_shot": float(answers.zero_shot_right[places].mean()),
        "accuracy_unguarded": unguarded.value,
        "unguarded_low": unguarded.low,
        "unguarded_high": unguarded.high,
        "accuracy_guarded": guarded.value,
        "guarded_low": guarded.low,
        "guarded_high": guarded.high,
        "risk_unguarded": float(found.loss_unguarded[places].mean()),
        "risk_guarded": risk.value,
        "risk_low": risk.low,
        "risk_high": risk.high,
        "harm_unguarded": float(found.harm_unguarded[places].mean()),
        "harm_guarded": harm.value,
        "harm_low": harm.low,
        "harm_high": harm.high,
        "lost_benefit": float(found.lost_benefit[places].mean()),
        "mean_exit": float(found.layers[places].sum()) / answered if answered > 0 else None,
        "fallback": float(found.fell_back[places].mean()),
        "layer_passes": float(found.passes[places].mean()),
        "token_passes": float((found.passes - (1 - short) * found.zero_shot_passes)[places].mean()),
    }


def _zero_shot_row(answers: Answers, measured: Measured, short: float) -> dict[str, Any]:
    found = measured.share(answers.zero_shot_right.astype(np.float64))
    return {
        "condition": ZERO_SHOT,
        "kind": ZERO_SHOT,
        "attack": None,
        "strength": None,
        "n_corrupted": 0.0,
        "n": len(measured.places),
        "accuracy_zero_shot": found.value,
        "accuracy_unguarded": found.value,
        "unguarded_low": found.low,
        "unguarded_high": found.high,
        "accuracy_guarded": found.value,
        "guarded_low": found.low,
        "guarded_high": found.high,
        **dict.fromkeys(("risk_unguarded", "harm_unguarded", "lost_benefit"), 0.0),
        **_NO_RISK,
        "mean_exit": None,
        "fallback": 1.0,
        "layer_passes": 1.0,
        "token_passes": short,
    }


def layer_rows(answers: Answers, measured: Measured, sure_zero_shot: NDArray[np.float64]) -> Iterator[dict[str, Any]]:
    """Accuracy at every exit: zero-shot, correct demonstrations and each attack.

    Parameters
    ----------
    sure_zero_shot : ndarray of shape (n, n_exits)
        Confidence of the zero-shot prompts.
    """
    shown = {ZERO_SHOT: (answers.q_zero_shot, sure_zero_shot)}
    shown |= {condition: (under.q, under.sure) for condition, under in answers.by_condition.items()}
    for condition, (q, sure) in shown.items():
        right = q.argmax(axis=-1) == answers.truth[:, None]
        for exit_ in range(answers.n_exits):
            accuracy = measured.share(right[:, exit_].astype(np.float64))
            yield {
                "condition": condition,
                "exit": exit_ + 1,
                "depth": (exit_ + 1) / answers.n_exits,
                "accuracy": accuracy.value,
                "low": accuracy.low,
                "high": accuracy.high,
                "confidence": float(sure[measured.places, exit_].mean()),
                "n": len(measured.places),
            }


def exit_rows(answers: Answers, places: NDArray[np.int64], index: int, mix: Shares) -> Iterator[dict[str, Any]]:
    """Where the guard answered: a row for each exit that did, and one for those that fell back."""
    weights: dict[str, Shares] = {name: {name: np.ones(len(answers.truth))} for name in answers.by_condition}
    weights[MIXTURE] = mix
    for condition, shares in weights.items():
        counts = np.zeros(answers.n_exits + 1)
        for name, share in shares.items():
            exits = answers.by_condition[name].guarded.exits[index][places]
            counts += np.bincount(exits, weights=share[places], minlength=answers.n_exits + 1)
        for exit_ in np.flatnonzero(counts).tolist():
            yield {
                "condition": condition,
                "exit": exit_ + 1 if exit_ < answers.n_exits else None,
                "n": round(counts[exit_]),
                "share": float(counts[exit_] / len(places)),
            }
