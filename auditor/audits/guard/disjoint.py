"""Queries, demonstrations and corrupted demonstrations must not share a text or a group: an answer would stand in its prompt."""

from collections.abc import Mapping, Sequence

from auditor.audits.findings import Caution
from auditor.audits.guard.rows import Row
from auditor.audits.guard.task import plain
from auditor.audits.reading.columnar import Problems, Table
from auditor.errors import InputError


def check_disjoint(
    queries: Sequence[Row],
    pool: Sequence[Row],
    own: Sequence[Row],
    tables: Mapping[str, Table],
    problems: Problems,
) -> None:
    """Add every demonstration whose text or group is a query's too.

    Texts are compared without regard to case and blanks, since a model hardly sees them.

    Parameters
    ----------
    own : sequence of Row
        The person's own corrupted demonstrations.
    tables : mapping of str to Table
        By role, for the names of the files.
    """
    texts = {plain(row.text): row for row in reversed(queries)}
    groups = {row.group: row for row in reversed(queries) if row.group}
    asked = tables["queries"].file
    for role, rows in (("demonstrations", pool), ("corrupted", own)):
        for row in rows:
            same_text, same_group = texts.get(plain(row.text)), groups.get(row.group)
            if same_text is not None:
                problem = f"The text is a query too, in row {same_text.place:,} of {asked}"
                fix = "Delete it from one of the files: its answer would stand in the prompt."
                problems.add(_problem(problem, tables[role], row, "text", row.text, fix))
            elif same_group is not None:
                problem = f"The group has queries too, as in row {same_group.place:,} of {asked}"
                fix = "Keep every group in one of the files."
                problems.add(_problem(problem, tables[role], row, "group", row.group, fix))


def _problem(problem: str, table: Table, row: Row, column: str, value: str, fix: str) -> InputError:
    return InputError(problem, file=table.file, row=row.place, column=column, value=value, fix=fix)


def without_repeats(queries: Sequence[Row]) -> tuple[list[Row], list[Caution]]:
    """Queries without those that say again what another one said: the same text with the same label.

    Kept, they would be no further evidence, and one pair would make every unit of the tests count for two. A text with two
    labels stays, as one unit, since no answer is right for both.

    Returns
    -------
    rows : list of Row
        The first of each.
    cautions : list of Caution
    """
    first: dict[tuple[str, str], Row] = {}
    labels: dict[str, list[str]] = {}
    for row in queries:
        if first.setdefault((plain(row.text), row.label), row) is row:
            labels.setdefault(plain(row.text), []).append(row.label)
    kept, cautions = list(first.values()), list[Caution]()
    if again := len(queries) - len(kept):
        message = (
            f"Queries that were left out since another one has the same text and label: {again:,}. Asked twice they would be "
            "no further evidence."
        )
        cautions.append(Caution(code="repeated-texts", message=message, count=again))
    if torn := sum(len(found) for found in labels.values() if len(found) > 1):
        message = (
            f"Queries whose text has another label elsewhere: {torn:,}. No answer is right for all of them; those of one text "
            "count as one group."
        )
        cautions.append(Caution(code="contradictory-labels", message=message, count=torn))
    return kept, cautions
