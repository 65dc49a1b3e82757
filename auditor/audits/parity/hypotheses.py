"""The hypotheses of a run: one that was declared, tested at alpha; others, adjusted together.

The primary hypothesis is one attribute at one K. Where its statistic looks at where distributions lie only, an omnibus
statistic is declared with it, for whether they differ in any way: it is told beside the answer. Further attributes and
cut-offs are secondary: their p-values are adjusted as one family, in mode B by max-T from the same permutations
(P. H. Westfall, S. S. Young, Resampling-Based Multiple Testing, 1993), in the other modes after Holm (Scandinavian Journal
of Statistics 6, 1979, 65-70).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from auditor.audits.parity import permutation
from auditor.audits.parity.data import Attribute, Results
from auditor.audits.parity.findings import Mode, NullTestInfo
from auditor.audits.parity.permutation import NullTest, Progress
from auditor.audits.parity.spec import ParitySpec
from auditor.audits.parity.statistics import StatisticName
from auditor.audits.parity.subject import Subject
from auditor.stats.multiplicity import holm_adjusted
from auditor.stats.permutation import Blocks

#: Statistics that look at where distributions lie, and at nothing else.
_OF_LOCATION = {
    *("mid-rank mean difference", "Jonckheere", "Kruskal-Wallis", "mean difference", "variance between groups"),
}


@dataclass(frozen=True)
class Hypothesis:
    """An attribute at a cut-off."""

    attribute: str
    k: int | None

    @property
    def name(self) -> str:
        """In words."""
        return f"{self.attribute}, {'all results' if self.k is None else f'K = {self.k}'}"


@dataclass(frozen=True)
class Tester:
    """Tests hypotheses in the mode of a run.

    Attributes
    ----------
    spec : ParitySpec
    results : Results
    mode : str
    seed : int
    """

    spec: ParitySpec
    results: Results
    mode: Mode
    seed: int

    def primary(self) -> Hypothesis:
        """What was declared."""
        return Hypothesis(next(iter(self.results.attributes)), self.spec.k)

    def secondary(self) -> list[Hypothesis]:
        """The declared attribute at further K, and further attributes at every K.

        In mode C2 there are target shares of the declared attribute only.
        """
        first, *others = self.results.attributes
        more = [Hypothesis(first, k) for k in self.spec.more_k]
        if self.mode == "C2":
            return more
        return [*more, *(Hypothesis(name, k) for name in others for k in (self.spec.k, *self.spec.more_k))]

    def test(
        self,
        subject: Subject,
        progress: Progress | None,
        statistic: StatisticName | None,
        blocks: Blocks | None,
    ) -> NullTest:
        """Test the lists of one hypothesis; `blocks` are those of the same test, where it was cut short."""
        asked = self._settings(statistic, progress, blocks)
        spec, attribute, k = self.spec, subject.attribute, subject.lists.k
        if self.mode == "B":
            ordered = bool(spec.group_order)
            return permutation.test_groups(
                subject.lists, attribute, subject.group, subject.stratum, ordered_groups=ordered, **asked
            )
        if self.mode == "C2":
            return permutation.test_shares(
                subject.lists, attribute, subject.target, subject.target_mean, method=spec.c2_method, **asked
            )
        catalog = permutation.test_catalog_queries if self.mode == "A" else permutation.test_catalog
        return catalog(self.results, attribute, k=k, rank_aware=spec.weights == "rank", **asked)

    def declared(self) -> StatisticName | None:
        """The statistic that was declared for the primary hypothesis; the default of the scale if none was."""
        return None if self.spec.statistic == "auto" else self.spec.statistic

    def omnibus(self, subject: Subject, statistic: str) -> StatisticName | None:
        """The statistic for whether distributions differ in any way; None where the primary one sees that already."""
        kind = subject.attribute.scale.kind
        if kind == "nominal" or not of_location(statistic):
            return None
        if kind == "ordinal":
            return "Cramer-von Mises"
        # Target shares are those of the classes of degrees, and a target mean has no distribution.
        if self.mode == "C2":
            return None if subject.target is None else "chi-square"
        return "energy distance"

    def test_family(
        self,
        hypotheses: Sequence[Hypothesis],
        subjects: Sequence[Subject],
        progress: Progress | None,
        blocks_of: Callable[[str], Blocks],
    ) -> list[NullTestInfo]:
        """Test the secondary hypotheses and adjust their p-values together; `blocks_of` is asked by names of tests."""
        if self.mode == "B":
            asked = self._settings(None, progress, blocks_of("secondary"))
            del asked["statistic"], asked["sequential"]
            members = [
                (hypothesis.name, subject.lists, subject.attribute)
                for hypothesis, subject in zip(hypotheses, subjects, strict=True)
            ]
            found = permutation.test_groups_family(
                members,
                self.results.query_group,
                self.results.query_stratum,
                ordered_groups=bool(self.spec.group_order),
                statistics=[self._statistic_of(subject.attribute) for subject in subjects],
                **asked,
            )
            tests, adjusted = [test for _, test, _ in found], [p for _, _, p in found]
        else:
            tests = [
                self.test(
                    subject, progress, self._statistic_of(subject.attribute), blocks_of(f"secondary: {hypothesis.name}")
                )
                for hypothesis, subject in zip(hypotheses, subjects, strict=True)
            ]
            adjusted = list(holm_adjusted([test.p_value for test in tests]))
        return [
            told(hypothesis, test, "secondary", float(p))
            for hypothesis, test, p in zip(hypotheses, tests, adjusted, strict=True)
        ]

    def _settings(
        self, statistic: StatisticName | None, progress: Progress | None, blocks: Blocks | None
    ) -> dict[str, Any]:
        return {
            "statistic": statistic,
            "n_permutations": self.spec.permutations,
            "seed": self.seed,
            "sequential": self.spec.sequential,
            "progress": progress,
            "blocks": blocks,
        }

    def _statistic_of(self, attribute: Attribute) -> StatisticName | None:
        """The declared statistic is for the scale of the declared attribute."""
        return self.declared() if attribute is next(iter(self.results.attributes.values())) else None


def of_location(statistic: str) -> bool:
    """Whether a statistic looks at where distributions lie only, so that other differences in shape escape it."""
    return statistic in _OF_LOCATION


def told(hypothesis: Hypothesis, test: NullTest, family: str, adjusted: float | None) -> NullTestInfo:
    """A test as it stands in the findings."""
    return NullTestInfo.model_validate(
        {
            "attribute": hypothesis.attribute,
            "k": hypothesis.k,
            "family": family,
            "adjusted_p": adjusted,
            **{
                name: getattr(test, name)
                for name in NullTestInfo.model_fields
                if name not in ("attribute", "k", "family", "adjusted_p")
            },
        }
    )
