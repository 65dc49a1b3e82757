"""Permutations per second: modes B and A of the parity test, scipy.stats.permutation_test, and the shuffles alone.

``python -m tests.benchmarks.parity [--rounds N] [--quick]``

Mode B: 10,000 queries in two groups, K = 100, 10 levels, nominal statistic, 9,999 permutations; results are reduced to one
row of shares for each query beforehand, for everybody. Mode A: a catalog of 100,000 items, 2,500 of them queries with 100
results each (250,000 slots), 10 levels, 9,999 permutations. Times of ours are of whole tests, from lists or results to the
p-value, on the physical cores.

The peer is scipy.stats.permutation_test on the same null with statistics in numpy and scipy alone, those of
`tests.benchmarks.parity_peers`: vectorised, in batches; the fastest one counts. It runs at two smaller numbers
of permutations, and the difference is scaled to 9,999: what it spends once (the factorial of the number of labels) does not
count. scipy permutes in one thread, and its statistics have what threads numpy takes. `..._given_our_kernel` are ratios to
scipy's shuffles with our own kernel as the statistic, which nobody has without us, `mode_a_vs_scipy_sparse` to
the product of a sparse queries x items matrix with indicators of the labels, which is what one would write first.
`shuffles` is Generator.permuted on the same labels, as bytes, by as many threads as ours: with plain shuffles no test
could be faster. In mode A a tenth of them is measured and scaled.
"""

