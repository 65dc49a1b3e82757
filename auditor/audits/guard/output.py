"""Rows of the tables that are made from answers: risk and cost by threshold, flipped answers, all queries."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from auditor.audits.guard.answers import Answers
from auditor.audits.guard.certificate import MIXTURE, Certifier
from auditor.audits.guard.pools import Pools
from auditor.audits.guard.stress import Measured
from auditor.audits.guard.task import Example, Task
from auditor.stats.risk_control import Certificate

#: Flipped queries that are kept in their table (ours).
_MOST_FLIPPED = 5_000


@dataclass(frozen=True, eq=False)
class Rows:
    """Makes rows.

    Attributes
    ----------
    task : Task
    queries : sequence of Example
    certifier : Certifier
    pools : Pools
    certificate : Certificate
        Its index is the threshold that the guard is set to.
    """

    task: Task
    queries: Sequence[Example]
    certifier: Certifier
    pools: Pools
    certificate: Certificate

    @property
    def _answers(self) -> Answers:
        return self.certifier.answers

    def risk_curve(self, measured: Measured) -> Iterator[dict[str, Any]]:
        """Risk at every threshold under what is covered, `measured` on the calibration queries."""
        answers, places, test = self._answers, self.pools.calibration, self.pools.test
        for condition in self.certifier.covered:
            losses = self.certifier.losses(condition)
            low, high = measured.bounds(losses, least=-1.0)
            harm = self.certifier.losses(condition, "clip")
            p = self.certifier.certify(places, conditions=(condition,)).p_values
            for i, threshold in enumerate(answers.lambdas.tolist()):
                risk, harmed = float(losses[i, places].mean()), float(harm[i, places].mean())
                yield {
                    "condition": condition,
                    "lambda": threshold,
                    "risk": risk,
                    "low": float(low[i]) if i else 0.0,
                    "high": float(high[i]) if i else 0.0,
                    "harm": harmed,
                    "benefit": harmed - risk,
                    "p_value": float(p[i]) if i else None,
                    "passed": bool(self.certificate.passed[i]),
                    "risk_test": float(losses[i, test].mean()),
                    "n": len(places),
                }

    def cost(self, short: float) -> Iterator[dict[str, Any]]:
        """What every threshold costs and what accuracy it leaves, on the test queries.

        Parameters
        ----------
        short : float
            Tokens of a zero-shot prompt over those of one with demonstrations, on average.
        """
        answers, test = self._answers, self.pools.test
        ones = np.ones(len(answers.truth))
        weights = {condition: {condition: ones} for condition in answers.by_condition}
        for condition, shares in {**weights, MIXTURE: self.certifier.mix}.items():
            parts = [(share[test], answers.by_condition[name]) for name, share in shares.items()]
            for i, threshold in enumerate(answers.lambdas.tolist()):
                exits = [(share, under.guarded.exits[i, test]) for share, under in parts]
                fell = sum(float((share * (at == answers.n_exits)).mean()) for share, at in exits)
                layers = sum(float((share * np.where(at < answers.n_exits, at + 1, 0)).mean()) for share, at in exits)
                risk = sum(float((share * under.losses[i, test]).mean()) for share, under in parts)
                passes = sum(float((share * under.passes[i, test]).mean()) for share, under in parts)
                yield {
                    "condition": condition,
                    "lambda": threshold,
                    "layer_passes": passes / answers.n_exits,
                    "token_passes": passes / answers.n_exits - (1 - short) * fell,
                    "accuracy": float(answers.zero_shot_right[test].mean()) - risk,
                    "risk": risk,
                    "fallback": fell,
                    "mean_exit": layers / (1 - fell) if fell < 1 - 1e-12 else None,
                    "n": len(test),
                }

    def flipped(self) -> list[dict[str, Any]]:
        """Test queries whose unguarded answer is another one than zero-shot, worst first."""
        test = set(self.pools.test.tolist())
        made: list[dict[str, Any]] = [
            {
                **row,
                "text": self.queries[place].text,
                "change": _change(row),
                "drop": row["p_zero_shot"] - row["p_unguarded"],
            }
            for place, row in self._every()
            if place in test and row["unguarded"] != row["zero_shot"]
        ]
        worst = {"harmed": 0, "other": 1, "helped": 2}
        made.sort(key=lambda row: (worst[row["change"]], -row["drop"], row["row"]))
        return [{"place": number, **row} for number, row in enumerate(made[:_MOST_FLIPPED], 1)]

    def every_query(self) -> Iterator[dict[str, Any]]:
        """Every query under every condition."""
        for _, row in self._every():
            yield row

    def _every(self) -> Iterator[tuple[int, dict[str, Any]]]:
        answers, i, labels = self._answers, self.certificate.index, self.task.labels
        n = np.arange(len(answers.truth))
        p_zero_shot = answers.plain_zero_shot[n, answers.truth]
        in_test = np.isin(n, self.pools.test)
        for condition, under in answers.by_condition.items():
            p_unguarded = under.plain[n, answers.truth]
            for place, query in enumerate(self.queries):
                exit_ = int(under.guarded.exits[i, place])
                yield (
                    place,
                    {
                        "row": query.place,
                        "query_id": query.id,
                        "group": query.group or None,
                        "label": query.label,
                        "pool": "test" if in_test[place] else "calibration",
                        "condition": condition,
                        "zero_shot": labels[answers.zero_shot[place]],
                        "unguarded": labels[under.unguarded[place]],
                        "guarded": labels[under.guarded.labels[i, place]],
                        "exit": exit_ + 1 if exit_ < answers.n_exits else None,
                        "p_zero_shot": float(p_zero_shot[place]),
                        "p_unguarded": float(p_unguarded[place]),
                        "layer_passes": float(under.passes[i, place] / answers.n_exits),
                    },
                )


def _change(row: dict[str, Any]) -> str:
    if row["zero_shot"] == row["label"]:
        return "harmed"
    return "helped" if row["unguarded"] == row["label"] else "other"
