"""What every audit hands back: a verdict in words, headline numbers, typed tables, warnings, provenance.

One findings object feeds the screen, the report, the command line and a notebook, so that no two of them
can disagree.
"""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

#: Version of the findings.json layout; raised when a reader of the old one would misread the new one.
FINDINGS_VERSION: Literal[1] = 1


class Verdict(BaseModel):
    """The answer, as a state a program can test and a sentence a person can quote."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    state: str = Field(description="Machine-readable outcome, for example 'rated' or 'disparity detected'.")
    sentence: str = Field(description="The outcome as one sentence with its numbers.")


class Caution(BaseModel):
    """A warning that is counted, never only logged."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    code: str = Field(description="Stable short name, for example 'truncated'.")
    message: str = Field(description="What happened and what it means, as a sentence.")
    count: int = Field(default=1, ge=0, description="How many rows or events it concerns.")


class Column(BaseModel):
    """What a column of a table holds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(description="Column name in the Parquet file.")
    title: str = Field(description="Header shown to people.")
    description: str = Field(description="What the number is: formula, source, bounds.")
    unit: str | None = Field(default=None, description="Unit, where there is one.")
    detail: bool = Field(default=False, description="Left out where a table is printed; it stands in the file.")


class TableInfo(BaseModel):
    """A table written beside the findings."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(description="Table name; the file is tables/<name>.parquet.")
    title: str
    rows: int = Field(ge=0)
    columns: tuple[Column, ...]
    leading: int = Field(
        default=0, ge=0, description="Rows that a report prints of a longer table that is sorted by what matters most."
    )


class Provenance(BaseModel):
    """Where the numbers come from. Filled by the run room, completed by the audit."""

    model_config = ConfigDict(frozen=True, extra="allow")

    device: str = Field(default="", description="What computed, as the backend reports it.")
    seed: int | None = Field(default=None, description="Seed of every random draw of the run.")
    settings: Mapping[str, Any] = Field(
        default_factory=dict, description="Choices made at run time, e.g. the batch plan."
    )
    machine: Mapping[str, Any] = Field(
        default_factory=dict,
        description="Machine that carried the run out, as spec.json has the one that asked for it. Filled by the run room.",
    )
    versions: Mapping[str, str] = Field(
        default_factory=dict, description="Software that was installed there, distribution -> version."
    )


class Findings(BaseModel):
    """What came out of an audit. Audits subclass it with their own typed figures."""

    model_config = ConfigDict(extra="forbid")

    v: Literal[1] = FINDINGS_VERSION
    audit: str
    verdict: Verdict
    n: int = Field(ge=0, description="Number of units that the verdict rests on.")
    headline: dict[str, Any] = Field(
        default_factory=dict, description="The numbers that --json prints, plain JSON values."
    )
    warnings: list[Caution] = Field(default_factory=list)
    limitations: list[str] = Field(default_factory=list, description="What the numbers do not show, as sentences.")
    tables: list[TableInfo] = Field(default_factory=list)
    provenance: Provenance = Field(default_factory=Provenance)
