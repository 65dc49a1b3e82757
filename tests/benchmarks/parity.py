"""Permutations per second: modes B and A of the parity test, scipy.stats.permutation_test, and the shuffles alone.

``python -m tests.benchmarks.parity [--rounds N] [--quick]``

Mode B: 10,000 queries in two groups, K = 100, 10 levels, nominal statistic, 9,999 permutations; results are reduced to one
row of shares for each query beforehand, for everybody. Mode A: a catalog of 100,000 items, 2,500 of them queries with 100
results each (250,000 slots), 10 levels, 9,999 permutations. Times of ours are of whole tests, from lists or results to the
p-value, on the physical cores.

scipy.stats.permutation_test draws from the same null: one vector of labels, permutation_type="pairings", vectorised and in
batches, its statistic our own block kernel (in mode A `mode_a_vs_scipy_csr` takes the product of a sparse queries x items
matrix with indicators of the labels instead, which is what one would write first). It runs at two smaller numbers of
permutations, and the difference is scaled to 9,999: what it spends once (the factorial of the number of labels) does not
count. `shuffles` is Generator.permuted on the same labels, as bytes, by as many threads as ours: with plain shuffles no test
could be faster. In mode A a tenth of them is measured and scaled.
"""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from auditor.audits.parity import permutation
from auditor.audits.parity.catalog_graph import Graph
from auditor.audits.parity.data import Attribute, Lists, Results, Scale, lists
from auditor.audits.parity.permutation import _Groups
from auditor.audits.parity.permutation_catalog import _Evaluation
from auditor.audits.parity.statistics import STATISTICS
from auditor.stats.permutation import physical_cores
from numpy.typing import NDArray
from scipy import sparse, stats
from tests.benchmarks.harness import is_quick, ratio, report, summary
from tests.benchmarks.rating import option

_LEVELS, _FIRST = 10, 499


def world(n_queries: int, k: int, n_items: int, seed: int) -> tuple[Results, Attribute]:
    """Results without any disparity, in two groups of queries; every query is an item."""
    generator = np.random.default_rng(seed)
    level = generator.integers(0, _LEVELS, n_items).astype(np.int16)
    one = Attribute("tone", Scale("nominal", tuple(f"level {i}" for i in range(_LEVELS))), level)
    found = Results(
        query_ids=tuple(map(str, range(n_queries))),
        item_ids=tuple(map(str, range(n_items))),
        query=np.repeat(np.arange(n_queries, dtype=np.int32), k),
        item=generator.integers(0, n_items, n_queries * k).astype(np.int32),
        rank=np.tile(np.arange(1, k + 1, dtype=np.int32), n_queries),
        score=None,
        group_names=("a", "b"),
        query_group=generator.permutation(np.arange(n_queries) % 2).astype(np.int16),
        query_stratum=np.zeros(n_queries, np.int32),
        item_stratum=np.zeros(n_items, np.int32),
        stratum_names=("all",),
        query_item=generator.choice(n_items, n_queries, replace=False).astype(np.int32),
        in_catalog=np.ones(n_items, np.bool_),
        attributes={one.name: one},
    )
    return found, one


def seconds(work: Callable[[], object]) -> float:
    """Wall time of one call."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def shuffles(labels: NDArray[Any], n: int, rows: int) -> None:
    """Plain shuffles alone, by as many threads as ours."""

    def block(seed: int) -> None:
        drawn = np.tile(labels.astype(np.uint8), (rows, 1))
        np.random.default_rng(seed).permuted(drawn, axis=1, out=drawn)

    with ThreadPoolExecutor(physical_cores()) as pool:
        list(pool.map(block, range(-(-n // rows))))


def of_scipy(
    labels: NDArray[Any], statistic: Callable[[NDArray[Any]], NDArray[Any]], sizes: tuple[int, int], n: int, batch: int
) -> float:
    """Seconds that scipy's n permutations would take, from the difference between two smaller numbers."""

    def run(n_resamples: int) -> float:
        return seconds(
            lambda: stats.permutation_test(
                (labels,),
                lambda drawn, axis: statistic(np.atleast_2d(drawn)) if drawn.ndim > 1 else statistic(drawn[None])[0],
                permutation_type="pairings",
                vectorized=True,
                alternative="greater",
                n_resamples=n_resamples,
                batch=batch,
                rng=1,
            )
        )

    return max(run(sizes[1]) - run(sizes[0]), 1e-9) * n / (sizes[1] - sizes[0])


