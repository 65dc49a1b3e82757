"""What came out of a parity run: the test, the effects with intervals, the verdict, and what they rest on."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from auditor.audits.findings import Findings
from auditor.audits.parity.data import ScaleKind
from auditor.audits.parity.estimates import DISTANCE

Mode = Literal["A", "B", "C1", "C2"]
#: What each mode permutes, in words.
MODES: dict[str, str] = {
    "A": "every query is a catalog item; labels are permuted over the items of the catalog, queries and results alike",
    "B": "query groups are known; group labels are permuted over queries, each list stays as it is",
    "C1": "no query groups; labels are permuted over the items of the catalog",
    "C2": "results against target shares",
}
LEGAL = "Statistical parity is not a legal finding: it says what these results show, not whether a law was broken."


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ScaleInfo(_Part):
    """How an attribute is measured."""

    kind: ScaleKind
    levels: tuple[str, ...] = Field(description="In order on an ordinal scale; the classes of ITA for degrees.")


class NullTestInfo(_Part):
    """One hypothesis and its permutation test."""

    attribute: str
    k: int | None = Field(description="Cut-off; None for all results.")
    family: Literal["primary", "omnibus", "secondary"]
    statistic_name: str
    statistic: float
    p_value: float = Field(description="(1 + relabellings that reach the statistic) / (B + 1), two-sided.")
    p_low: float = Field(description="Lower bound of the Clopper-Pearson 99% interval of the permutation p-value.")
    p_high: float
    adjusted_p: float | None = Field(
        default=None,
        description="Over the secondary hypotheses: in mode B by max-T, in the other modes after Holm; None for others.",
    )
    closed_form_p: float | None = Field(default=None, description="Normal approximation; the first answer.")
    n_permutations: int
    n_exceeding: int
    stopped_early: bool
    seed: int
    method: str
    signed: bool = Field(default=False, description="Whether the statistic's sign tells the direction.")
    least_p: float = Field(default=0.0, description="Smallest p-value that the test can give; 0 for a closed form.")

    @property
    def is_closed_form(self) -> bool:
        """Whether p comes from an exact distribution, so that nothing was relabelled."""
        return self.n_permutations == 0

    @property
    def is_exact(self) -> bool:
        """Whether chance in drawing relabellings leaves nothing open: a closed form, or all arrangements were taken."""
        return self.p_low == self.p_high


class EffectInfo(_Part):
    """An effect with its interval; the first of a run is the primary one."""

    attribute: str
    k: int | None
    name: str
    title: str
    unit: str
    value: float
    low: float | None = Field(description="None under 10 queries; `method` says why.")
    high: float | None
    se: float | None
    a: str = Field(description="First of the groups compared; or the level.")
    b: str
    n_clusters: int
    method: str
    level: str | None = Field(default=None, description="Level whose shares are compared, if one is.")
    simultaneous: bool = Field(
        default=False, description="Whether the interval holds at once with those of all effects of its name."
    )
    no_interval: str = Field(default="", description="Why there is no interval.")
    two_way: bool = Field(default=False, description="Whether repeated items widen the interval.")
    bounded: bool = Field(
        default=False, description="Whether few queries of a group differ, so that its part of the interval is a bound."
    )


def is_distance(one: EffectInfo, first: EffectInfo) -> bool:
    """Whether it says how far distributions lie apart, for the hypothesis and in the unit of the first effect."""
    return (one.attribute, one.k, one.name, one.unit) == (first.attribute, first.k, DISTANCE, first.unit)


class Excluded(_Part):
    """What takes no part in the primary test (after New York City's Local Law 144)."""

    slots_by_reason: dict[str, int] = Field(description="Results left out while reading, by reason.")
    slots_without_attribute: int = Field(description="Results within K whose attribute is missing.")
    slots_without_attribute_by_group: dict[str, int]
    items_without_attribute: int
    queries_without_known_result: int
    queries_without_group: int = Field(description="In mode C2 those without target shares.")


class Concentration(_Part):
    """How far results of one query, and of different queries, are the same."""

    icc: float | None = Field(description="Intra-list correlation of the attribute; None if it cannot be estimated.")
    icc_low: float | None = Field(description="Lower bound of its one-sided 95% interval.")
    mean_length: float | None = Field(description="Mean length of the lists, corrected for unequal ones.")
    design_effect: float | None = Field(description="1 + (mean length - 1) ICC, at least 1.")
    n_items_shown: int
    effective_items: float = Field(description="1 / sum of squared shares of exposure by item.")
    repeated_share: float = Field(description="Share of slots whose item stands in more than one list.")
    largest_share: float = Field(description="Share of exposure of the item that is shown most.")
    naive_p: float | None = Field(
        default=None, description="Chi-squared test that takes results as independent; shown for contrast, never used."
    )


class PowerInfo(_Part):
    """What a test of this size could have seen."""

    n_queries: int
    k: float = Field(
        description="Harmonic mean over queries of the results with a known attribute, since variances of list means average; "
        "results that are weighted by rank count as (sum w)^2 / sum w^2 (Kish's effective size)."
    )
    q: float = Field(description="Share of the first query group.")
    pi: float = Field(description="Share of its attribute among results.")
    icc: float
    detectable_bias: float | None = Field(description="Share of slots filled from the query's own group, by formula.")
    simulated_power: float | None = Field(default=None, description="Power at `detectable_bias`, by simulation.")
    simulated_low: float | None = Field(default=None, description="Lower bound of its Clopper-Pearson 95% interval.")
    simulated_high: float | None = None
    simulated_bias: float | None = Field(default=None, description="The detectable bias, by simulation.")
    sentence: str
    notes: tuple[str, ...] = Field(default=(), description="What a reader of the sentence must know.")


class SensitivityInfo(_Part):
    """The answer under one changed condition."""

    kind: str
    name: str
    effect: float | None
    p_value: float | None
    verdict: str
    detail: str


class RaterAgreement(_Part):
    """Agreement of the raters whose labels were used."""

    raters: tuple[str, ...]
    alpha: float | None = Field(description="Krippendorff's alpha on the attribute's scale.")
    low: float | None
    high: float | None
    n_items: int
    rule: str


class ParityFindings(Findings):
    """Findings of the parity audit."""

    mode: Mode
    mode_reason: str = Field(description="Why this mode, as a sentence.")
    attribute: str
    scale: ScaleInfo
    group_names: tuple[str, ...]
    k: int | None
    more_k: tuple[int, ...] = ()
    more_attributes: tuple[str, ...] = ()
    alpha: float
    confidence: float
    margin: float | None
    weights: Literal["uniform", "rank"]
    strata: tuple[str, ...]
    n_strata: int = 1
    n_queries: int = Field(description="Queries that take part in the primary test.")
    n_queries_read: int
    n_items: int
    n_catalog: int = Field(description="Items of the catalog; 0 without one.")
    n_slots: int = Field(description="Results within K of the queries that take part.")
    n_slots_known: int | None = Field(
        default=None,
        description="Those of them whose attribute is known: the results that count; None in findings of earlier versions.",
    )
    primary: NullTestInfo
    omnibus: NullTestInfo | None = Field(
        default=None,
        description="Whether distributions differ in any way, beside a primary test that looks at where they lie.",
    )
    tests: list[NullTestInfo] = Field(default_factory=list, description="The secondary hypotheses.")
    effects: list[EffectInfo] = Field(description="The first one is the primary effect.")
    state: Literal["parity within margin", "disparity detected", "inconclusive"]
    detectable: bool = Field(description="Whether p <= alpha.")
    minimum_detectable_effect: float | None
    excluded: Excluded
    concentration: Concentration
    power: PowerInfo | None = None
    sensitivity: list[SensitivityInfo] = Field(default_factory=list)
    raters: RaterAgreement | None = None
    pictures: bool = Field(default=False, description="Whether reports show the images of results.")
    system: str = ""
    sampling_window: str = ""
    annotation_protocol: str = ""

    @property
    def primary_effect(self) -> EffectInfo:
        """The effect that the verdict is about."""
        return self.effects[0]


LIMITATIONS = [
    LEGAL,
    "No disparity detected is not the same as no disparity: the minimum detectable effect says what could have been missed.",
    "The answer holds for these queries, this system version and this sampling window.",
    "An association between the query's group and the results does not say what causes it.",
]
ANNOTATION_LIMITATION = (
    "Skin tone as labelled here is what raters or a camera saw, not how people describe themselves; errors of labelling "
    "usually hide disparities rather than make them."
)
MODE_LIMITATIONS = {
    "A": "Tones are taken as exchangeable over the items of a stratum: lists that cluster by something that goes with tone make "
    "the test reject too often.",
    "C1": "Tones are taken as exchangeable over the items of a stratum: lists that cluster by something that goes with tone make "
    "the test reject too often.",
    "C2": "The target shares are taken as known and right.",
}


def limitations(mode: str, *, of_skin: bool) -> list[str]:
    """What the numbers do not show."""
    found = [*LIMITATIONS]
    found += [MODE_LIMITATIONS[mode]] if mode in MODE_LIMITATIONS else []
    found += [ANNOTATION_LIMITATION] if of_skin else []
    return found
