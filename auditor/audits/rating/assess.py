"""A run set beside human ratings: agreement, certificates, the review queue, and what the verdict says of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from auditor.audits import InputFile
from auditor.audits.findings import Caution, TableInfo
from auditor.audits.rating.agreement import AxisAgreement, agree
from auditor.audits.rating.autoaccept import certify_axes
from auditor.audits.rating.calibrate import Calibration
from auditor.audits.rating.certificate import AxisCertificate, coefficient, percent, short
from auditor.audits.rating.judged import axes_of
from auditor.audits.rating.labels import MappingRule, UnitIndex, declared_scales
from auditor.audits.rating.people import read_humans
from auditor.audits.rating.review import LABEL_COLUMNS, QUEUE_COLUMNS, labels_table, review_queue
from auditor.stats.bootstrap import FEW_GROUPS

if TYPE_CHECKING:
    import pyarrow as pa


class PeopleSettings(Protocol):
    """Fields of a rating spec that concern people."""

    @property
    def people_scale(self) -> tuple[str, ...]:
        """Scales that people used, as `auditor.audits.rating.labels.declared_scales` reads them."""

    @property
    def people_mapping(self) -> MappingRule:
        """Whether people's scale maps onto 1 to 5 by a straight line."""

    @property
    def calibration(self) -> Calibration:
        """What is fitted before a certificate."""

    @property
    def epsilon(self) -> float | None:
        """Largest share of disagreement; None where no certificate is asked for."""

    @property
    def delta(self) -> float:
        """Probability with which a certificate may be wrong."""

    @property
    def within(self) -> int:
        """Points by which a rating may differ from the label without disagreeing."""

    @property
    def confidence(self) -> float:
        """Nominal coverage of intervals."""


@dataclass(frozen=True)
class Assessment:
    """A run beside people.

    Attributes
    ----------
    agreement : list of AxisAgreement
        One for each axis that people rated.
    certificates : list of AxisCertificate
        One for each of them if a certificate was asked for.
    cautions : list of Caution
        For the findings' warnings.
    queue, labels : pyarrow.Table
        Review queue, and the units that people rated.
    sentence : str
        For the verdict, in place of the words that no human ratings were compared; without a full stop.
    """

    agreement: list[AxisAgreement]
    certificates: list[AxisCertificate]
    cautions: list[Caution]
    queue: "pa.Table"
    labels: "pa.Table"
    sentence: str

    def tables(self) -> list[tuple[TableInfo, "pa.Table"]]:
        """Tables to save beside the findings."""
        return [
            (
                TableInfo(name="queue", title="Review queue", rows=self.queue.num_rows, columns=QUEUE_COLUMNS),
                self.queue,
            ),
            (
                TableInfo(name="labels", title="Rated by people", rows=self.labels.num_rows, columns=LABEL_COLUMNS),
                self.labels,
            ),
        ]


def assess(
    ratings: Path, humans_file: InputFile, spec: PeopleSettings, *, titles: Mapping[str, str], seed: int
) -> Assessment:
    """Set a run's ratings beside a file of human ratings.

    Parameters
    ----------
    ratings : Path
        The run's table of ratings.
    humans_file : InputFile
        CSV as `auditor.audits.rating.people.read_humans` takes it.
    spec : PeopleSettings
        The run's spec.
    titles : Mapping[str, str]
        Axis -> what people read.
    seed : int
        Seed of bootstrap and split.

    Raises
    ------
    InputError
        If the file cannot be used; names row, column, value and fix.
    """
    units, axes = UnitIndex.from_ratings(ratings), axes_of(ratings)
    scale = declared_scales(spec.people_scale, axes, linear=spec.people_mapping == "linear")
    humans, cautions = read_humans(humans_file.path, humans_file.name, units, axes, scale)
    found = agree(ratings, humans, scale, titles=titles, confidence=spec.confidence, seed=seed)
    certificates: list[AxisCertificate] = []
    if spec.epsilon is not None:
        certificates = certify_axes(
            ratings,
            humans,
            scale,
            titles=titles,
            epsilon=spec.epsilon,
            delta=spec.delta,
            within=spec.within,
            calibration=spec.calibration,
            confidence=spec.confidence,
            seed=seed,
        )
    return Assessment(
        agreement=found,
        certificates=certificates,
        cautions=[*cautions, *agreement_cautions(found)],
        queue=review_queue(ratings, humans, scale, None if spec.epsilon is None else certificates),
        labels=labels_table(ratings, humans, scale),
        sentence=_sentence(found, certificates, spec.confidence),
    )


def agreement_cautions(found: Sequence[AxisAgreement]) -> list[Caution]:
    """What a reader of the agreement must know, counted in units."""
    cautions = []
    for axis in found:
        beaten = axis.baseline
        if beaten is not None and axis.within1.value is not None and axis.within1.value <= beaten.within1:
            message = (
                f"{axis.title}: always answering {beaten.score} is within 1 point of people at least as often as the judge "
                f"({beaten.within1:.0%} against {axis.within1.value:.0%})."
            )
            cautions.append(Caution(code="no_better_than_constant", message=message, count=axis.n))
        if axis.groups < FEW_GROUPS:
            message = (
                f"{axis.title}: people rated {axis.groups} contexts; with fewer than {FEW_GROUPS} the intervals are "
                "too narrow."
            )
            cautions.append(Caution(code="few_labelled_groups", message=message, count=axis.groups))
    return cautions


def _sentence(found: Sequence[AxisAgreement], certificates: Sequence[AxisCertificate], confidence: float) -> str:
    raters = {rater for axis in found for rater in axis.raters}
    who = f"{len(raters):,} people" if len(raters) != 1 else "one person"
    parts = "; ".join(_axis_words(axis, confidence) for axis in found)
    text = f"rank correlation with {who}: {parts}"
    accepted = [f"{c.title.lower()} from {short(c.threshold)}" for c in certificates if c.threshold is not None]
    refused = [c.title.lower() for c in certificates if c.threshold is None]
    if accepted:
        text += f"; auto-accept certified for {', '.join(accepted)}"
    if refused:
        text += f"; auto-accept not certified for {', '.join(refused)}"
    return text


def _axis_words(axis: AxisAgreement, confidence: float) -> str:
    if axis.spearman.value is None:
        return f"{axis.title.lower()} not defined"
    text = f"{axis.title.lower()} {coefficient(axis.spearman.value)}"
    details = []
    if axis.spearman.low is not None and axis.spearman.high is not None:
        details.append(
            f"{percent(confidence)} CI {coefficient(axis.spearman.low)} to {coefficient(axis.spearman.high)}"
        )
    if axis.human_ceiling.value is not None:
        details.append(f"one person against the others {coefficient(axis.human_ceiling.value)}")
    return f"{text} ({', '.join(details)})" if details else text
