"""Tables -> `Results`: queries and items numbered, files brought together, everything that contradicts named."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from auditor.audits.findings import Caution
from auditor.audits.parity import shares
from auditor.audits.parity.attributes import attribute_of, scale_hint
from auditor.audits.parity.checks import Slots, filled, one_row_each, slots_of
from auditor.audits.parity.columns import ambiguous, asked, attribute_column, attribute_names, missing
from auditor.audits.parity.data import MISSING, Attribute, Results
from auditor.audits.parity.groups import ALL, Groups, Keyed, groups_of, no_groups, strata_of
from auditor.audits.parity.image_column import images_in, images_of
from auditor.audits.parity.spec import ParitySpec
from auditor.audits.reading.columnar import Column, Problems, Table
from auditor.audits.reading.names import match
from auditor.errors import InputError


@dataclass(frozen=True)
class Loaded:
    """A table of one role and what its columns are read as.

    Attributes
    ----------
    table : Table
    fields : mapping of str to str
        Field -> column.
    folder : Path
        Where relative paths of images begin.
    """

    table: Table
    fields: Mapping[str, str]
    folder: Path

    def column(self, field: str) -> Column:
        """The column of a field."""
        return self.table.columns[self.fields[field]]


class Assembly:
    """Everything that is brought together for one `Results`.

    Parameters
    ----------
    loaded : mapping of str to Loaded
        By role; "results" must be there.
    """

    def __init__(self, loaded: Mapping[str, Loaded], spec: ParitySpec, problems: Problems) -> None:
        self._loaded, self._spec, self._problems = loaded, spec, problems
        self.cautions: list[Caution] = []
        self._catalog = loaded.get("catalog")
        self._catalog_rows = self._rows_of("catalog", "item_id", "item")
        self._slots = self._known_slots()
        self.cautions += self._slots.cautions
        query = self._slots.query
        # Codes number values by their first row, so that sorted codes are ids in the order of the file.
        used = np.sort(query.used)
        self.query_ids: tuple[str, ...] = tuple(query.texts.take(used).to_pylist())
        self.query = _renumbered(query.codes, used, len(query.values))
        self.item_ids, self.item = self._items()
        self.n_slots = np.bincount(self.query, minlength=len(self.query_ids))

    def _rows_of(self, role: str, field: str, what: str) -> NDArray[np.int64]:
        """Rows of a table that names each id once."""
        if role not in self._loaded:
            return np.zeros(0, np.int64)
        one = self._loaded[role]
        self.cautions += one.table.cautions
        filled(one.table, one.fields[field], self._problems)
        return np.sort(one_row_each(one.table, one.fields[field], what, self._problems))

    def _known_slots(self) -> Slots:
        results = self._loaded["results"]
        slots = slots_of(results.table, results.fields, self._spec, self._problems)
        if not len(slots.rank):
            self._problems.refuse()
            raise InputError(
                "The file holds no results", file=results.table.file, fix="Check that it was saved completely."
            )
        if self._catalog is None:
            return slots
        place = _places(slots.item, self._catalog_ids())
        absent = np.flatnonzero(place < 0)
        self._problems.add_rows(
            absent,
            lambda row: InputError(
                "The item is not in the catalog",
                file=slots.table.file,
                row=slots.table.row(row),
                column=results.fields.get("item_id"),
                value=slots.item.text(row),
                fix="Add it to the catalog, or leave the result out; ids must be written alike in both files.",
            ),
        )
        if len(absent) == len(place):
            self._problems.refuse()
        return slots.take(place >= 0)

    def _catalog_ids(self) -> Any:
        """Ids of the catalog's items, a pyarrow.StringArray."""
        assert self._catalog is not None
        column = self._catalog.column("item_id")
        return column.texts.take(column.codes[self._catalog_rows])

    def _items(self) -> tuple[tuple[str, ...], NDArray[np.int32]]:
        if self._catalog is not None:
            ids = self._catalog_ids()
            return tuple(ids.to_pylist()), _places(self._slots.item, ids)
        column = self._slots.item
        used = np.sort(column.used)
        return tuple(column.texts.take(used).to_pylist()), _renumbered(column.codes, used, len(column.values))

    # ---- sources of columns, first the one that wins

    def _of_queries(self) -> list[Keyed]:
        found = [Keyed(self._slots.table, self.query, len(self.query_ids), "query")]
        if "queries" in self._loaded:
            queries = self._loaded["queries"]
            place = self._query_places(queries.column("query_id"))
            found.insert(0, Keyed(queries.table, place, len(self.query_ids), "query"))
        return found

    def _of_items(self) -> list[Keyed]:
        found = [Keyed(self._slots.table, self.item, len(self.item_ids), "item")]
        if self._catalog is not None:
            number = np.full(self._catalog.table.n_rows, MISSING, np.int32)
            number[self._catalog_rows] = np.arange(len(self.item_ids))
            found.insert(0, Keyed(self._catalog.table, number, len(self.item_ids), "item"))
        return found

    def _query_places(self, column: Column) -> NDArray[np.int32]:
        import pyarrow as pa

        return _places(column, pa.array(self.query_ids, pa.string()))

    # ---- what is made

    def results(self, *, needs_attribute: bool) -> Results:
        """Everything together; problems are added, never raised."""
        groups = self._groups(self._problems if needs_attribute else Problems())
        attributes = self._attributes() if needs_attribute else {}
        target, mean = self._targets(attributes)
        query_item = self._query_items()
        query_stratum, item_stratum, strata = self._strata(query_item, needs=needs_attribute)
        catalog = np.full(len(self.item_ids), self._catalog is not None)
        images, image_folder = self._images()
        return Results(
            query_ids=self.query_ids,
            item_ids=self.item_ids,
            query=self.query,
            item=self.item,
            rank=self._slots.rank,
            score=self._slots.score,
            group_names=groups.names,
            query_group=groups.of_query,
            query_stratum=query_stratum,
            item_stratum=item_stratum,
            stratum_names=strata,
            query_item=query_item,
            in_catalog=catalog,
            attributes=attributes,
            shares=target,
            target_mean=mean,
            images=images,
            image_folder=image_folder,
            cautions=tuple(self.cautions),
            excluded={**self._slots.excluded, **groups.excluded},
        )

    def _groups(self, problems: Problems) -> Groups:
        self._check_queries()
        for role, keyed in zip(
            ("queries", "results") if "queries" in self._loaded else ("results",), self._of_queries(), strict=True
        ):
            name = self._loaded[role].fields.get("query_group")
            if name is not None:
                groups = groups_of(keyed, name, keyed.table.columns[name], self.n_slots, self._spec, problems)
                self.cautions += groups.cautions
                self._check_two(groups, keyed.table, name, problems)
                return groups
        wanted = asked(self._spec, "query_group")
        if wanted or self._spec.mode == "B":
            tables = [self._loaded[role].table for role in ("queries", "results") if role in self._loaded]
            problems.add(missing(tables, wanted or "query_group", "query_group"))
        return no_groups(len(self.query_ids))

    def _check_two(self, groups: Groups, table: Table, name: str, problems: Problems) -> None:
        others = {"catalog", "shares"} & set(self._loaded)
        if (
            len(groups.names) < 2
            and (self._spec.mode == "B" or (self._spec.mode == "auto" and not others))
            and not problems.count
        ):
            problems.add(
                InputError(
                    f"Queries have {len(groups.names)} group{'s' * (len(groups.names) != 1)}: a comparison needs two",
                    file=table.file,
                    column=name,
                    value=groups.names[0] if groups.names else None,
                    fix="Name another column, or add a catalog or target shares to compare with.",
                )
            )

    def _check_queries(self) -> None:
        """Every query of a table of queries has results."""
        if "queries" not in self._loaded:
            return
        queries = self._loaded["queries"]
        rows = self._rows_of("queries", "query_id", "query")
        without = rows[self._query_places(queries.column("query_id"))[rows] < 0]
        self._problems.add_rows(
            without,
            lambda row: InputError(
                "The query has no results",
                file=queries.table.file,
                row=queries.table.row(row),
                column=queries.fields["query_id"],
                value=queries.column("query_id").text(row),
                fix="Leave the row out, or add the query's results.",
            ),
        )

    def _attributes(self) -> dict[str, Attribute]:
        found: dict[str, Attribute] = {}
        more = self._levels_of_shares()
        for number, name in enumerate(attribute_names(self._spec)):
            is_primary = number == 0
            if is_primary and "annotations" in self._loaded:
                attribute = self._annotated(name)
            else:
                attribute = self._attribute(name, is_primary=is_primary, more=more if is_primary else ())
            if attribute is not None:
                found[attribute.name] = attribute
        return found

    def _attribute(self, name: str, *, is_primary: bool, more: Sequence[str]) -> Attribute | None:
        roles = ("catalog", "results") if self._catalog is not None else ("results",)
        sources = list(zip(roles, self._of_items(), strict=True))
        for place, (role, keyed) in enumerate(sources):
            column = attribute_column(
                keyed.table, name or self._loaded[role].fields.get("attribute", ""), self._spec.colour
            )
            if column is None:
                continue
            shown, cells = column
            if is_primary and (hint := scale_hint(cells, self._spec)):
                self.cautions.append(Caution(code="scale", message=f"{shown}: {hint}."))
            if any(attribute_column(other.table, shown, self._spec.colour) for _, other in sources[place + 1 :]):
                message = f"{shown} stands in the catalog and in the results: the catalog's values were taken."
                self.cautions.append(Caution(code="attribute-twice", message=message))
            return attribute_of(
                keyed.table,
                shown,
                cells,
                keyed.number,
                keyed.n,
                self._spec,
                self._problems,
                self.cautions,
                is_primary=is_primary,
                more_levels=more,
            )
        tables = [self._loaded[role].table for role in roles]
        error = (
            None if name else next((error for table in tables if (error := ambiguous(table, "attribute", ()))), None)
        )
        setting = "attribute" if is_primary else "more_attributes"
        also = "" if self._catalog is not None else " here or in a catalog, a table with a row for each item"
        self._problems.add(error or missing(tables, name or "attribute", "attribute", setting=setting, also=also))
        return None

    def _annotated(self, name: str) -> Attribute | None:
        from auditor.audits.parity import annotated

        one = self._loaded["annotations"]
        before = self._problems.count
        annotations = annotated.annotations_of(one.table, one.fields, self._spec, self._problems)
        if annotations is None or self._problems.count > before:
            return None
        return annotated.consensus_of(annotations, name or "annotation", self.item_ids, self._spec, self.cautions)

    def _levels_of_shares(self) -> tuple[str, ...]:
        if "shares" not in self._loaded:
            return ()
        one = self._loaded["shares"]
        return shares.levels_named(one.table, one.fields)

    def _targets(self, attributes: Mapping[str, Attribute]) -> tuple[NDArray[np.float64] | None, float | None]:
        if "shares" not in self._loaded or not attributes:
            return None, None
        one = self._loaded["shares"]
        self.cautions += one.table.cautions
        scale = next(iter(attributes.values())).scale
        if scale.kind == "ita" and "target_mean" in one.fields:
            return None, shares.target_mean(one.table, one.fields, self._problems)
        return shares.matrix(one.table, one.fields, scale, self.query_ids, self._problems, self.cautions), None

    def _query_items(self) -> NDArray[np.int32]:
        """The catalog item that each query is, by its item column or its own id."""
        found = np.full(len(self.query_ids), MISSING, np.int32)
        if self._catalog is None:
            return found
        import pyarrow as pa

        ids = self._catalog_ids()
        for role, keyed in zip(
            ("queries", "results") if "queries" in self._loaded else ("results",), self._of_queries(), strict=True
        ):
            name = self._loaded[role].fields.get("query_item")
            if name is not None:
                column = keyed.table.columns[name]
                code = keyed.value(name, column, self._problems)
                place = np.append(
                    _places(Column(np.arange(len(column.values), dtype=np.int32), column.values), ids), MISSING
                )
                return place[code].astype(np.int32)
        queries = pa.array(self.query_ids, pa.string())
        return _places(Column(np.arange(len(queries), dtype=np.int32), queries), ids)

    def _strata(
        self, query_item: NDArray[np.int32], *, needs: bool
    ) -> tuple[NDArray[np.int32], NDArray[np.int32], tuple[str, ...]]:
        mapped = self._spec.mapping.get("stratum", "")
        columns = list(self._spec.strata) or ([mapped] if mapped else [])
        problems = self._problems if needs else Problems()
        of_query, of_item, names = strata_of(
            columns,
            self._of_queries(),
            self._of_items(),
            len(self.query_ids),
            len(self.item_ids),
            problems,
            self.cautions,
        )
        # A query that is an item is in the item's stratum where queries have none of their own.
        if names and all(names[number] == ALL for number in np.unique(of_query)):
            of_query = np.where(query_item != MISSING, of_item[query_item], of_query).astype(np.int32)
            if (query_item == MISSING).all():
                message = "The strata are known of items only: query groups are not compared within them."
                self.cautions.append(Caution(code="strata-of-items", message=message, count=len(columns)))
        return of_query, of_item, names

    def _images(self) -> tuple[dict[int, str], str]:
        """Images of items; with a column of images the folder in which its paths begin, the table's unless one was named."""
        roles = ("catalog", "results") if self._catalog is not None else ("results",)
        for role, keyed in zip(roles, self._of_items(), strict=True):
            name = self._loaded[role].fields.get("image")
            column = match(tuple(keyed.table.columns), name) if name else None
            if column is None:
                continue
            folder = Path(self._spec.image_folder) if self._spec.image_folder else self._loaded[role].folder
            found = images_of(keyed.table, column, keyed.number, keyed.n, folder, self._problems, self.cautions)
            return found, str(folder)
        if self._spec.image_folder:
            return images_in(Path(self._spec.image_folder), self.item_ids, self.cautions), ""
        return {}, ""


def _renumbered(codes: NDArray[np.int32], used: NDArray[np.int64], size: int) -> NDArray[np.int32]:
    number = np.full(size, MISSING, np.int32)
    number[used] = np.arange(len(used))
    return number[codes]


def _places(column: Column, ids: Any) -> NDArray[np.int32]:
    """Place of every row's text among ids; `MISSING` where it is none of them."""
    import pyarrow.compute as pc

    place = np.asarray(pc.index_in(column.texts, value_set=ids).fill_null(MISSING), np.int32)
    return np.append(place, np.int32(MISSING))[column.codes]
