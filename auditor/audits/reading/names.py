"""Names that people type and names that are there: which column is meant, and what was misspelled."""

import difflib
from collections.abc import Collection, Iterable

from auditor.errors import printable


def match(names: Collection[str], column: str) -> str | None:
    """The column of this name: as it is written, else the only one that differs in case or blanks."""
    if column in names:
        return column
    same = [name for name in names if name.strip().lower() == column.strip().lower()]
    return same[0] if len(same) == 1 else None


def candidates(names: Collection[str], usual: tuple[str, ...], taken: Collection[str]) -> list[str]:
    """Columns that go by one of the usual names of a field, but for those that are taken.

    Parameters
    ----------
    usual : tuple of str
        In lower case with underscores. The first one wins over all others.
    """
    lower = {name: name.strip().lower().replace(" ", "_").replace("-", "_") for name in names if name not in taken}
    own = [name for name, plain in lower.items() if plain == usual[0]]
    return own or [name for name, plain in lower.items() if plain in usual]


def nearest(name: str, names: Iterable[str], *, most: int = 1) -> list[str]:
    """The names that a name may have been meant to be, the nearest one first."""
    plain = {one.casefold()[:60]: one for one in names}
    found = difflib.get_close_matches(name.casefold()[:60], list(plain), n=most, cutoff=0.6)
    return [plain[one] for one in found]


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """A question with the nearest name, and a blank before it; empty if none is near."""
    found = nearest(name, names)
    return f" Did you mean {printable(found[0], 40)}?" if found else ""
