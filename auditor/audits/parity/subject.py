"""What a parity run tests: the mode that the inputs allow, and the lists, groups and targets of that mode."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from auditor.audits.parity.areas import Degrees, Expected
from auditor.audits.parity.data import MISSING, Attribute, Lists, Results, lists, slot_weights
from auditor.audits.parity.findings import Mode
from auditor.audits.parity.settings import named
from auditor.audits.parity.spec import ParitySpec
from auditor.errors import InputError

#: Group of every query where there are no groups.
ALL = "all queries"


@dataclass(frozen=True)
class Subject:
    """The lists that take part in one hypothesis, with what they are compared by.

    Attributes
    ----------
    lists : Lists
        Only queries that take part.
    group : ndarray of int16, shape (n,)
        From 0 to len(group_names) - 1; zeros where there are no groups.
    group_names : tuple of str
        Groups that have queries.
    stratum : ndarray of int32, shape (n,)
        Stratum of each query; in mode A that of the item which it is.
    target : ndarray of float64, shape (n, n_levels), or None
        Expected shares of each query's list, in modes C1 and C2.
    target_mean : float or None
        Expected mean in degrees over all lists, in modes C1 and C2; that of each list is in `target_degrees`.
    ranked_among : ndarray of float64, shape (n_levels,), or None
        Shares among which the results of all queries are ranked, in mode C1: labels are permuted over one catalog, whatever
        the queries. None in mode C2, where each query's results are ranked among its own target.
    expected : Expected or None
        Degrees that are expected of each query's list, in mode C1 on an ITA scale.
    """

    attribute: Attribute
    lists: Lists
    group: NDArray[np.int16]
    group_names: tuple[str, ...]
    stratum: NDArray[np.int32]
    target: NDArray[np.float64] | None = None
    target_mean: float | None = None
    ranked_among: NDArray[np.float64] | None = None
    expected: Expected | None = None

    @property
    def target_degrees(self) -> NDArray[np.float64] | None:
        """Expected mean in degrees of each query's list, shape (n,); None without a target in degrees."""
        if self.expected is not None:
            return self.expected.means
        return None if self.target_mean is None else np.full(len(self.lists.queries), self.target_mean)


def resolve(spec: ParitySpec, results: Results) -> tuple[Mode, str]:
    """The mode, and why it is this one.

    Raises
    ------
    InputError
        If the inputs do not allow the mode asked for, or none at all.
    """
    possible = _possible(results)
    if spec.mode != "auto":
        if possible[spec.mode]:
            raise InputError(f"{named('mode')}: {spec.mode} is not possible: {possible[spec.mode]}")
        return spec.mode, "it was asked for"
    order: tuple[tuple[Mode, str], ...] = (
        ("B", "queries have groups"),
        ("C2", "queries have no groups and target shares were given"),
        ("A", "every query is an item of the catalog and no group column was given"),
        ("C1", "queries have no groups and a catalog was given"),
    )
    for mode, reason in order:
        if not possible[mode]:
            if mode == "A":
                _refuse_coincidence(spec, results)
            return mode, reason
    raise InputError(
        "There is nothing to compare the results with",
        fix=f"Name the column of query groups in {named('query_group')}, or add an annotated catalog or a table of target "
        "shares.",
    )


def _refuse_coincidence(spec: ParitySpec, results: Results) -> None:
    """Whole numbers are ids of anything: that queries are items must be said then, and is never guessed.

    Raises
    ------
    InputError
        If all query ids are whole numbers and no column names the item that a query is.
    """
    if "query_item" not in spec.mapping and all(name.isdecimal() for name in results.query_ids):
        raise InputError(
            "Query ids are whole numbers that stand in the catalog as item ids too, which may be a coincidence",
            fix=f"Set {named('mode')} to A if every query is that item of the catalog, to C1 to compare the results with the "
            "catalog.",
        )


def _possible(results: Results) -> dict[str, str]:
    """What stands against each mode; empty where nothing does."""
    n_groups = len(np.unique(results.query_group[results.query_group != MISSING]))
    of_catalog = results.query_item != MISSING
    catalog = "" if results.in_catalog.any() else "there is no catalog."
    inside = of_catalog.all() and bool(results.in_catalog[results.query_item[of_catalog]].all())
    outside = int((~of_catalog).sum())
    return {
        "A": catalog or ("" if inside else f"{outside:,} queries are no items of the catalog."),
        "B": "" if n_groups >= 2 else f"queries have {n_groups} groups, at least two are needed.",
        "C1": catalog,
        "C2": "" if results.shares is not None or results.target_mean is not None else "there are no target shares.",
    }


