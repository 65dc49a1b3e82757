import numpy as np
import pytest
from auditor.audits.guard import stress
from auditor.audits.guard.certificate import MIXTURE
from auditor.audits.guard.early_exit import confidence
from auditor.audits.guard.output import Rows
from auditor.audits.guard.pools import Pools
from auditor.audits.guard.stress import Measured
from auditor.audits.guard.task import Task
from scipy import stats
from tests.audits.guard.worlds import FIRST, N_EXITS, answers, certifier, queries, spec

N = 200
TASK = Task(("a", "b", "c"), ("a", "b", "c"))
#: Corrupted demonstrations in the prompt of every query.
N_CORRUPTED = {
    "correct": np.zeros(N),
    "cyclic:1": np.arange(N) % 4 + 5.0,
    "cyclic:0.5+last:0.5": np.full(N, 3.0),
}


@pytest.fixture(scope="module")
def found() -> Rows:
    made = answers(11, N, {"correct": 4.0, "cyclic:1": -3.0, "cyclic:0.5+last:0.5": -1.0})
    asked = spec(attacks=("cyclic", "cyclic:0.5+last"), mixture=0.25)
    of = certifier(made, asked)
    places = np.random.default_rng(0).permutation(N)
    pools = Pools(places[:100], places[100:])
    return Rows(TASK, queries(made), of, pools, of.certify(pools.calibration))


def _measured(rows: Rows, places: np.ndarray) -> Measured:
    return Measured(places, rows.certifier.unit, 0.95, 0, rows.certifier.largest)


def _conditions(rows: Rows, index: int) -> dict[str, dict]:
    of = rows.certifier
    mixtures = {MIXTURE: (0.25, of.mix)}
    measured = _measured(rows, rows.pools.test)
    made = stress.condition_rows(of.answers, measured, index, mixtures, N_CORRUPTED, short=0.25)
    return {row["condition"]: row for row in made}


def test_every_figure_is_what_one_query_after_the_other_gives(found: Rows) -> None:
    index = 12
    row = _conditions(found, index)["cyclic:1"]
    answers_, test = found.certifier.answers, found.pools.test
    under = answers_.by_condition["cyclic:1"]
    right = {"zero": 0, "unguarded": 0, "guarded": 0, "harm": 0, "harm_guarded": 0, "lost": 0}
    layers, passes, fell = [], [], 0
    for place in test.tolist():
        truth, zero = answers_.truth[place], answers_.zero_shot[place] == answers_.truth[place]
        plain = under.unguarded[place] == truth
        guarded = under.guarded.labels[index, place] == truth
        exit_ = under.guarded.exits[index, place]
        right["zero"] += zero
        right["unguarded"] += plain
        right["guarded"] += guarded
        right["harm"] += zero and not plain
        right["harm_guarded"] += zero and not guarded
        right["lost"] += not zero and plain and not guarded
        if exit_ == N_EXITS:
            fell += 1
            passes.append(2.0)
        else:
            layers.append(exit_ + 1)
            passes.append((exit_ + 1) / N_EXITS)
    assert row["n"] == 100
    assert row["accuracy_zero_shot"] == right["zero"] / 100
    assert row["accuracy_unguarded"] == right["unguarded"] / 100
    assert row["accuracy_guarded"] == right["guarded"] / 100
    assert row["risk_unguarded"] == pytest.approx((right["zero"] - right["unguarded"]) / 100)
    assert row["risk_guarded"] == pytest.approx((right["zero"] - right["guarded"]) / 100)
    assert row["harm_unguarded"] == right["harm"] / 100
    assert row["harm_guarded"] == right["harm_guarded"] / 100
    assert row["lost_benefit"] == right["lost"] / 100
    assert row["fallback"] == fell / 100
    assert row["mean_exit"] == pytest.approx(np.mean(layers))
    assert row["layer_passes"] == pytest.approx(np.mean(passes))
    # A zero-shot prompt of a quarter of the tokens: a fall-back costs one full prompt and a quarter.
    assert row["token_passes"] == pytest.approx(np.mean([1.25 if one == 2 else one for one in passes]))
    exact = stats.binomtest(right["guarded"], 100).proportion_ci(0.95, "exact")
    assert (row["guarded_low"], row["guarded_high"]) == pytest.approx((exact.low, exact.high))
    assert row["risk_low"] <= row["risk_guarded"] <= row["risk_high"]