import statistics
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import numpy as np
from auditor.audits.parity import permutation
from auditor.audits.parity.catalog_graph import Graph
from auditor.audits.parity.data import Attribute, Lists, Results, Scale, lists
from auditor.audits.parity.permutation import _Groups
from auditor.audits.parity.permutation_catalog import _Evaluation
from auditor.audits.parity.statistics import STATISTICS
from auditor.processor import usable_cores
from numpy.typing import NDArray
from scipy import stats
from tests.benchmarks import parity_peers
from tests.benchmarks.harness import is_quick, option, ratio, report, summary
from tests.benchmarks.parity_peers import Peer, of_labels

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

    with ThreadPoolExecutor(usable_cores()) as pool:
        list(pool.map(block, range(-(-n // rows))))


def scipy_test(peer: Peer, n_resamples: int) -> float:
    """The p-value of scipy.stats.permutation_test."""
    found = stats.permutation_test(
        peer.data,
        peer.statistic,
        permutation_type=peer.kind,
        vectorized=True,
        alternative="greater",
        n_resamples=n_resamples,
        batch=peer.batch,
        rng=1,
    )
    return float(found.pvalue)


def of_scipy(peer: Peer, n: int) -> float:
    """Seconds that scipy's n permutations would take, from the difference between two smaller numbers."""
    fewer, more = (seconds(partial(scipy_test, peer, n_resamples)) for n_resamples in peer.sizes)
    return max(more - fewer, 1e-9) * n / (peer.sizes[1] - peer.sizes[0])


def check(peers: Mapping[str, Peer], ours: float, n: int) -> None:
    """Our p-value lies where those of the peers do: within 5 standard errors.

    Raises
    ------
    AssertionError
        If it does not.
    """
    for name, peer in peers.items():
        theirs, fewer = scipy_test(peer, peer.sizes[1]), peer.sizes[1]
        p = (ours * n + theirs * fewer) / (n + fewer)
        error = np.sqrt(p * (1 - p) * (1 / n + 1 / fewer))
        assert abs(ours - theirs) < 5 * error, (name, ours, theirs)


class Round:
    """What is measured in every round, by name, in seconds."""

    def __init__(self, *, quick: bool) -> None:
        self.n = 499 if quick else 9999
        scale = 10 if quick else 1
        found, self.one = world(10_000 // scale, 100, 100_000, 1)
        self.top: Lists = lists(found, self.one, k=100, rank_aware=False)
        self.group, self.stratum = found.query_group, found.query_stratum
        self.catalog, self.tone = world(2_500 // scale, 100, 100_000 // scale, 2)
        self.graph = Graph.of(self.catalog, self.tone, 100, rank_aware=False)
        # Peers permute the labels of the whole catalog, as scipy does.
        self.catalog_codes = self.graph.units.codes
        number = np.flatnonzero(self.graph.occurs)
        self.peers = parity_peers.mode_b(self.top.shares, self.group)
        slots = (self.graph.query, number[self.graph.item], self.graph.weight)
        own = number[self.graph.query_item]
        self.mode_a_peers = parity_peers.mode_a(self.catalog_codes, own, slots, _LEVELS)
        tables = _Groups(self.group, self.stratum)
        kernel_b = tables.test(self.top.shares, STATISTICS["chi-square"])[1]
        self.kernels = {
            "scipy_given_our_kernel": of_labels(self.group.astype(np.uint8), kernel_b, 100, 710),
            "mode_a_scipy_given_our_kernel": of_labels(self.catalog_codes.astype(np.uint8), self.of_catalog(), 16, 202),
        }
        self.settings = {
            "permutations": self.n,
            "mode_b": {"queries": 10_000 // scale, "k": 100, "levels": _LEVELS, "groups": 2},
            "mode_a": {"items": 100_000 // scale, "slots": 250_000 // scale, "queries": 2_500 // scale},
            "scipy": "same null, statistics in numpy and scipy; the difference of two runs, scaled to all permutations",
            "scipy_permutations_and_batch": {name: [*peer.sizes, peer.batch] for name, peer in self._scipy().items()},
            "threads": usable_cores(),
            "shuffles": "Generator.permuted on bytes, same threads; mode A: a tenth, scaled",
        }
        self.check()

    def of_catalog(self) -> Callable[[NDArray[Any]], NDArray[np.float64]]:
        """Our statistic of mode A on codes of all items."""
        kernel, occurs = _Evaluation(self.graph, STATISTICS["chi-square"]), self.graph.occurs
        return lambda codes: kernel(codes[:, occurs])

    def _scipy(self) -> dict[str, Peer]:
        mode_b = {f"scipy_{name}": peer for name, peer in self.peers.items()}
        return mode_b | {f"mode_a_scipy_{name}": peer for name, peer in self.mode_a_peers.items()} | self.kernels

    def check(self) -> None:
        """Ours and the peers are the same test: equal statistics of some draws, p-values that agree.

        Raises
        ------
        AssertionError
            If they are not.
        """
        of_b, of_a = (kernel.statistic for kernel in self.kernels.values())
        random = np.random.default_rng(0)
        groups, codes = (random.permuted(np.tile(one, (3, 1)), axis=1) for one in (self.group, self.catalog_codes))
        members = [np.stack([np.flatnonzero(one == number) for one in groups]) for number in (0, 1)]
        for peer in self.peers.values():
            drawn = members if peer.kind == "independent" else [groups.astype(np.int8)]
            np.testing.assert_allclose(peer.statistic(*drawn, axis=-1), of_b(groups, axis=-1), rtol=1e-4)
        for peer in self.mode_a_peers.values():
            drawn_codes = codes.astype(np.int8)
            np.testing.assert_allclose(peer.statistic(drawn_codes, axis=-1), of_a(codes, axis=-1), rtol=1e-4)
        check(self.peers, self.mode_b().p_value, self.n)
        check(self.mode_a_peers, self.mode_a(n_permutations=499).p_value, 499)

    def first_answer(self, run: Callable[..., object]) -> float:
        """Seconds until the p-value of `_FIRST` permutations was told."""
        told: list[float] = []
        start = time.perf_counter()

        def progress(so_far: permutation.SoFar) -> None:
            if so_far.done >= _FIRST:
                told.append(time.perf_counter() - start)

        run(n_permutations=2 * _FIRST, progress=progress)
        return told[0]

    def mode_b(self, **more: Any) -> permutation.NullTest:
        return permutation.test_groups(
            self.top, self.one, self.group, self.stratum, **{"n_permutations": self.n, **more}
        )

    def mode_a(self, **more: Any) -> permutation.NullTest:
        return permutation.test_catalog_queries(self.catalog, self.tone, k=100, **{"n_permutations": self.n, **more})

    def measure(self) -> dict[str, float]:
        """One round, everybody in turn."""
        codes, tenth = self.catalog_codes, max(self.n // 10, 1)
        return {
            "ours": seconds(self.mode_b),
            "shuffles": seconds(lambda: shuffles(self.group, self.n, 200)),
            "mode_a": seconds(self.mode_a),
            "mode_a_shuffles": seconds(lambda: shuffles(codes, tenth, 20)) * self.n / tenth,
            "first_answer": self.first_answer(self.mode_b),
            "mode_a_first_answer": self.first_answer(self.mode_a),
            **{name: of_scipy(peer, self.n) for name, peer in self._scipy().items()},
        }


def main() -> None:
    """Measure."""
    round_ = Round(quick=is_quick())
    rounds = [round_.measure() for _ in range(int(option("--rounds", "1" if is_quick() else "5")))]
    times = {name: [one[name] for one in rounds] for name in rounds[0]}

    def fastest(names: Iterable[str]) -> str:
        return min(names, key=lambda name: statistics.median(times[name]))

    peer = fastest(f"scipy_{name}" for name in round_.peers)
    mode_a_peer = fastest(f"mode_a_scipy_{name}" for name in round_.mode_a_peers)
    ratios = {
        "ours_vs_scipy": ratio(times[peer], times["ours"]),
        "ours_vs_scipy_given_our_kernel": ratio(times["scipy_given_our_kernel"], times["ours"]),
        "ours_vs_shuffle_limit": ratio(times["ours"], times["shuffles"]),
        "mode_a_vs_scipy": ratio(times[mode_a_peer], times["mode_a"]),
        "mode_a_vs_scipy_sparse": ratio(times["mode_a_scipy_sparse_product"], times["mode_a"]),
        "mode_a_vs_scipy_given_our_kernel": ratio(times["mode_a_scipy_given_our_kernel"], times["mode_a"]),
        "mode_a_vs_shuffle_limit": ratio(times["mode_a"], times["mode_a_shuffles"]),
    }
    settings = round_.settings | {"fastest_peers": {"mode_b": peer, "mode_a": mode_a_peer}}
    report(settings, {name: summary(values, "s") for name, values in times.items()}, ratios)


if __name__ == "__main__":
    main()
