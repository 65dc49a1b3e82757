"""What a reader of the results must know before any test: each warning with its count."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from auditor.audits.findings import Caution
from auditor.audits.parity.data import FINDS_ITSELF, MISSING, Results
from auditor.audits.parity.spec import ParitySpec

#: Fewer queries than these in a group allow no interval of their own (spec: "refuse under about 10 queries").
FEW_QUERIES = 10
#: Below this p-value of a Kruskal-Wallis test the number of results is said to go with the group (ours).
K_BY_GROUP = 0.05
_RANKS = ((1, 10), (11, 50), (51, None))


def noticed(results: Results, spec: ParitySpec) -> list[Caution]:
    """Warnings about lists, groups and labels, within the declared K."""
    within = np.ones(len(results.rank), np.bool_) if spec.k is None else results.rank <= spec.k
    size = np.bincount(results.query[within], minlength=results.n_queries)
    return [
        *_unequal_k(results, size),
        *_unlabelled(results, within),
        *_small_groups(results),
        *_repeated(results, within),
        *_own_results(results, within),
    ]


def _unequal_k(results: Results, size: NDArray[np.int64]) -> Iterator[Caution]:
    if size.min() == size.max():
        return
    few = int(np.count_nonzero(size < size.max()))
    message = (
        f"Queries have different numbers of results, {size.min():,} to {size.max():,} (median {np.median(size):,.0f}); every "
        "query weighs the same."
    )
    yield Caution(code="unequal-k", message=message, count=few)
    grouped = [size[results.query_group == number] for number in range(len(results.group_names))]
    grouped = [sizes for sizes in grouped if len(sizes)]
    if len(grouped) < 2 or len(np.unique(np.concatenate(grouped))) < 2:
        return
    from scipy.stats import kruskal

    p_value = float(kruskal(*grouped).pvalue)
    if p_value <= K_BY_GROUP:
        means = ", ".join(
            f"{name} {size[results.query_group == number].mean():.1f}"
            for number, name in enumerate(results.group_names[:10])
            if np.any(results.query_group == number)
        )
        message = (
            f"The number of results goes with the query group (means: {means}; Kruskal-Wallis p = {p_value:.2g}): a group that "
            "is given fewer results is already treated differently, and this test does not see it."
        )
        yield Caution(code="k-by-group", message=message, count=len(np.concatenate(grouped)))


def _unlabelled(results: Results, within: NDArray[np.bool_]) -> Iterator[Caution]:
    for name, attribute in results.attributes.items():
        missing = attribute.level[results.item] == MISSING
        count = int(np.count_nonzero(missing & within))
        if not count:
            continue
        group = results.query_group[results.query]
        parts = [
            f"{shown} {_percent(missing[within & (group == number)])}"
            for number, shown in enumerate(results.group_names[:10])
            if np.any(within & (group == number))
        ]
        ranks = []
        for low, high in _RANKS:
            inside = within & (results.rank >= low) & (results.rank <= (high or results.rank.max()))
            if inside.any():
                ranks.append(
                    f"ranks {low} to {high} {_percent(missing[inside])}"
                    if high
                    else f"from {low} {_percent(missing[inside])}"
                )
        by_group = f"by group: {', '.join(parts)}; " if parts else ""
        message = (
            f"Results without a known {name}: {count:,} of {int(within.sum()):,}. They take no part ({by_group}by rank: "
            f"{', '.join(ranks)})."
        )
        yield Caution(code="missing-labels", message=message, count=count)


def _percent(missing: NDArray[np.bool_]) -> str:
    return f"{100 * missing.mean():.1f}%"


def _small_groups(results: Results) -> Iterator[Caution]:
    counts = np.bincount(results.query_group[results.query_group != MISSING], minlength=len(results.group_names))
    small = [
        f"{name} ({count})" for name, count in zip(results.group_names, counts, strict=True) if 0 < count < FEW_QUERIES
    ]
    if small:
        message = (
            f"Groups with fewer than {FEW_QUERIES} queries: {', '.join(small[:20])}. They are not merged unless you ask for it; "
            "little can be said about them."
        )
        yield Caution(code="small-groups", message=message, count=len(small))


def _repeated(results: Results, within: NDArray[np.bool_]) -> Iterator[Caution]:
    uses = np.bincount(results.item[within], minlength=results.n_items)
    repeated = int(np.count_nonzero(uses > 1))
    if repeated:
        message = (
            f"Items that more than one query finds: {repeated:,}, one of them found by {int(uses.max()):,} queries. Lists of "
            "different queries are then not independent."
        )
        yield Caution(code="repeated-items", message=message, count=repeated)


def _own_results(results: Results, within: NDArray[np.bool_]) -> Iterator[Caution]:
    own = results.query_item[results.query]
    found = int(np.count_nonzero(within & (own != MISSING) & (own == results.item)))
    if found:
        message = (
            f"Queries that find the very item that they are: {found:,}. Such a result has the query's attribute by itself; "
            "leave these rows out unless people see them."
        )
        yield Caution(code=FINDS_ITSELF, message=message, count=found)