def subject(spec: ParitySpec, results: Results, mode: Mode, attribute: Attribute, k: int | None) -> Subject:
    """The lists of one hypothesis.

    Raises
    ------
    InputError
        If fewer than two groups are left, or no list at all.
    """
    catalog = None
    if mode == "C1" and attribute.value is not None:  # the catalog may go further than what is shown of it
        catalog = attribute.value[results.in_catalog & (attribute.level != MISSING)]
    found = lists(results, attribute, k=k, rank_aware=spec.weights == "rank", grid_of=catalog)
    own = own_group(results, mode, attribute)[found.queries]
    found, own = _only(found, own != MISSING), own[own != MISSING]
    if not len(found.queries):
        raise InputError(
            f"No query has a result whose {attribute.name} is known",
            column=attribute.name,
            fix="Check the column of the attribute and the item ids of the catalog.",
        )
    numbers, group = np.unique(own, return_inverse=True)
    names = _names(results, mode, attribute)
    names = tuple(names[number] for number in numbers)
    if mode in ("A", "B") and len(names) < 2:
        raise InputError(
            f"Queries of one group only are left ({names[0]})",
            fix="A comparison needs at least two groups with results whose attribute is known.",
        )
    stratum = _stratum(results, mode)[found.queries]
    return _with_target(Subject(attribute, found, group.astype(np.int16), names, stratum), results, mode)


def _stratum(results: Results, mode: Mode) -> NDArray[np.int32]:
    """Stratum of each query, shape (Q,), within which its group is compared.

    In mode A labels are exchanged within strata of items, so a query is in that of the item which it is: a stratum that is
    known of queries only cannot divide the null hypothesis, and must not divide the effect.
    """
    if mode != "A":
        return results.query_stratum
    return np.where(results.query_item != MISSING, results.item_stratum[results.query_item], 0).astype(np.int32)


def own_group(results: Results, mode: Mode, attribute: Attribute) -> NDArray[np.int16]:
    """Number of each query's group, shape (Q,); `MISSING` for queries that take no part."""
    if mode == "B":
        return results.query_group
    if mode == "A":
        return np.where(results.query_item != MISSING, attribute.level[results.query_item], MISSING).astype(np.int16)
    zeros = np.zeros(results.n_queries, dtype=np.int16)
    if mode == "C2" and results.shares is not None:
        return np.where(np.isfinite(results.shares).all(axis=1), zeros, np.int16(MISSING)).astype(np.int16)
    return zeros


def _names(results: Results, mode: Mode, attribute: Attribute) -> tuple[str, ...]:
    if mode == "B":
        return results.group_names
    return attribute.scale.levels if mode == "A" else (ALL,)


def _only(found: Lists, kept: NDArray[np.bool_]) -> Lists:
    if kept.all():
        return found
    return replace(
        found,
        queries=found.queries[kept],
        shares=found.shares[kept],
        values=None if found.values is None else found.values[kept],
        cumulative=None if found.cumulative is None else found.cumulative[kept],
        size=found.size[kept],
        known=found.known[kept],
    )


def _with_target(made: Subject, results: Results, mode: Mode) -> Subject:
    if mode == "C2":
        target = None if results.shares is None else results.shares[made.lists.queries]
        return replace(made, target=target, target_mean=results.target_mean)
    if mode != "C1":
        return made
    attribute, n_levels = made.attribute, len(made.attribute.scale.levels)
    known = results.in_catalog & (attribute.level != MISSING)
    n_strata = int(results.item_stratum.max()) + 1
    table = np.zeros((n_strata, n_levels))
    np.add.at(table, (results.item_stratum[known], attribute.level[known]), 1)
    share = table / np.maximum(table.sum(axis=1, keepdims=True), 1)
    weight = slot_weights(results, made.lists.k, rank_aware=made.lists.rank_aware)
    # Only slots of known attribute count, as in the lists; each is expected to be what its item's stratum is.
    weight = np.where(attribute.level[results.item] != MISSING, weight, 0.0)
    exposure = np.zeros((results.n_queries, n_strata))
    np.add.at(exposure, (results.query, results.item_stratum[results.item]), weight)
    exposure = exposure[made.lists.queries]
    exposure /= exposure.sum(axis=1, keepdims=True)
    target = exposure @ share
    mean = expected = None
    if attribute.value is not None:
        value, stratum = attribute.value[known], results.item_stratum[known]
        expected = Expected(Degrees(stratum, value, 1 / table.sum(axis=1)[stratum]), exposure)
        mean = float(expected.means.mean())
    return replace(made, target=target, target_mean=mean, ranked_among=target.mean(axis=0), expected=expected)
