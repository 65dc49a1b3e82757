"""What comparisons of runs are told in, whatever the audit."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from auditor.audits.findings import Caution

if TYPE_CHECKING:
    import pyarrow as pa


class _Beside(Protocol):
    """One run beside A."""

    @property
    def b(self) -> str:
        """Name of the other run."""


Pair = TypeVar("Pair", bound=_Beside)


@dataclass(frozen=True)
class Comparison(Generic[Pair]):
    """What came out.

    Attributes
    ----------
    pairs : tuple of Pair
        The first run with every other one.
    cautions : tuple of Caution
        What a reader must know, counted.
    table : pyarrow.Table
        A row for each pair and each thing that both runs measured; the audit's columns say what they hold.
    confidence : float
        Nominal coverage of the intervals.
    seed : int
        Of the bootstrap.
    """

    pairs: tuple[Pair, ...]
    cautions: tuple[Caution, ...]
    table: "pa.Table"
    confidence: float
    seed: int


@dataclass(frozen=True)
class SmallTable:
    """Figures in words, ready to be shown.

    Attributes
    ----------
    columns : tuple of (title, what it holds)
        A title may have two lines.
    rows : tuple of tuple of str
    """

    title: str
    columns: tuple[tuple[str, str], ...]
    rows: tuple[tuple[str, ...], ...]


def p_cell(p: float | None) -> str:
    """A p-value in a cell, three decimals; one that is above 0 never reads 0. A dash where there is none."""
    if p is None:
        return "–"
    return "<0.001" if p < 0.0005 else f"{p:.3f}"


def run_names(n: int) -> list[str]:
    """A and B; with more runs A, B 1, B 2 and so on, each of which is B beside A."""
    return ["A", "B"] if n == 2 else ["A", *(f"B {number}" for number in range(1, n))]