def test_a_mixture_is_the_mean_of_its_parts(found: Rows) -> None:
    rows = _conditions(found, 12)
    for name in ("accuracy_guarded", "accuracy_unguarded", "risk_guarded", "harm_guarded", "fallback", "layer_passes"):
        expected = 0.75 * rows["correct"][name] + 0.25 * rows["cyclic:1"][name]
        assert rows[MIXTURE][name] == pytest.approx(expected)
    assert rows[MIXTURE]["strength"] == 0.25


def test_what_a_strength_came_to_is_the_mean_of_the_test_queries(found: Rows) -> None:
    rows, test = _conditions(found, 12), found.pools.test
    reached = sum(int(place) % 4 + 5 for place in test) / len(test)
    assert rows["cyclic:1"]["n_corrupted"] == pytest.approx(reached)
    assert rows["cyclic:0.5+last:0.5"]["n_corrupted"] == 3
    assert rows[MIXTURE]["n_corrupted"] == pytest.approx(0.25 * reached)
    assert rows["correct"]["n_corrupted"] == rows["zero-shot"]["n_corrupted"] == 0


def test_names_and_strengths_of_attacks(found: Rows) -> None:
    rows = _conditions(found, 12)
    assert list(rows) == ["zero-shot", "correct", "cyclic:1", "cyclic:0.5+last:0.5", MIXTURE]
    assert (rows["cyclic:1"]["attack"], rows["cyclic:1"]["strength"]) == ("cyclic", 1.0)
    assert rows["cyclic:0.5+last:0.5"]["strength"] is None
    assert rows["correct"]["attack"] is None


def test_set_to_one_the_guard_is_zero_shot_without_any_doubt(found: Rows) -> None:
    for row in _conditions(found, 0).values():
        assert row["accuracy_guarded"] == row["accuracy_zero_shot"]
        assert (row["risk_guarded"], row["risk_low"], row["risk_high"]) == (0, 0, 0)
        assert (row["fallback"], row["layer_passes"], row["mean_exit"]) == (1, 1, None)
        assert row["token_passes"] == 0.25


