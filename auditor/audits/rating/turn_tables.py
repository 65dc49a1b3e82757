"""Conversations from a table with one turn a row; the rows of one id stand together.

A conversation with a turn missing is another conversation. So a row that cannot be read spoils the conversation in
whose rows it stands, and where it stands between two, both, since either may have lost a turn. The same holds for a
row without an id; and an id whose rows do not stand together is no conversation at all.
"""

from collections.abc import Callable, Iterator, Mapping

from auditor.audits.rating.conversation import BadRow, Turn
from auditor.audits.rating.readers import Item, Record
from auditor.audits.rating.records import Unusable, conversation, label, role_of


def turn_items(records: Callable[[], Iterator[Record]], mapping: Mapping[str, str]) -> Iterator[Item]:
    """Conversations, or the reason why not, in the order of their first rows.

    Parameters
    ----------
    records : callable
        Gives the rows from the beginning on. They are read twice: first for the ids that come back after others, of
        which eight bytes each are held.
    mapping : mapping
        Columns of id, role and text, and perhaps of the group.
    """
    torn = _torn(records(), mapping["id"])
    held: _Rows | None = None
    damage: BadRow | None = None
    for row, record in records():
        unknown = _of_nobody(row, record, mapping["id"])
        if unknown is not None:
            if held is None:
                yield unknown
            else:
                held.spoil(unknown)
            damage = unknown
            continue
        identity = str(record[mapping["id"]])
        if held is None or held.identity != identity:
            if held is not None:
                yield held.item(torn)
            held = _Rows(identity, row, mapping)
            if damage is not None:
                held.spoil(_after(damage, row))
        damage = None
        held.add(row, record)
    if held is not None:
        yield held.item(torn)


def _of_nobody(row: int, record: object, column: str) -> BadRow | None:
    """A row of which nobody knows whose it is: damaged, or without an id."""
    if isinstance(record, BadRow):
        return record
    identity = record.get(column) if isinstance(record, dict) else None
    # A missing number in a Parquet file is not equal to itself.
    if identity is None or identity != identity or not str(identity).strip():
        return BadRow(row, "The id is empty", column, fix="Write the conversation's id in every one of its rows.")
    return None


def _after(damage: BadRow, row: int) -> BadRow:
    problem = f"Row {damage.row} before it cannot be used, and may be a turn of this conversation"
    return BadRow(row, problem, fix=f"Correct row {damage.row}.")


def _torn(records: Iterator[Record], column: str) -> set[str]:
    """Ids whose rows do not stand together."""
    seen, found = set[int](), set[str]()
    before = None
    for row, record in records:
        if _of_nobody(row, record, column) is not None:
            continue
        identity = str(record[column])
        if identity != before:
            # A number of 64 bits stands for the id, so that a million of them take little room.
            number = hash(identity)
            if number in seen:
                found.add(identity)
            seen.add(number)
        before = identity
    return found


class _Rows:
    """Rows of one id that stand together."""

    def __init__(self, identity: str, first: int, mapping: Mapping[str, str]) -> None:
        self.identity = identity
        self._first, self._mapping = first, mapping
        self._turns: list[Turn] = []
        self._group: object = None
        self._bad: BadRow | None = None

    def spoil(self, bad: BadRow) -> None:
        """Keep the first reason why the conversation cannot be rated."""
        self._bad = self._bad or bad

    def add(self, row: int, record: Mapping[str, object]) -> None:
        """Take a turn."""
        mapping = self._mapping
        try:
            label(record[mapping["id"]], mapping["id"])
            role = role_of(record.get(mapping["role"]), mapping["role"])
        except Unusable as error:
            self.spoil(error.bad_row(row))
            return
        self._turns.append(Turn(role, str(record.get(mapping["text"]) or "")))
        self._group = record.get(mapping["group"]) if "group" in mapping else None

    def item(self, torn: set[str]) -> Item:
        """The conversation, or the reason why not."""
        if self._bad is None and self.identity in torn:
            self._bad = BadRow(
                self._first,
                "The rows of this id do not stand together, so that it is not known what one conversation is",
                self._mapping["id"],
                self.identity,
                "Sort the table by id, the turns of each in their order.",
            )
        if self._bad is not None:
            return self._bad
        try:
            return conversation(self._turns, self._first, self.identity, self._group)
        except Unusable as error:
            return error.bad_row(self._first)
