"""What is asked of a parity run."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

#: More cut-offs or attributes than these are no family of hypotheses but a search (ours).
MOST_K, MOST_ATTRIBUTES = 10, 10
#: Fields that a column can be mapped to.
MAPPED = (
    "query_id",
    "item_id",
    "rank",
    "score",
    "query_group",
    "attribute",
    "stratum",
    "image",
    "query_item",
    "rater",
)

CutOff = Annotated[int, Field(ge=1, le=1_000_000)]
ModeName = Literal["auto", "A", "B", "C1", "C2"]
StatisticChoice = Literal[
    "auto",
    "chi-square",
    "mid-rank mean difference",
    "Jonckheere",
    "Kruskal-Wallis",
    "Cramer-von Mises",
    "mean difference",
    "variance between groups",
    "energy distance",
]


class ParitySpec(BaseModel):
    """Settings of a parity run. Form, command line and report are made from these fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    preset: Literal["auto", "long", "trec", "elasticsearch", "milvus", "faiss", "vespa"] = Field(
        default="auto",
        title="Format",
        description="How the results are written: a long table, a TREC run, or the answers of a search engine. auto: what the "
        "file shows.",
    )
    mapping: dict[str, str] = Field(
        default_factory=dict,
        title="Column mapping",
        description=f"For tables: field ({', '.join(MAPPED)}) to column.",
        json_schema_extra={"fields": list(MAPPED)},
    )
    attribute: str = Field(
        default="",
        max_length=200,
        title="Attribute",
        description="Column of the protected attribute that is tested first. Empty: the one with a usual name, such as skin_tone "
        "or monk, if there is just one.",
    )
    more_attributes: tuple[str, ...] = Field(
        default=(),
        max_length=MOST_ATTRIBUTES - 1,
        title="Further attributes",
        description="Columns of further attributes, separated by commas; their p-values are adjusted together with those of "
        "further cut-offs.",
    )
    scale: Literal["nominal", "ordinal", "ita"] = Field(
        default="nominal",
        title="Scale",
        description="nominal: names without order; ordinal: levels in order (Fitzpatrick I to VI, Monk 1 to 10, or your own); "
        "ita: individual typology angle in degrees.",
    )
    levels: tuple[str, ...] = Field(
        default=(),
        max_length=1000,
        title="Levels",
        description="Names of the levels, in order for an ordinal scale, separated by commas. Empty: Monk and Fitzpatrick are "
        "recognised, names are taken in alphabetical order; another ordinal scale needs its order.",
    )
    colour: Literal["degrees", "hex", "rgb", "lab"] = Field(
        default="degrees",
        title="Colour",
        description="On the scale ita: how the column writes a tone: degrees, or a colour as #rrggbb, as r g b from 0 to 255, or "
        "as CIELAB L* a* b* (D65), from which the degrees are computed.",
    )
    query_group: str = Field(
        default="",
        max_length=200,
        title="Query group",
        description="Column with the group of each query. Empty: the one with a usual name, such as query_group, if there is "
        "one.",
    )
    group_order: tuple[str, ...] = Field(
        default=(),
        max_length=1000,
        title="Order of the groups",
        description="Names of the query groups in their order, separated by commas, for a test of trend. Empty: the groups have "
        "no order.",
    )
    merge_groups: dict[str, str] = Field(
        default_factory=dict,
        title="Merged groups",
        description="Group to the group that it is counted with. Small groups are merged only on request.",
    )
    mode: ModeName = Field(
        default="auto",
        title="Mode",
        description="A: every query is a catalog item, tones are permuted over the catalog. B: query groups are known and are "
        "permuted over queries. C1: results against an annotated catalog. C2: results against target shares. auto: B where "
        "there are groups, A where every query is a catalog item, else C1 with a catalog and C2 with shares.",
    )
    k: CutOff | None = Field(
        default=None,
        title="K",
        description="Results of each query that count, the first ones. The one cut-off of the primary hypothesis, declared "
        "before looking. Empty: all.",
        json_schema_extra={"unit": "results"},
    )
    more_k: tuple[CutOff, ...] = Field(
        default=(),
        max_length=MOST_K - 1,
        title="Further cut-offs",
        description="Further K, separated by commas; their p-values are adjusted by max-T.",
        json_schema_extra={"unit": "results"},
    )
    strata: tuple[str, ...] = Field(
        default=(),
        max_length=5,
        title="Strata",
        description="Columns, separated by commas, within which labels are permuted, such as brand or category: what goes with "
        "them is then not taken for a disparity.",
    )
    weights: Literal["uniform", "rank"] = Field(
        default="uniform",
        title="Weights",
        description="uniform: every result within K counts the same. rank: a result counts 1 / log2(1 + rank), of every query "
        "the same in sum.",
    )
    statistic: StatisticChoice = Field(
        default="auto",
        title="Statistic",
        description="Declared before looking. auto: chi-square for names; the difference in mean mid-rank for two groups on an "
        "ordinal scale, Jonckheere for ordered groups, else Kruskal-Wallis; the difference in mean degrees for two groups.",
    )
    margin: float | None = Field(
        default=None,
        gt=0,
        le=90,
        title="Margin",
        description="Largest effect that would not matter, in the unit of the effect. On the scale nominal: a share below 1, "
        "such as 0.05 for 5 percentage points; ordinal: a difference in mean mid-rank below 1, such as 0.05; ita: degrees, up "
        "to 90. Parity is concluded only if the interval of every difference lies within it and, but for names, so does the "
        "upper limit of the distance between the distributions (Wasserstein-1). Empty: parity cannot be concluded.",
    )
    alpha: float = Field(
        default=0.05,
        gt=0,
        le=0.5,
        title="Alpha",
        description="A disparity is said to be detected at p-values up to this: the probability of saying so where there is "
        "none.",
    )
    confidence: float = Field(
        default=0.95,
        ge=0.5,
        le=0.999,
        title="Confidence",
        description="Nominal coverage of the intervals around the effects.",
    )
    permutations: int = Field(
        default=9_999,
        ge=99,
        le=1_000_000,
        title="Permutations",
        description="B: random relabellings that the observed statistic is compared with. The least possible p-value is "
        "1 / (B + 1).",
    )
    sequential: bool = Field(
        default=False,
        title="Stop early where the answer is clear",
        description="After Besag and Clifford: stop once enough relabellings reach the observed statistic. Large p-values then "
        "rest on fewer relabellings, small ones on all of them.",
    )
    rank_gaps: Literal["keep", "re-rank"] = Field(
        default="keep",
        title="Gaps in the ranks",
        description="keep: a result keeps its rank, so that what is missing before it still counts towards K. re-rank: ranks "
        "are closed up. Gaps are counted either way.",
    )
    sentinels: tuple[str, ...] = Field(
        default=(),
        max_length=20,
        title="Values that mean missing",
        description="Values of the attribute that stand for no value, such as -1 or unknown, separated by commas. Empty cells "
        "always do.",
    )
    consensus: Literal["median", "majority", "expert"] = Field(
        default="median",
        title="Consensus of raters",
        description="How the labels of several raters become one: median (lower one of two), majority (missing without one), or "
        "the expert's where there is one.",
    )
    expert: str = Field(
        default="",
        max_length=200,
        validate_default=True,
        title="Expert",
        description="Name of the rater whose labels count under the rule expert.",
    )
    smallest_group_share: float = Field(
        default=0.0,
        ge=0,
        le=0.2,
        title="Smallest share of a group",
        description="Query groups with a smaller share of the queries are left out, and counted. New York's Local Law 144 allows "
        "it below 0.02. 0: none is left out.",
    )
    smoothing: float = Field(
        default=0.5,
        ge=0,
        le=100,
        title="Smoothing",
        description="Added to the count of every level before skew@k and NDKL are computed, so that an absent level has a "
        "logarithm. Both are descriptive.",
        json_schema_extra={"unit": "results"},
    )
    c2_method: Literal["sign-flip", "bootstrap-t"] = Field(
        default="sign-flip",
        title="Test against shares",
        description="In mode C2: flip the signs of the queries' deviations (exact where they are symmetric), or bootstrap-t.",
    )
    power_target: float = Field(
        default=0.8,
        ge=0.5,
        le=0.999,
        title="Power",
        description="Probability with which the minimum detectable effect would be detected.",
    )
    sensitivity: bool = Field(
        default=True,
        title="Sensitivity",
        description="Ask how the answer changes: with the worst case for missing labels, with raters' confusions, without each "
        "query, and after how many changed labels the verdict turns.",
    )
    image_folder: str = Field(
        default="",
        max_length=4_000,
        title="Folder of images",
        description="Images are looked up here, by the image column or the item's id. They are shown while you annotate and look "
        "at results, and stay where they are: the case does not copy them.",
    )
    pictures: bool = Field(
        default=False,
        title="Pictures in the report",
        description="Show the images themselves, small, on the contact sheet of the report and in what is exported from it. Off: "
        "the sheet shows tones only, and no face leaves the case with a report.",
    )
    system: str = Field(
        default="",
        max_length=2_000,
        title="System",
        description="What was audited: name, version and configuration of the search or recommendation system.",
    )
    sampling_window: str = Field(
        default="",
        max_length=2_000,
        title="Sampling window",
        description="When and how queries and results were collected.",
    )
    annotation_protocol: str = Field(
        default="",
        max_length=4_000,
        title="Annotation protocol",
        description="Who labelled the items, by which instructions, and what they saw while doing so.",
    )

    @field_validator("more_attributes", "levels", "group_order", "strata", "more_k", "sentinels")
    @classmethod
    def _each_once(cls, names: tuple[object, ...]) -> tuple[object, ...]:
        if len(set(names)) != len(names):
            raise ValueError("a name stands twice")
        return names

    @field_validator("mapping")
    @classmethod
    def _known_fields(cls, mapping: dict[str, str]) -> dict[str, str]:
        for name in mapping:
            if name not in MAPPED:
                raise ValueError(f"there is no field {name!r}; fields are {', '.join(MAPPED)}")
        return mapping

    # Rules between fields are told at one of the fields, so that a form can show them there.

    @field_validator("more_k")
    @classmethod
    def _further_k(cls, more: tuple[int, ...], asked: ValidationInfo) -> tuple[int, ...]:
        if asked.data.get("k") in more:
            raise ValueError("the primary K stands among the further cut-offs")
        return more

    @field_validator("more_attributes")
    @classmethod
    def _further_attributes(cls, more: tuple[str, ...], asked: ValidationInfo) -> tuple[str, ...]:
        if asked.data.get("attribute") in more:
            raise ValueError("the primary attribute stands among the further ones")
        return more

    @field_validator("expert")
    @classmethod
    def _named_expert(cls, expert: str, asked: ValidationInfo) -> str:
        if asked.data.get("consensus") == "expert" and not expert:
            raise ValueError("the consensus rule expert needs the name of the expert")
        return expert
