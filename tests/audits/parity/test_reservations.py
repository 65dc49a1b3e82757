"""What a run may not conclude: parity without every interval, in the wrong unit, or where only the means agree."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from auditor.audits import InputFile, parity
from auditor.audits.memory import MemoryContext
from auditor.audits.parity.findings import ParityFindings
from auditor.audits.parity.settings import named
from auditor.errors import InputError
from auditor.tasks_parity import parity_check

TONES = ("light", "medium", "dark")
ORDERED = {"scale": "ordinal", "levels": TONES}
Rows = list[dict[str, Any]]


def written(path: Path, rows: Sequence[Mapping[str, Any]]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def run(path: Path, rows: Rows, **settings: Any) -> tuple[ParityFindings, MemoryContext]:
    context = MemoryContext(seed=3)
    spec = parity.Spec.model_validate({"attribute": "tone", "permutations": 499, "sensitivity": False, **settings})
    file = InputFile(written(path / "results.csv", rows), "results.csv", "")
    return parity.run(spec, {"results": file}, context), context


def rows_of(chances: Mapping[str, tuple[int, Sequence[float]]], *, k: int = 10) -> Rows:
    """A long table: group -> how many queries, and how probable each tone is in their lists."""
    generator = np.random.default_rng(1)
    rows: Rows = []
    for group, (n_queries, p) in chances.items():
        for query in range(n_queries):
            for rank, tone in enumerate(generator.choice(TONES, k, p=p), start=1):
                name = f"{group}-{query}"
                rows.append(
                    {
                        "query_id": name,
                        "item_id": f"{name}-{rank}",
                        "rank": rank,
                        "query_group": group,
                        "tone": str(tone),
                    }
                )
    return rows


EVEN = (1 / 3, 1 / 3, 1 / 3)


@pytest.mark.parametrize("scale", [{}, ORDERED])
def test_one_pair_within_the_margin_is_no_parity(tmp_path: Path, scale: dict[str, Any]) -> None:
    rows = rows_of({"A": (60, EVEN), "B": (60, EVEN), "C": (9, (0.0, 0.05, 0.95))})
    findings, _ = run(tmp_path, rows, margin=0.3, sensitivity=True, **scale)
    assert findings.state == "disparity detected"
    assert (findings.primary_effect.a, findings.primary_effect.b) == ("A", "B")
    assert {row.verdict for row in findings.sensitivity} & {"parity within margin"} == set()
    caution = next(caution for caution in findings.warnings if caution.code == "larger-without-interval")
    assert "A less C" in caution.message
    assert (caution.count or 0) >= 2
    rows = rows_of({"A": (60, EVEN), "B": (60, EVEN), "C": (9, EVEN)})
    findings, _ = run(tmp_path, rows, margin=0.3, **scale)
    assert findings.state != "parity within margin"
    if findings.state == "inconclusive":
        assert "not every difference has an interval: A less C" in findings.verdict.sentence


@pytest.mark.parametrize("scale", [{}, ORDERED])
def test_a_margin_in_percent_is_refused_before_the_test(tmp_path: Path, scale: dict[str, Any]) -> None:
    rows = rows_of({"A": (12, EVEN), "B": (12, EVEN)}, k=3)
    with pytest.raises(InputError, match=r"Write 0\.05 for 5 percentage points") as refused:
        run(tmp_path, rows, margin=5, **scale)
    assert str(refused.value).startswith(f"{named('margin')}: 5 is beyond every difference of shares or mid-ranks")
    asked = {"attribute": "tone", "margin": 1, **scale}
    with pytest.raises(InputError, match=r"Write 0\.01 for 1 percentage point\."):
        parity_check({"files": {"results": tmp_path / "results.csv"}, "spec": asked}, lambda *_: None)


def test_means_that_agree_are_no_parity_of_distributions(tmp_path: Path) -> None:
    rows = rows_of({"A": (40, (0.5, 0.0, 0.5)), "B": (40, (0.0, 1.0, 0.0))})
    findings, context = run(tmp_path, rows, margin=0.5, sensitivity=True, **ORDERED)
    assert findings.primary.p_value > 0.05
    assert findings.omnibus is not None
    assert findings.omnibus.statistic_name == "Cramer-von Mises"
    assert findings.omnibus.p_value == 1 / 500
    assert findings.state == "inconclusive"
    (apart,) = [effect for effect in findings.effects if effect.name == "Wasserstein-1"]
    assert apart.high is not None
    assert apart.high > 0.5
    assert "the means are within the margin of .50 in mean mid-rank" in findings.verdict.sentence
    assert "the distributions differ in shape (Cramer-von Mises, p = .002)" in findings.verdict.sentence
    assert [row["family"] for row in context.tables["tests"].to_pylist()] == ["primary", "omnibus"]
    assert "shape" in {caution.code for caution in findings.warnings}
    assert "parity within margin" not in {row.verdict for row in findings.sensitivity}
    # The same where the omnibus statistic is itself the declared one.
    declared, _ = run(tmp_path, rows, margin=0.5, statistic="Cramer-von Mises", **ORDERED)
    assert (declared.state, declared.omnibus) == ("disparity detected", None)


def test_in_degrees_the_energy_distance_looks_at_shapes(tmp_path: Path) -> None:
    rows = rows_of({"A": (40, (0.5, 0.0, 0.5)), "B": (40, (0.0, 1.0, 0.0))})
    degrees = {"light": 50, "medium": 20, "dark": -10}
    rows = [{**row, "tone": degrees[row["tone"]]} for row in rows]
    findings, _ = run(tmp_path, rows, margin=20, scale="ita")
    assert findings.omnibus is not None
    assert findings.omnibus.statistic_name == "energy distance"
    assert findings.state == "inconclusive"
    assert "Wasserstein-1 distance of A and B" in findings.verdict.sentence


@pytest.mark.parametrize(
    ("n_queries", "settings", "words"),
    [
        (2, {}, "Too few queries for any rejection: there are 6 arrangements"),
        (20, {"permutations": 99, "alpha": 0.005}, "B = 99 is too small for alpha = 0.005"),
    ],
)
def test_a_test_that_cannot_reject_says_so(
    tmp_path: Path, n_queries: int, settings: dict[str, Any], words: str
) -> None:
    rows = rows_of({"A": (n_queries, EVEN), "B": (n_queries, EVEN)})
    findings, _ = run(tmp_path, rows, **ORDERED, **settings)
    assert findings.minimum_detectable_effect is None
    assert words in next(caution.message for caution in findings.warnings if caution.code == "no-rejection-possible")
    assert "no difference could have been detected" in findings.verdict.sentence


def test_few_queries_in_the_smaller_group_are_told(tmp_path: Path) -> None:
    findings, _ = run(tmp_path, rows_of({"A": (120, EVEN), "B": (12, EVEN)}), **ORDERED)
    caution = next(caution for caution in findings.warnings if caution.code == "few-queries")
    assert caution.count == 12
    assert "intervals are rough; measured coverage" in caution.message
    assert "at 20 queries nominal 95% intervals" in findings.primary_effect.method
    findings, _ = run(tmp_path, rows_of({"A": (30, EVEN), "B": (30, EVEN)}), **ORDERED)
    assert "few-queries" not in {caution.code for caution in findings.warnings}
