"""The certificate of auto-accept: what may be accepted unseen on one axis, or why nothing may."""

from decimal import ROUND_CEILING, Decimal
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from auditor.audits.rating.agreement import AxisAgreement, Estimate, ReliabilityBin


class AxisCertificate(BaseModel):
    """Everything that must be said beside a certificate of auto-accept."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    title: str
    epsilon: float = Field(description="Largest share of accepted ratings that may disagree with people.")
    delta: float = Field(description="Probability with which the certificate may be wrong.")
    within: int = Field(description="A rating disagrees when it is more than so many points from the human label.")
    calibration: str = Field(description="'none', 'temperature' or 'isotonic'.")
    calibration_fit: dict[str, Any] | None = Field(default=None, description="What was fitted, on the fit part.")
    seed: int = Field(description="Seed of the split, and of the order in which contexts are looked at.")
    contexts: tuple[int, int, int] = Field(description="Labelled contexts of the parts fit, certify, report.")
    units: tuple[int, int, int] = Field(description="Labelled units of the parts fit, certify, report.")

    certified: bool = False
    threshold: float | None = Field(default=None, description="Ratings with at least this confidence are accepted.")
    method: str = Field(
        default="", description="'binomial', or 'betting by context' where contexts hold several units."
    )
    tested: tuple[float, ...] = Field(default=(), description="Thresholds as tested; the first was fixed beforehand.")
    p_values: tuple[float, ...] = Field(default=(), description="One for each threshold tested.")
    n_accepted: int = Field(default=0, description="Units of the certifying part that the threshold accepts.")
    n_wrong: int = Field(default=0, description="Of these, how many disagree.")
    upper: float | None = Field(default=None, description="Their disagreement's upper bound at 1 - delta, where exact.")
    why: str = Field(default="", description="Why nothing is certified, as a sentence.")
    needed: int | None = Field(
        default=None, description="About how many labelled units (contexts, where they hold several) it would take."
    )

    run_n: int = Field(description="Ratings of the run on this axis.")
    run_accepted: int = Field(default=0, description="Of these, how many the threshold accepts.")

    report_accepted: int = Field(default=0, description="Units of the report part that the threshold accepts.")
    report_wrong: int = Field(default=0, description="Of these, how many disagree.")
    report_disagreement: Estimate = Field(
        default=Estimate(value=None), description="Share of disagreement among them, Clopper-Pearson interval."
    )
    report_agreement: AxisAgreement | None = Field(default=None, description="The report part after calibration.")
    reliability_before: tuple[ReliabilityBin, ...] = Field(
        default=(), description="The report part as the judge gave it."
    )
    ece_before: float | None = None
    notes: tuple[str, ...] = ()

    @property
    def sentence(self) -> str:
        """The certificate as people quote it."""
        if not self.certified or self.threshold is None:
            return f"No rating of {self.title.lower()} is accepted unseen: {self.why}"
        points = f"by more than {self.within} point{'s' if self.within != 1 else ''} " if self.within else ""
        return (
            f"Ratings of {self.title.lower()} with confidence of at least {short(self.threshold)} disagree with people "
            f"{points}in at most {percent(self.epsilon)} of cases, with probability {percent(1 - self.delta)}: "
            f"{percent(self.run_accepted / self.run_n, 0)} of ratings are accepted."
        )


def short(share: float) -> str:
    """A threshold without the zero before the point, rounded up after four decimals, later where that would make it 1.

    What is printed is never below the threshold: ratings between the two were not certified.
    """
    exact, digits = Decimal(repr(float(share))), 4
    while (shown := _rounded_up(exact, digits)) >= 1 > exact:
        digits += 1
    text = f"{shown:f}"
    return (text.rstrip("0").rstrip(".") if "." in text else text).removeprefix("0") or "0"


def _rounded_up(exact: Decimal, digits: int) -> Decimal:
    return exact.quantize(Decimal(1).scaleb(-digits), rounding=ROUND_CEILING)


def percent(share: float, digits: int = 2) -> str:
    """A share in per cent, without zeros at the end."""
    text = f"{100 * share:.{digits}f}"
    return (text.rstrip("0").rstrip(".") if "." in text else text) + "%"


def coefficient(value: float) -> str:
    """Two decimals without the zero before the point and with a real minus, as coefficients between -1 and 1 are printed."""
    text = f"{value:.2f}"
    # A tiny negative number is printed as zero, without its sign.
    text = "0.00" if text == "-0.00" else text
    text = text.replace("0.", ".", 1) if abs(value) < 0.995 else text
    return text.replace("-", "−")
