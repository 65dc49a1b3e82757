"""How far a requantised model may be from its original."""

from pydantic import BaseModel, ConfigDict, Field


class Tolerance(BaseModel):
    """How far a requantised model may be from its original to be kept. Defaults are ours."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    least_agreement: float = Field(
        default=0.95, ge=0, le=1, description="Least share of ratings whose most probable score stays, near ties apart."
    )
    near_tie: float = Field(
        default=0.04,
        ge=0,
        le=1,
        description="A changed score is a near tie where the original gave both scores probabilities this close.",
    )
    most_difference: float = Field(
        default=0.10, ge=0, le=4, description="Largest mean absolute difference of expected scores, in points."
    )

    @property
    def sentence(self) -> str:
        """The same for people."""
        return (
            f"at least {self.least_agreement:.0%} of ratings keep their most probable score, or change it between two "
            f"to which the original gives probabilities within {self.near_tie:.2f}; expected scores differ by at most "
            f"{self.most_difference:.2f} on average"
        )
