"""What was computed of the latest prefixes, kept while it does not take too much memory. Imports no torch."""

from collections.abc import Callable
from typing import Generic, TypeVar

Kept = TypeVar("Kept")
Prefix = tuple[int, ...]

#: Prefixes that are kept whatever they take: that of a prompt, and the one without demonstrations.
_FEWEST = 2


class KeptPrefixes(Generic[Kept]):
    """The latest prefixes, the one that was used longest ago gone first.

    Parameters
    ----------
    nbytes : callable
        Memory that what is kept of a prefix takes.
    most_bytes : int
        All of them take no more than this, but for the latest two.
    """

    def __init__(self, nbytes: Callable[[Kept], int], most_bytes: int) -> None:
        self._nbytes, self._most_bytes = nbytes, most_bytes
        self._kept: dict[Prefix, Kept] = {}

    def __contains__(self, prefix: Prefix) -> bool:
        return prefix in self._kept

    def get(self, prefix: Prefix, compute: Callable[[Prefix], Kept | None]) -> Kept | None:
        """What is kept of a prefix, computed if it is not there; nothing is kept where that gives None."""
        found = self._kept.pop(prefix, None)
        if found is None:
            found = compute(prefix)
        if found is not None:
            self._kept[prefix] = found
            while len(self._kept) > _FEWEST and sum(map(self._nbytes, self._kept.values())) > self._most_bytes:
                del self._kept[next(iter(self._kept))]
        return found

    def clear(self) -> None:
        """Forget all of them."""
        self._kept.clear()
