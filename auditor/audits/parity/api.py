"""The parity test for notebooks: tables in, an answer with its pictures out, nothing written but temporary files."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from auditor.audits import InputFile, Picture
from auditor.audits.memory import MemoryContext
from auditor.audits.parity import settings as naming
from auditor.audits.parity.findings import EffectInfo, ParityFindings
from auditor.errors import InputError

if TYPE_CHECKING:
    import pyarrow as pa
    from matplotlib.figure import Figure


#: How the value of a setting is written, where a message names one.
_FORMS = {"mapping": "mapping={field: column}"}


@dataclass(frozen=True)
class ParityResult:
    """What came out of a test.

    Attributes
    ----------
    findings : ParityFindings
        Everything, as a run of the program would have found it.
    tables : mapping of str to pyarrow.Table
        Tests, effects, cells, queries and the others; ``.to_pandas()`` makes a DataFrame.
    """

    findings: ParityFindings
    tables: "Mapping[str, pa.Table]"
    _context: MemoryContext

    @property
    def verdict(self) -> str:
        """The answer as a sentence with its numbers."""
        return self.findings.verdict.sentence

    @property
    def state(self) -> str:
        """One of: parity within margin, disparity detected, inconclusive."""
        return self.findings.state

    @property
    def p_value(self) -> float:
        """Of the declared hypothesis, two-sided."""
        return self.findings.primary.p_value

    @property
    def effects(self) -> list[EffectInfo]:
        """Effects with intervals; the first one is the primary effect."""
        return self.findings.effects

    @property
    def warnings(self) -> list[str]:
        """What a reader of the numbers must know."""
        return [caution.message for caution in self.findings.warnings]

    def pictures(self, theme: str = "light") -> Iterator[Picture]:
        """Draw the findings: figures with their words and data."""
        from auditor.audits.parity import pictures

        return pictures(self.findings, self._context.table_files(), theme)

    def figure(self, name: str, theme: str = "light") -> "Figure":
        """One figure by its name.

        Raises
        ------
        InputError
            If there is none of this name.
        """
        names = []
        for picture in self.pictures(theme):
            if picture.name == name:
                return picture.figure
            names.append(picture.name)
        raise InputError("There is no such figure", value=name, fix=f"One of: {', '.join(names)}.")

    def __str__(self) -> str:
        return "\n".join([self.verdict, *(f"Warning: {message}" for message in self.warnings)])


def parity_test(
    results: Any,
    catalog: Any = None,
    shares: Any = None,
    *,
    queries: Any = None,
    annotations: Any = None,
    seed: int = 0,
    **settings: Any,
) -> ParityResult:
    """Test whether search results depend on a protected attribute: distribution parity, after Khaziev et al.

    Parameters
    ----------
    results : table
        A row for each result: query_id, item_id, rank (and query_group, the attribute, strata). A pandas or polars
        DataFrame, a pyarrow.Table, a dict of columns, or anything else with ``__arrow_c_stream__``.
    catalog, shares, queries, annotations : table, optional
        As the files of these roles; see `auditor.audits.parity.input_roles`.
    seed : int
        Seed of every random draw.
    **settings
        Fields of `ParitySpec`: attribute, query_group, scale, mode, k, strata, margin, permutations, ...

    Returns
    -------
    ParityResult

    Raises
    ------
    InputError
        If a setting or a table cannot be used; the sentence names row, column, value and the fix.
    """
    from auditor.audits.parity.audit import carry_out
    from auditor.audits.parity.inputs import read
    from auditor.audits.parity.raters import said

    given = {
        "results": results,
        "catalog": catalog,
        "queries": queries,
        "shares": shares,
        "annotations": annotations,
    }
    spec = naming.checked(settings, str)
    context = MemoryContext(seed=seed)
    try:
        with TemporaryDirectory(prefix="auditor-") as folder:
            files = {role: _file(role, table, Path(folder)) for role, table in given.items() if table is not None}
            results, judged = read(files, spec), said(files, spec)
        findings = carry_out(spec, results, context, judged)
    except InputError as error:
        raise naming.told(error, lambda field: _FORMS.get(field, field)) from None
    return ParityResult(findings, context.tables, context)


def _file(role: str, given: Any, folder: Path) -> InputFile:
    """A table as the file that a run would have been given."""
    import pyarrow.parquet as pq

    path = folder / f"{role}.parquet"
    pq.write_table(_table(role, given), path)
    return InputFile(path, role, "")


def _table(role: str, given: Any) -> "pa.Table":
    import pyarrow as pa

    try:
        return given if isinstance(given, pa.Table) else pa.table(given)
    except (pa.ArrowException, TypeError, ValueError) as error:
        raise InputError(
            f"The {role} are no table: {error}", fix="Give a DataFrame, a pyarrow.Table or a dict of columns."
        ) from None
