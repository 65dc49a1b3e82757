"""Parity rests on how far distributions may lie apart, and not on whether a difference can be detected."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from auditor.audits import parity
from auditor.audits.memory import MemoryContext
from auditor.audits.parity import method_text
from auditor.audits.parity.data import Attribute, Scale, lists
from auditor.audits.parity.effects import Effect, effects_groups, effects_target, shapes_groups
from auditor.audits.parity.findings import EffectInfo, ParityFindings
from numpy.typing import ArrayLike, NDArray
from scipy import stats
from tests.audits.parity.test_run import run, write
from tests.audits.parity.worlds import attribute, results, world

MONK = tuple(str(tone) for tone in range(1, 11))


def apart(effects: list[Effect] | list[EffectInfo]) -> Any:
    """The one Wasserstein-1 distance."""
    (found,) = [effect for effect in effects if effect.name == "Wasserstein-1"]
    return found


def rows_of(per_group: int, *, move: float = 0.0, spread: float = 1.0, ordinal: bool = False, k: int = 10) -> Any:
    """Two groups whose lists differ from query to query; in the first values are moved and spread."""
    generator = np.random.default_rng(8)
    rows = []
    for query in range(2 * per_group):
        group = "light" if query < per_group else "dark"
        values = 0.4 * generator.normal() + 0.9 * generator.normal(size=k)
        values = move + spread * values if group == "light" else values
        tones = np.clip(np.round(5.5 + 2 * values), 1, 10).astype(int) if ordinal else np.round(20 + 10 * values, 3)
        for rank, tone in enumerate(tones.tolist(), start=1):
            rows.append(
                {
                    "query_id": f"q{query}",
                    "item_id": f"i{query}-{rank}",
                    "rank": rank,
                    "query_group": group,
                    "tone": tone,
                }
            )
    return rows


@pytest.mark.parametrize(("settings", "margin"), [({"scale": "ita"}, 6.0), ({"scale": "ordinal", "levels": MONK}, 0.2)])
def test_a_small_shift_that_both_tests_detect_is_parity_within_the_margin(
    tmp_path: Path, settings: dict[str, Any], margin: float
) -> None:
    rows = rows_of(600, move=0.12, ordinal=settings["scale"] == "ordinal")
    findings, _ = run(tmp_path, rows, margin=margin, **settings)
    assert findings.primary.p_value <= 0.05
    assert findings.omnibus is not None
    assert findings.omnibus.p_value <= 0.05
    assert findings.state == "parity within margin"
    assert "(detectable, but within the margin)" in findings.verdict.sentence
    assert findings.primary_effect.low > 0 or findings.primary_effect.high < 0
    narrow, _ = run(tmp_path, rows, margin=margin / 4, **settings)
    assert narrow.state == "disparity detected"
    told = dict(method_text.methods(findings))["Verdict"]
    assert "Wasserstein-1" in told
    assert "decides nothing" in told


@pytest.mark.parametrize(
    ("settings", "margin"), [({"scale": "ita"}, 5.0), ({"scale": "ordinal", "levels": MONK}, 0.12)]
)
def test_a_change_of_scale_beyond_the_margin_is_never_parity(
    tmp_path: Path, settings: dict[str, Any], margin: float
) -> None:
    rows = rows_of(300, spread=1.6, ordinal=settings["scale"] == "ordinal")
    findings, _ = run(tmp_path, rows, margin=margin, sensitivity=True, **settings)
    low, high = findings.primary_effect.low, findings.primary_effect.high
    assert low is not None
    assert high is not None
    assert -margin < low < high < margin
    assert findings.state != "parity within margin"
    assert "the means are within the margin" in findings.verdict.sentence
    assert "parity within margin" not in {row.verdict for row in findings.sensitivity}


def test_reruns_of_an_unchanged_answer_say_the_same(tmp_path: Path) -> None:
    findings, _ = run(tmp_path, rows_of(100), margin=12, sensitivity=True, scale="ita")
    assert findings.state == "parity within margin"
    assert findings.sensitivity[0].verdict == "parity within margin"


def shares_of(levels: ArrayLike, n_levels: int) -> NDArray[np.float64]:
    return np.bincount(np.asarray(levels), minlength=n_levels) / len(np.asarray(levels))


def test_area_over_mid_ranks_by_hand() -> None:
    """Against scipy.stats.wasserstein_distance of the mid-ranks, from -1 to 1, of all results of the two groups."""
    generator = np.random.default_rng(4)
    level = generator.integers(0, 5, 400)
    level[:160] = np.where(generator.random(160) < 0.4, 2, level[:160])
    one = attribute("ordinal", level, 5)
    group = np.repeat([0, 1], [16, 24])
    found = results(np.arange(400).reshape(40, 10), one, group=group)
    asked = lists(found, one, k=None, rank_aware=False)
    none = np.zeros(40, np.int32)
    effects = effects_groups(
        asked, one, found.query_group, ("a", "b"), none, confidence=0.95, seed=1, primary_only=True
    )
    scores = 2 * (stats.rankdata(level) - 0.5) / 400 - 1
    assert apart(effects).value == pytest.approx(stats.wasserstein_distance(scores[:160], scores[160:]))
    assert apart(effects).unit == "mid-rank"
    assert apart(effects).value >= abs(effects[0].value)
    assert effects[0].value == pytest.approx(scores[:160].mean() - scores[160:].mean())
    again = shapes_groups(asked, one, found.query_group, ("a", "b"), none, confidence=0.95, seed=1)
    assert again == [apart(effects)]


@pytest.mark.parametrize("kind", ["ordinal", "ita"])
def test_a_distance_is_never_below_the_difference_of_means(kind: str) -> None:
    found, one = world(kind)
    asked = lists(found, one, k=10, rank_aware=True)
    group, stratum = found.query_group[asked.queries], found.query_stratum[asked.queries]
    effects = effects_groups(
        asked, one, group, ("a", "b", "c"), stratum, confidence=0.95, seed=1, two_way=found, primary_only=True
    )
    means = {(effect.a, effect.b): effect for effect in effects if effect.name.endswith(" difference")}
    distances = {(effect.a, effect.b): effect for effect in effects if effect.name == "Wasserstein-1"}
    assert set(means) == set(distances)
    for pair, mean in means.items():
        assert distances[pair].value >= abs(mean.value) - 1e-9
        assert distances[pair].unit == mean.unit


def test_names_have_no_shape_beside_their_shares() -> None:
    found, one = world("nominal")
    asked = lists(found, one, k=None, rank_aware=False)
    group, stratum = found.query_group[asked.queries], found.query_stratum[asked.queries]
    assert shapes_groups(asked, one, group, ("a", "b", "c"), stratum, confidence=0.95, seed=1) == []


def test_area_from_a_target_over_its_mid_ranks() -> None:
    """One target for all: scipy's distance of the target's mid-ranks, weighted by the mean shares and by the target."""
    generator = np.random.default_rng(5)
    one = attribute("ordinal", generator.integers(0, 4, 200), 4)
    asked = lists(results(np.arange(200).reshape(20, 10), one), one, k=None, rank_aware=False)
    target = np.array([0.1, 0.5, 0.1, 0.3])
    effects = effects_target(asked, one, target, None, confidence=0.95, seed=1, primary_only=True)
    scores = 2 * (np.cumsum(target) - target / 2) - 1
    by_hand = stats.wasserstein_distance(scores, scores, asked.shares.mean(axis=0), target)
    assert apart(effects).value == pytest.approx(by_hand)
    assert apart(effects).value >= abs(effects[0].value)


def catalog_files(path: Path, spread: float) -> dict[str, Any]:
    """240 lists of ten from a catalog of 4,800 in degrees; what is shown is less spread than the catalog."""
    generator = np.random.default_rng(3)
    degrees = np.round(20 + 15 * generator.normal(size=4800), 3)
    inner = np.flatnonzero(np.abs(degrees - 20) < 15 * spread)
    shown = generator.permutation(inner)[:2400]
    catalog = [{"item_id": f"i{item}", "tone": value} for item, value in enumerate(degrees.tolist())]
    rows = [
        {"query_id": f"q{place // 10}", "item_id": f"i{item}", "rank": place % 10 + 1}
        for place, item in enumerate(shown.tolist())
    ]
    return {"results": write(path / "r.csv", rows), "catalog": write(path / "c.csv", catalog)}


def answered(files: dict[str, Any], margin: float) -> ParityFindings:
    spec = parity.Spec(attribute="tone", scale="ita", margin=margin, permutations=199, sensitivity=False, mode="C1")
    return parity.run(spec, files, MemoryContext(seed=3))


def test_results_less_spread_than_their_catalog_are_no_parity(tmp_path: Path) -> None:
    like = answered(catalog_files(tmp_path, 10.0), 4.0)
    assert like.state == "parity within margin"
    assert apart(like.effects).unit == "degrees"
    narrow = answered(catalog_files(tmp_path, 1.0), 4.0)
    assert narrow.state != "parity within margin"
    assert "Wasserstein-1 distance of results and target" in narrow.verdict.sentence
    # Against scipy: the whole catalog, with the degrees beyond all that is shown.
    degrees = 20 + 15 * np.random.default_rng(3).normal(size=4800)
    inner = degrees[np.abs(degrees - 20) < 15]
    assert apart(narrow.effects).value == pytest.approx(stats.wasserstein_distance(inner, degrees), rel=0.05)


def test_a_target_mean_has_no_shape(tmp_path: Path) -> None:
    files = {
        "results": write(tmp_path / "r.csv", [{**row, "query_group": ""} for row in rows_of(60)]),
        "shares": write(tmp_path / "s.csv", [{"target_mean": 20.0}]),
    }
    spec = parity.Spec(attribute="tone", scale="ita", margin=9, permutations=199, sensitivity=False, mode="C2")
    findings = parity.run(spec, files, MemoryContext(seed=3))
    assert findings.state == "parity within margin"
    assert "nothing is said of shapes" in dict(method_text.methods(findings))["Verdict"]


def test_a_lone_query_of_a_stratum_moves_no_standard_error_of_mid_ranks() -> None:
    """A query alone in its stratum says nothing of the difference, and must not blow up its error."""
    generator = np.random.default_rng(0)
    n = 100
    group = (np.arange(n) % 2).astype(np.int16)
    chances = np.where(group[:, None] == 0, [0.5, 0.8, 1], [0.3, 0.6, 1])
    level = (generator.random((n, 20))[..., None] > chances[:, None]).sum(axis=-1).ravel()
    one = Attribute("x", Scale("ordinal", ("u", "v", "w")), level.astype(np.int16))
    found = replace(results(np.arange(20 * n).reshape(n, 20), one, group=group))
    asked = lists(found, one, k=None, rank_aware=False)
    together, alone = (
        effects_groups(asked, one, group, ("a", "b"), stratum, confidence=0.95, seed=1)[0]
        for stratum in (np.zeros(n, np.int32), (np.arange(n) == n - 1).astype(np.int32))
    )
    assert alone.se == pytest.approx(together.se, rel=0.05)
