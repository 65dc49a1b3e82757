"""Power: the formula against numbers worked out by hand, the simulated test against mode B's own."""

import json
import math

import numpy as np
import pytest
from auditor.audits.parity.data import Attribute, Lists, Scale
from auditor.audits.parity.permutation import test_groups as mode_b
from auditor.audits.parity.power import (
    X_TITLES,
    Design,
    XName,
    curve,
    design_of,
    detectable_bias,
    power_analysis,
    power_at,
    power_at_hand,
    power_under_bias,
    queries_needed,
    refined_bias,
    simulate_power,
)
from auditor.audits.parity.power_simulation import draw_counts, p_values, slot_probabilities
from auditor.errors import Cancelled, InputError
from scipy import stats


def test_the_formula_by_hand() -> None:
    # deff = 1 + 19 * .2 = 4.8; sqrt(4.8 * .16 / (200 * 20 * .21)) = .030237...
    found = detectable_bias(n_queries=200, k=20, q=0.3, pi=0.2, icc=0.2)
    z = stats.norm.ppf(0.95) + stats.norm.ppf(0.8)
    assert found == pytest.approx(z * math.sqrt(4.8 * 0.16 / (4000 * 0.21)))
    two = detectable_bias(n_queries=200, k=20, q=0.3, pi=0.2, icc=0.2, two_sided=True)
    assert two / found == pytest.approx((stats.norm.ppf(0.975) + stats.norm.ppf(0.8)) / z)


def test_every_item_a_query_falls_as_one_over_the_root_of_n_k() -> None:
    design = Design(200, 20, 0.3, 0.2, icc=0.0)
    sizes = [100.0, 1_000.0, 100_000.0]
    z = stats.norm.ppf(0.95) + stats.norm.ppf(0.8)
    found = [row.detectable for row in curve(design, "n_items", sizes)]
    assert found == pytest.approx([z / math.sqrt(n * 20) for n in sizes])


def test_power_and_sample_size_undo_each_other() -> None:
    design = Design(150, 12, 0.4, 0.3, icc=0.1)
    beta = detectable_bias(n_queries=150, k=12, q=0.4, pi=0.3, icc=0.1)
    assert power_at(design, beta) == pytest.approx(0.8)
    assert power_at(design, 0.0) == pytest.approx(0.05)
    assert queries_needed(design, beta) == 150
    assert queries_needed(design, beta / 2) == 600
    better = refined_bias(design)
    assert better is not None
    assert power_under_bias(design, better) == pytest.approx(0.8, abs=1e-6)
    with pytest.raises(InputError, match="bias"):
        queries_needed(design, 0.0)


def test_formulas_agree_for_many_queries() -> None:
    design = Design(100_000, 10, 0.4, 0.3, icc=0.1)
    assert refined_bias(design) == pytest.approx(power_analysis(design, curves=()).detectable_bias, rel=0.01)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"n_queries": 1}, "number of queries"),
        ({"k": 0.5}, "results per query"),
        ({"q": 0.0}, "first group"),
        ({"pi": 1.0}, "attribute"),
        ({"icc": -0.1}, "intra-list"),
        ({"icc": math.nan}, "intra-list"),
        ({"alpha": 0.0}, "alpha"),
        ({"power": 0.01}, "power"),
    ],
)
def test_numbers_out_of_bounds_are_refused(change: dict[str, float], says: str) -> None:
    numbers = {"n_queries": 100, "k": 10, "q": 0.5, "pi": 0.5, "icc": 0.1, "alpha": 0.05, "power": 0.8}
    with pytest.raises(InputError, match=says):
        detectable_bias(**{**numbers, **change})