def sparse_statistic(graph: Graph) -> Callable[[NDArray[Any]], NDArray[np.float64]]:
    """Mode A by a sparse queries x items matrix times indicators of a block of labels."""
    shape = (graph.n_queries, len(graph.codes))
    exposure = sparse.csr_array((graph.weight, (graph.query, graph.unit)), shape=shape)
    levels = np.arange(_LEVELS)

    def statistic(codes: NDArray[Any]) -> NDArray[np.float64]:
        indicators = (codes.T[:, :, None] == levels).astype(np.float64).reshape(shape[1], -1)
        seen = (exposure @ indicators).reshape(shape[0], len(codes), _LEVELS)
        own = (codes[:, graph.query_unit, None] == levels).astype(np.float64)
        tables = np.einsum("bqg,qbc->bgc", own, seen, optimize=True)
        return STATISTICS["chi-square"].between(tables, own.sum(axis=1))

    return statistic


class Round:
    """What is measured in every round, by name, in seconds."""

    def __init__(self, *, quick: bool) -> None:
        self.n = 499 if quick else 9999
        scale = 10 if quick else 1
        self.settings = {
            "permutations": self.n,
            "mode_b": {"queries": 10_000 // scale, "k": 100, "levels": _LEVELS, "groups": 2},
            "mode_a": {"items": 100_000 // scale, "slots": 250_000 // scale, "queries": 2_500 // scale},
            "scipy": "same null, same block kernel; the difference of two runs, scaled to all permutations",
            "scipy_permutations": {"mode_b": (100, 700), "mode_a": (10, 210), "mode_a_csr": (4, 44)},
            "threads": physical_cores(),
            "shuffles": "Generator.permuted on bytes, same threads; mode A: a tenth, scaled",
        }
        found, self.one = world(10_000 // scale, 100, 100_000, 1)
        self.top: Lists = lists(found, self.one, k=100, rank_aware=False)
        self.group, self.stratum = found.query_group, found.query_stratum
        self.catalog, self.tone = world(2_500 // scale, 100, 100_000 // scale, 2)
        tables = _Groups(self.group, self.stratum)
        self.kernel_b = tables.test(self.top.shares, STATISTICS["chi-square"])[1]
        self.graph = Graph.of(self.catalog, self.tone, 100, rank_aware=False)
        self.kernel_a = _Evaluation(self.graph, STATISTICS["chi-square"])
        self.kernel_csr = sparse_statistic(self.graph)
        some = np.random.default_rng(0).permuted(np.tile(self.graph.codes, (3, 1)), axis=1)
        assert np.allclose(self.kernel_a(some), self.kernel_csr(some))

    def first_answer(self, run: Callable[..., object]) -> float:
        """Seconds until the p-value of `_FIRST` permutations was told."""
        told: list[float] = []
        start = time.perf_counter()

        def progress(so_far: permutation.SoFar) -> None:
            if so_far.done >= _FIRST:
                told.append(time.perf_counter() - start)

        run(n_permutations=2 * _FIRST, progress=progress)
        return told[0]

    def mode_b(self, **more: Any) -> None:
        permutation.test_groups(self.top, self.one, self.group, self.stratum, **{"n_permutations": self.n, **more})

    def mode_a(self, **more: Any) -> None:
        permutation.test_catalog_queries(self.catalog, self.tone, k=100, **{"n_permutations": self.n, **more})

    def measure(self) -> dict[str, float]:
        """One round, everybody in turn."""
        codes, tenth = self.graph.codes, max(self.n // 10, 1)
        sizes: Any = self.settings["scipy_permutations"]
        return {
            "ours": seconds(self.mode_b),
            "scipy": of_scipy(self.group, self.kernel_b, sizes["mode_b"], self.n, 100),
            "shuffles": seconds(lambda: shuffles(self.group, self.n, 200)),
            "mode_a": seconds(self.mode_a),
            "mode_a_scipy": of_scipy(codes, self.kernel_a, sizes["mode_a"], self.n, 20),
            "mode_a_scipy_csr": of_scipy(codes, self.kernel_csr, sizes["mode_a_csr"], self.n, 4),
            "mode_a_shuffles": seconds(lambda: shuffles(codes, tenth, 20)) * self.n / tenth,
            "first_answer": self.first_answer(self.mode_b),
            "mode_a_first_answer": self.first_answer(self.mode_a),
        }


def main() -> None:
    """Measure."""
    round_ = Round(quick=is_quick())
    rounds = [round_.measure() for _ in range(int(option("--rounds", "1" if is_quick() else "5")))]
    times = {name: [one[name] for one in rounds] for name in rounds[0]}
    ratios = {
        "ours_vs_scipy": ratio(times["scipy"], times["ours"]),
        "ours_vs_shuffle_limit": ratio(times["ours"], times["shuffles"]),
        "mode_a_vs_scipy": ratio(times["mode_a_scipy"], times["mode_a"]),
        "mode_a_vs_scipy_csr": ratio(times["mode_a_scipy_csr"], times["mode_a"]),
        "mode_a_vs_shuffle_limit": ratio(times["mode_a"], times["mode_a_shuffles"]),
    }
    report(round_.settings, {name: summary(values, "s") for name, values in times.items()}, ratios)


if __name__ == "__main__":
    main()