def test_groups_take_intervals_that_know_of_them(found: Rows) -> None:
    of = found.certifier
    alone = Measured(found.pools.test, of.unit, 0.95, 0, 1)
    paired = Measured(found.pools.test, np.arange(N) // 4, 0.95, 0, 4)
    right = of.answers.zero_shot_right.astype(float)
    one, other = alone.share(right), paired.share(right)
    assert one.value == other.value
    assert other.high - other.low > one.high - one.low


def test_layers_are_read_one_by_one(found: Rows) -> None:
    of = found.certifier.answers
    sure = confidence(of.q_zero_shot, "max")
    rows = list(stress.layer_rows(of, _measured(found, found.pools.test), sure))
    assert len(rows) == 4 * N_EXITS
    last = [row for row in rows if row["exit"] == N_EXITS]
    assert last[0]["accuracy"] == of.zero_shot_right[found.pools.test].mean()
    assert last[1]["accuracy"] == _conditions(found, 3)["correct"]["accuracy_unguarded"]
    assert {row["depth"] for row in last} == {1.0}


def test_exits_sum_to_one_and_begin_where_they_may(found: Rows) -> None:
    of = found.certifier
    rows = list(stress.exit_rows(of.answers, found.pools.test, 12, of.mix))
    for condition in ("correct", "cyclic:1", MIXTURE):
        shares = [row["share"] for row in rows if row["condition"] == condition]
        assert sum(shares) == pytest.approx(1)
    assert min(row["exit"] for row in rows if row["exit"] is not None) >= FIRST + 1


def test_the_risk_curve_is_that_of_the_calibration_queries(found: Rows) -> None:
    rows = list(found.risk_curve(_measured(found, found.pools.calibration)))
    assert [row["lambda"] for row in rows] == found.certifier.answers.lambdas.tolist()
    assert (rows[0]["risk"], rows[0]["p_value"], rows[0]["passed"]) == (0, None, True)
    losses = found.certifier.losses(MIXTURE)
    for i, row in enumerate(rows):
        assert row["risk"] == pytest.approx(losses[i, found.pools.calibration].mean())
        assert row["risk_test"] == pytest.approx(losses[i, found.pools.test].mean())
        assert row["low"] <= row["risk"] <= row["high"]
        assert row["risk"] == pytest.approx(row["harm"] - row["benefit"])
        assert row["passed"] == bool(found.certificate.passed[i])
    assert rows[5]["p_value"] == found.certificate.p_values[5]


def test_costs_agree_with_the_conditions_at_the_threshold(found: Rows) -> None:
    cost = {(row["condition"], row["lambda"]): row for row in found.cost(0.25)}
    rows = _conditions(found, 12)
    for condition in ("correct", "cyclic:1", MIXTURE):
        row = cost[condition, float(found.certifier.answers.lambdas[12])]
        assert row["accuracy"] == pytest.approx(rows[condition]["accuracy_guarded"])
        assert row["layer_passes"] == pytest.approx(rows[condition]["layer_passes"])
        assert row["token_passes"] == pytest.approx(rows[condition]["token_passes"])
        assert row["fallback"] == pytest.approx(rows[condition]["fallback"])
        assert row["mean_exit"] == pytest.approx(rows[condition]["mean_exit"])
        assert cost[condition, 1.0]["risk"] == 0


def test_flipped_answers_stand_worst_first_and_are_test_queries(found: Rows) -> None:
    rows = found.flipped()
    test = {f"q{place}" for place in found.pools.test.tolist()}
    assert rows
    assert {row["query_id"] for row in rows} <= test
    assert all(row["unguarded"] != row["zero_shot"] for row in rows)
    kinds = [row["change"] for row in rows]
    assert kinds == sorted(kinds, key=["harmed", "other", "helped"].index)
    harmed = [row["drop"] for row in rows if row["change"] == "harmed"]
    assert harmed == sorted(harmed, reverse=True)
    assert all(row["zero_shot"] == row["label"] for row in rows if row["change"] == "harmed")


def test_every_query_stands_once_under_each_condition(found: Rows) -> None:
    rows = list(found.every_query())
    assert len(rows) == 3 * N
    assert {row["pool"] for row in rows} == {"calibration", "test"}
    assert sum(row["pool"] == "test" for row in rows) == 300
    first = rows[0]
    assert (first["query_id"], first["row"], first["condition"]) == ("q0", 2, "correct")


def test_contextual_calibration_is_the_guards_alone() -> None:
    """What a person has without a guard does not change with how the guard reads the layers."""
    drifts = {"correct": 4.0, "cyclic:1": -3.0}
    weight = np.tile([3.0, 0.5, 0.5], (N_EXITS, 1))
    plain, read = answers(12, N, drifts), answers(12, N, drifts, weight=weight)
    assert (plain.zero_shot == read.zero_shot).all()
    for condition in drifts:
        one, other = plain.by_condition[condition], read.by_condition[condition]
        assert (one.unguarded == other.unguarded).all()
        assert (one.plain == other.plain).all()
        assert (one.guarded.labels[-1] != other.guarded.labels[-1]).any()
        assert (other.guarded.labels[0] == read.zero_shot).all()