def test_lists_are_drawn_from_the_injection_model() -> None:
    generator = np.random.default_rng(0)
    counts = draw_counts(generator, n_queries=400, k=20, q=0.25, pi=0.3, icc=0.2, beta=0.2, n_simulations=500)
    own, other = slot_probabilities(0.3, 0.2)
    assert (own, other) == pytest.approx((0.44, 0.24))
    for lists, p in ((counts[:, :100], own), (counts[:, 100:], other)):
        assert lists.mean() / 20 == pytest.approx(p, abs=0.005)
        # Beta-binomial variance: p (1 - p) (1 + (K - 1) ICC) / K.
        assert lists.var() / 400 == pytest.approx(p * (1 - p) * 4.8 / 20, rel=0.03)
    full = draw_counts(generator, n_queries=4, k=5, q=0.5, pi=0.3, icc=0.2, beta=1.0, n_simulations=3)
    assert (full == [5, 5, 0, 0]).all()
    whole = draw_counts(generator, n_queries=100, k=5, q=0.5, pi=0.3, icc=1.0, beta=0.0, n_simulations=20)
    assert set(np.unique(whole)) == {0, 5}


def _lists(counts: np.ndarray, k: int) -> Lists:
    n = len(counts)
    shares = np.stack([1 - counts / k, counts / k], axis=1)
    full = np.full(n, k, np.int32)
    return Lists(np.arange(n, dtype=np.int32), shares, None, None, None, full, full, None, False)


@pytest.mark.parametrize("seed", range(4))
def test_the_simulated_test_is_that_of_mode_b(seed: int) -> None:
    """The same data give the same two-sided p-value as the audit's own test, up to the permutations drawn."""
    generator = np.random.default_rng(seed)
    counts = draw_counts(generator, n_queries=60, k=10, q=0.3, pi=0.4, icc=0.1, beta=0.12, n_simulations=1)
    ours = p_values(counts, 18, two_sided=True, n_permutations=9_999, generator=generator)[0]
    attribute = Attribute("tone", Scale("nominal", ("light", "dark")), np.zeros(0, np.int16))
    group = (np.arange(60) >= 18).astype(np.int16)
    theirs = mode_b(_lists(counts[0], 10), attribute, group, np.zeros(60, np.int32), n_permutations=9_999, seed=seed)
    spread = math.sqrt(2 * max(ours * (1 - ours), 1e-4) / 9_999)
    assert ours == pytest.approx(theirs.p_value, abs=4.5 * spread)


def test_simulated_p_values_against_scipy() -> None:
    generator = np.random.default_rng(7)
    counts = draw_counts(generator, n_queries=30, k=8, q=0.5, pi=0.5, icc=0.2, beta=0.2, n_simulations=3)
    found = p_values(counts, 15, two_sided=False, n_permutations=9_999, generator=generator)
    for one, p in zip(counts, found, strict=True):
        oracle = stats.permutation_test(
            (one[:15], one[15:]),
            lambda x, y, axis: x.mean(axis=axis) - y.mean(axis=axis),
            alternative="greater",
            n_resamples=9_999,
            vectorized=True,
            rng=np.random.default_rng(1),
        )
        assert p == pytest.approx(oracle.pvalue, abs=0.02)


def test_simulation_repeats_with_its_seed_and_can_be_cancelled() -> None:
    numbers = {"n_queries": 40, "k": 5, "q": 0.5, "pi": 0.5, "icc": 0.1, "beta": 0.2}
    one = simulate_power(**numbers, n_simulations=100, n_permutations=99, seed=3)
    assert one == simulate_power(**numbers, n_simulations=100, n_permutations=99, seed=3)
    assert one.low <= one.power <= one.high
    with pytest.raises(Cancelled):
        simulate_power(**numbers, cancelled=lambda: True)


def test_an_answer_has_all_curves_and_can_be_written_as_json() -> None:
    seen: list[tuple[int, int]] = []
    answer = power_analysis(
        Design(200, 20, 0.3, 0.2, icc=0.2),
        curves=("n_items", "beta"),
        n_simulations=60,
        n_permutations=99,
        progress=lambda done, total: seen.append((done, total)),
    )
    assert {(row.x_name, row.kind) for row in answer.rows} == {
        (name, kind) for name in ("n_items", "beta") for kind in ("formula", "simulation")
    }
    # Catalogs of more queries than are simulated keep the formula.
    assert max(row.x for row in answer.rows if row.kind == "simulation") <= 3_000
    assert seen[-1][0] == seen[-1][1] == len([row for row in answer.rows if row.kind == "simulation"])
    assert answer.simulated is not None
    assert (
        "a bias that fills 7.5% of slots from the query's own group is detected with probability 0.8" in answer.sentence
    )
    assert "a two-sided test needs 8.5%" in answer.sentence
    written = json.loads(json.dumps(answer.as_dict(), allow_nan=False))
    assert written["detectable_bias"] == pytest.approx(0.0752, abs=1e-4)
    assert written["design"]["icc"] == 0.2


