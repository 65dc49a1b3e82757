"""What the contact sheet shows: the first results of the queries that are furthest off, and whether their images open."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from auditor.audits.findings import Caution
from auditor.audits.parity.images import caution_of_profiles, open_image
from auditor.errors import InputError, printable

if TYPE_CHECKING:
    import pyarrow as pa

#: Queries on the sheet, half of either sign where there are so many; ranks (ours).
_MOST_QUERIES, _MOST_RANKS = 8, 12
#: Images that are named of those that cannot be opened; more are counted.
_MOST_NAMES = 10


@dataclass(frozen=True)
class Sheet:
    """The queries that are furthest off, with their first results.

    Attributes
    ----------
    queries : list of dict
        query_id, group, deviation and place, those that deviate furthest upwards first.
    n_queries : int
        Of all.
    slots : pyarrow.Table
        Rows of the table of slots.
    """

    queries: list[dict[str, Any]]
    n_queries: int
    slots: "pa.Table"


def sheet(queries: Path, slots: Path) -> Sheet:
    """What stands on the sheet, from the tables of queries and of slots."""
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    table = pq.read_table(queries, columns=["query_id", "group", "deviation", "place"])
    ordered = table.sort_by([("deviation", "descending"), ("place", "ascending")]).to_pylist()
    half = _MOST_QUERIES // 2
    chosen = ordered if len(ordered) <= _MOST_QUERIES else [*ordered[:half], *ordered[-half:]]
    data = pq.read_table(slots, filters=[("query_id", "in", [row["query_id"] for row in chosen])])
    return Sheet(chosen, len(ordered), data.filter(pc.less_equal(data["rank"], _MOST_RANKS)))


def image_cautions(shown: Sheet, *, pictures: bool, go_on: Callable[[], None]) -> list[Caution]:
    """What people must know of the images of the sheet: which cannot be opened, and whose colours were assumed.

    Parameters
    ----------
    pictures : bool
        Whether the images themselves stand on the sheet.
    go_on : callable
        Called before each image; may raise.
    """
    paths = [path for path in dict.fromkeys(shown.slots["image"].to_pylist()) if path is not None]
    broken, profiles = [], []
    for path in paths:
        go_on()
        try:
            profiles.append(open_image(Path(path)).profile)
        except InputError as error:
            broken.append(f"{printable(Path(path).name, 60)}: {printable(error.problem, 120)[1:-1]}")
    found = []
    if broken:
        named = "; ".join(broken[:_MOST_NAMES])
        more = len(broken) - _MOST_NAMES
        message = (
            f"Images of the furthest queries that cannot be opened: {len(broken):,} of {len(paths):,}; the tone stands in for "
            f"them. {named}{f'; and {more:,} more' if more > 0 else ''}."
        )
        found.append(Caution(code="images-broken", message=message, count=len(broken)))
    assumed = caution_of_profiles(profiles.count("assumed"), profiles.count("unreadable")) if pictures else None
    return [*found, *([assumed] if assumed else [])]
