"""What raters said of the items of a contact sheet: whose turn it is, what is left, what can be undone. No Qt."""

import itertools
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from auditor.audits.parity.tones import UNCERTAIN
from auditor.case.records import AnnotationSource, GivenAnnotation
from auditor.case.store import Record
from auditor.desktop.widgets.columns import Numbers, Texts, read_columns


@dataclass(frozen=True)
class Sheet:
    """Results as a contact sheet: queries below each other, their results beside each other.

    Attributes
    ----------
    query_ids : Texts
        Of each query.
    end : array of int
        For each query where its slots end, and those of the next one begin.
    item, rank : array of int
        Of each slot.
    item_ids, images : Texts
        Of each item; an empty path where there is no image.
    place : array of int
        Of each item, its place in `order`; -1 for items of the catalog that stand in no list.
    order : array of int
        Slots in which an item stands for the first time: each item once, in the order in which people come to it.
    number : mapping of str to int
        Item id -> number.
    """

    query_ids: Texts
    end: "array[int]"
    item: "array[int]"
    rank: "array[int]"
    item_ids: Texts
    images: Texts
    place: "array[int]"
    order: "array[int]"
    number: Mapping[str, int]

    @property
    def n_queries(self) -> int:
        """Rows of the sheet."""
        return len(self.end)

    @property
    def longest(self) -> int:
        """Results of the query that has most: columns of the sheet."""
        ends = [0, *self.end]
        return max((after - before for before, after in itertools.pairwise(ends)), default=0)

    def begin(self, query: int) -> int:
        """The first slot of a query."""
        return self.end[query - 1] if query else 0

    def slot(self, query: int, column: int) -> int | None:
        """The slot in a cell; None where the list is shorter."""
        slot = self.begin(query) + column
        return slot if slot < self.end[query] else None

    def cell(self, slot: int) -> tuple[int, int]:
        """Query and column of a slot."""
        query = bisect_right(self.end, slot)
        return query, slot - self.begin(query)

    def image(self, item: int) -> str:
        """Path of an item's image, or ""."""
        return self.images.whole_text(item)


def read_sheet(folder: Path, infos: Mapping[str, Any]) -> Sheet:
    """A sheet from the files that the task `annotation_sheet` wrote. Runs off the window's thread."""
    found = {
        name: {column.name: column for column in read_columns(folder / name, infos[name]["columns"])}
        for name in ("queries", "slots", "items", "order")
    }
    ids = _texts(found["items"]["item_id"])
    return Sheet(
        query_ids=_texts(found["queries"]["query_id"]),
        end=_whole(found["queries"]["end"]),
        item=_whole(found["slots"]["item"]),
        rank=_whole(found["slots"]["rank"]),
        item_ids=ids,
        images=_texts(found["items"]["image"]),
        place=_whole(found["items"]["place"]),
        order=_whole(found["order"]["slot"]),
        number={ids.whole_text(item): item for item in range(len(ids))},
    )


def _texts(column: Numbers | Texts) -> Texts:
    if not isinstance(column, Texts):
        raise TypeError(f"the column {column.name} is no text")
    return column


def _whole(column: Numbers | Texts) -> "array[int]":
    import numpy as np

    if not isinstance(column, Numbers):
        raise TypeError(f"the column {column.name} is no number")
    found = array("q")
    found.frombytes(np.array(column.values).astype(np.int64).tobytes())
    return found


@dataclass(frozen=True)
class Own:
    """An annotation of one rater that holds."""

    record: str
    value: str
    source: AnnotationSource
    blind: bool | None
    image_sha256: str
    ita_degrees: float | None

    def kept_as(self, record: str) -> "Own":
        """The same, once it is committed as a record."""
        return replace(self, record=record)


@dataclass(frozen=True)
class Step:
    """An annotation that can be undone, and the one that it took the place of."""

    item: int
    before: Own | None


