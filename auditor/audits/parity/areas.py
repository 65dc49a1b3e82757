"""Distributions of degrees, and the area between their distribution functions.

For numbers that area is the Wasserstein-1 distance [1]. It is exact here: every result is a step of its own. How far each
query moves it is kept on a grid, as the exact area under a query's distribution function in each cell.

References
----------
[1] L. N. Vaserstein, "Markov processes over denumerable products of spaces", Problems of Information Transmission 5 (1969)
    64-72.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

#: Degrees, and what each of them weighs: both of shape (m,).
Weighted = tuple[NDArray[np.float64], NDArray[np.float64]]


@dataclass(frozen=True)
class Degrees:
    """Weighted degrees, row by row: the results of queries, or the items of strata.

    Attributes
    ----------
    row : ndarray of whole numbers, shape (m,)
        Number of the query, or of the stratum.
    value : ndarray of float64, shape (m,)
        Degrees.
    weight : ndarray of float64, shape (m,)
        Sums to 1 in every row.
    """

    row: NDArray[np.signedinteger]
    value: NDArray[np.float64]
    weight: NDArray[np.float64]

    def weighed(self, rows: NDArray[np.signedinteger], weights: NDArray[np.float64]) -> Weighted:
        """All degrees of some rows, whose numbers ascend, by what each of these rows weighs, shape (n,)."""
        place, kept = self._places(rows)
        return self.value[kept], weights[place] * self.weight[kept]

    def cells(self, rows: NDArray[np.signedinteger], grid: NDArray[np.float64]) -> NDArray[np.float64]:
        """Area under each row's distribution function from every point of a grid to the next, shape (n, n_grid).

        Parameters
        ----------
        rows : ndarray of whole numbers, shape (n,)
            Ascending.
        grid : ndarray of float64, shape (n_grid,)
            Ascending; no value lies above the last point, whose cell is empty.
        """
        place, kept = self._places(rows)
        value, weight = self.value[kept], self.weight[kept]
        n, n_grid = len(rows), len(grid)
        point = np.searchsorted(grid, value, side="left")  # the first one at or above the value
        flat = place * np.intp(n_grid) + point
        reached = np.bincount(flat, weights=weight, minlength=n * n_grid).reshape(n, n_grid)
        areas: NDArray[np.float64] = np.cumsum(reached, axis=1) * np.append(np.diff(grid), 0.0)
        # Within its own cell a value counts from where it lies.
        inside = point > 0
        rest = weight[inside] * (grid[point[inside]] - value[inside])
        areas += np.bincount(flat[inside] - 1, weights=rest, minlength=n * n_grid).reshape(n, n_grid)
        return areas

    def _places(self, rows: NDArray[np.signedinteger]) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
        """Which of the rows those degrees belong to that are of any of them, and which degrees these are."""
        place = np.minimum(np.searchsorted(rows, self.row), max(len(rows) - 1, 0))
        kept = rows[place] == self.row
        return place[kept], kept


@dataclass(frozen=True)
class Expected:
    """The distribution of degrees that each list is compared with: a mixture of those of the strata of a catalog.

    Attributes
    ----------
    items : Degrees
        Of the catalog; rows are strata.
    shares : ndarray of float64, shape (n, n_strata)
        Share of each stratum for every list.
    """

    items: Degrees
    shares: NDArray[np.float64]

    @property
    def of_strata(self) -> NDArray[np.float64]:
        """Mean degrees of each stratum's items, shape (n_strata,); 0 for one without any."""
        weighed = self.items.weight * self.items.value
        return np.bincount(self.items.row, weights=weighed, minlength=self.shares.shape[1]).astype(np.float64)

    @property
    def means(self) -> NDArray[np.float64]:
        """Mean degrees that are expected of each list, shape (n,)."""
        found: NDArray[np.float64] = self.shares @ self.of_strata
        return found

    def weighed(self) -> Weighted:
        """All degrees of the mean over the lists."""
        return self.items.weighed(np.arange(self.shares.shape[1]), self.shares.mean(axis=0))

    def cells(self, grid: NDArray[np.float64]) -> NDArray[np.float64]:
        """As `Degrees.cells`, for every list."""
        found: NDArray[np.float64] = self.shares @ self.items.cells(np.arange(self.shares.shape[1]), grid)
        return found


def area_between(first: Weighted, second: Weighted | None = None) -> float:
    """Area between two distribution functions, degrees: the Wasserstein-1 distance.

    Parameters
    ----------
    first, second : pair of ndarray
        Degrees and their weights, which sum to the same. Without a second one, weights of the first are positive for
        one distribution and negative for the other.
    """
    value, weight = first
    if second is not None:
        value, weight = np.concatenate([value, second[0]]), np.concatenate([weight, -second[1]])
    order = np.argsort(value)
    steps = np.cumsum(weight[order])[:-1]
    return float(np.abs(steps) @ np.diff(value[order]))