@pytest.mark.parametrize("name", list(X_TITLES))
def test_every_curve_goes_the_way_it_must(name: XName) -> None:
    rows = curve(Design(200, 20, 0.3, 0.2, icc=0.2), name)
    assert [row.x for row in rows] == sorted({row.x for row in rows})
    values = [row.power if name == "beta" else row.detectable for row in rows]
    assert None not in values
    steps = np.diff(np.array(values, dtype=np.float64))
    if name in ("n_items", "n_queries", "k"):
        assert (steps < 0).all()
    elif name in ("icc", "beta"):
        assert (steps > 0).all()
    else:
        worst = int(np.argmin(values)) if name == "q" else int(np.argmax(values))
        assert rows[worst].x == 0.5


def test_a_design_that_sees_nothing_says_so() -> None:
    answer = power_analysis(Design(4, 1, 0.25, 0.5))
    assert answer.detectable_bias is None
    assert "no bias of the injection model is detected" in answer.sentence
    assert any("smaller group has 1 queries" in note for note in answer.notes)
    json.dumps(answer.as_dict(), allow_nan=False)


def test_notes_say_where_the_formula_is_rough() -> None:
    rough = power_analysis(Design(40, 20, 0.5, 0.2, icc=0.1), curves=())
    assert any("power there is 0.72" in note for note in rough.notes)
    best = power_analysis(Design(400, 20, 0.5, 0.5), curves=())
    assert any("best case" in note for note in best.notes)


def test_the_data_at_hand_are_simulated_two_sided_where_that_is_quick() -> None:
    found = power_at_hand(Design(40, 10, 0.5, 0.3, icc=0.1), seed=4)
    assert found.simulated is not None
    assert found.simulated_bias is not None
    biases = [row.x for row in found.rows if (row.x_name, row.kind) == ("beta", "simulation")]
    assert found.detectable_bias_two_sided in biases
    # The test that is meant stands first, with the power that was simulated there.
    assert f"{found.detectable_bias_two_sided:.1%} of slots" in found.sentence
    assert "by a two-sided test (simulated: " in found.sentence
    assert f"a one-sided test needs {found.detectable_bias:.1%}." in found.sentence
    points = {row.x_name: row for row in found.rows if row.kind == "simulation" and row.x_name != "beta"}
    assert {row.detectable for row in points.values()} == {found.simulated_bias}
    assert points["icc"].x == 0.1
    for large in (Design(100_000, 10), Design(40, 10, alpha=0.0001)):
        left = power_at_hand(large)
        assert left.simulated is None
        assert any(note.startswith("Nothing was simulated") for note in left.notes)


def test_the_design_of_data_at_hand() -> None:
    shares = np.array([[0.5, 0.5], [0.3, 0.7], [0.7, 0.3], [0.1, 0.9], [0.4, 0.6]])
    known = np.array([10, 20, 10, 20, 10], np.int32)
    found = Lists(np.arange(5, dtype=np.int32), shares, None, None, None, known, known, 20, False)
    group = np.array([0, 1, 1, 1, -1], np.int16)
    design = design_of(found, group, icc=0.1)
    assert design.n_queries == 4
    assert design.q == pytest.approx(0.25)
    assert design.pi == pytest.approx(0.4)  # as far from one half as the other level; the first is taken
    assert design.k == pytest.approx(4 / (2 / 10 + 2 / 20))
    assert design.icc == 0.1
    assert design_of(found, group, icc=None).icc == 0
    assert design_of(found, group, icc=-0.05).icc == 0
    weighted = Lists(np.arange(5, dtype=np.int32), shares, None, None, None, known, known, 20, True)
    assert design_of(weighted, group, icc=0.1).k < design.k
    with pytest.raises(InputError, match="two query groups"):
        design_of(found, np.zeros(5, np.int16), icc=0.1)