class ToneBook:
    """Who said what of the items of a sheet, on one scale.

    Attributes
    ----------
    rater : str
        Who sits at the keyboard; empty until a name is given.
    attribute, scale : str
        What is annotated, and how.
    """

    def __init__(self) -> None:
        self.rater, self.attribute, self.scale = "", "", "monk"
        self._sheet: Sheet | None = None
        self._said: dict[str, dict[int, Own]] = {}
        self._steps: dict[str, list[Step]] = {}
        self._open = bytearray()

    def read(self, sheet: Sheet, attribute: str, scale: str, records: Sequence[Record]) -> None:
        """Begin with a sheet and the annotations of a case; those of items that stand in no list are not shown."""
        self.attribute, self.scale, self._sheet = attribute, scale, sheet
        self._said, self._steps = {}, {}
        for record in records:
            body = record.body
            item = sheet.number.get(body["item"])
            if item is None or sheet.place[item] < 0:
                continue
            rater = str(body["rater"])
            own = Own(
                record.id,
                str(body["value"]),
                body["source"],
                body.get("blind"),
                str(body.get("image_sha256", "")),
                body.get("ita_degrees"),
            )
            self._said.setdefault(rater, {})[item] = own
            if "blind" in body:
                self._steps.setdefault(rater, []).append(Step(item, None))
        self.sit_down(self.rater)

    def sit_down(self, rater: str) -> None:
        """Another rater takes the keyboard."""
        self.rater = rater
        sheet = self._sheet
        if sheet is None:
            return
        self._open = bytearray(b"\x01") * len(sheet.order)
        for item in self._said.get(rater, ()):
            self._open[sheet.place[item]] = 0

    @property
    def raters(self) -> list[str]:
        """Everybody who said something, and who sits at the keyboard, in alphabetical order."""
        return sorted({name for name, said in self._said.items() if said} | ({self.rater} - {""}), key=str.casefold)

    @property
    def n_items(self) -> int:
        """Items that stand in a list."""
        return len(self._open)

    @property
    def n_said(self) -> int:
        """How many of them the rater has annotated."""
        return len(self._said.get(self.rater, ()))

    @property
    def n_uncertain(self) -> int:
        """How many of them the rater called uncertain."""
        return sum(own.value == UNCERTAIN for own in self._said.get(self.rater, {}).values())

    def own(self, item: int) -> Own | None:
        """What the rater at the keyboard said of an item."""
        return self._said.get(self.rater, {}).get(item)

    def others(self, item: int) -> list[tuple[str, str]]:
        """What the other raters said of it: (name, value)."""
        return [
            (rater, self._said[rater][item].value)
            for rater in sorted(self._said, key=str.casefold)
            if rater != self.rater and item in self._said[rater]
        ]

    def next_open(self, slot: int) -> int | None:
        """The first slot after this one, then from the beginning, whose item is not annotated yet; None if all are."""
        sheet = self._sheet
        if sheet is None:
            return None
        found = self._open.find(1, bisect_right(sheet.order, slot))
        found = self._open.find(1, 0, bisect_left(sheet.order, slot + 1)) if found < 0 else found
        return sheet.order[found] if found >= 0 else None

    def first_slot(self, item: int) -> int:
        """Where an item stands first."""
        assert self._sheet is not None
        return self._sheet.order[self._sheet.place[item]]

    def took(self, item: int, own: Own) -> None:
        """Remember an annotation of the rater that was committed."""
        self._steps.setdefault(self.rater, []).append(Step(item, self.own(item)))
        self._hold(item, own)

    def _hold(self, item: int, own: Own | None) -> None:
        assert self._sheet is not None
        said = self._said.setdefault(self.rater, {})
        if own is None:
            said.pop(item, None)
        else:
            said[item] = own
        self._open[self._sheet.place[item]] = own is None

    def last_step(self) -> tuple[Step, Own] | None:
        """What an undo would take back, with the annotation that holds there now."""
        steps = self._steps.get(self.rater, [])
        while steps:
            own = self.own(steps[-1].item)
            if own is not None:
                return steps[-1], own
            steps.pop()
        return None

    def undone(self, step: Step, record: str | None) -> None:
        """Remember that the last annotation was withdrawn; `record` is the one before it, committed anew."""
        self._steps[self.rater].pop()
        again = step.before.kept_as(record) if step.before is not None and record is not None else None
        self._hold(step.item, again)

    def given(self, item_id: str, own: Own) -> GivenAnnotation:
        """An annotation as it is committed, or committed once more."""
        return GivenAnnotation(
            item_id,
            self.attribute,
            self.scale,
            own.value,
            self.rater,
            own.source,
            own.blind,
            own.image_sha256,
            own.ita_degrees,
        )
