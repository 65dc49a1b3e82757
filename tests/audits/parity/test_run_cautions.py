"""What a run says of strata, of results without a label, and of what it could have seen."""

from pathlib import Path

import numpy as np
import pytest
from auditor.audits import parity
from auditor.audits.memory import MemoryContext
from auditor.audits.parity import method_text
from tests.audits.parity.test_run import ORDERED, TONES, rows_of, run, write


def test_strata_are_named_only_where_labels_are_shuffled_within_them(tmp_path: Path) -> None:
    season = ("summer", "winter")
    rows = [{**row, "season": season[int(row["query_id"][1:]) // 2 % 2]} for row in rows_of(n_queries=24)]
    findings, _ = run(tmp_path, rows, strata=("season",), **ORDERED)
    told = dict(method_text.methods(findings))
    assert "within strata by season (2 strata)" in told["Test"]
    assert not [caution for caution in findings.warnings if caution.code == "strata-unused"]
    # The season of a query says nothing of the items that are shuffled, and a target is each query's own.
    bare = [
        {"query_id": f"q{query}", "item_id": f"i{query // 4}-{rank}", "rank": rank, "season": season[query // 2 % 2]}
        for query in range(24)
        for rank in range(1, 11)
    ]
    items = [{"item_id": f"i{i}-{rank}", "tone": TONES[(i + rank) % 3]} for i in range(6) for rank in range(1, 11)]
    catalog = write(tmp_path / "c.csv", items)
    shares = write(tmp_path / "s.csv", [dict.fromkeys(TONES, 1 / 3)])
    results = write(tmp_path / "bare.csv", bare)
    spec = {"attribute": "tone", "permutations": 99, "sensitivity": False, "strata": ("season",), **ORDERED}
    for mode in ("C1", "C2"):
        files = {"results": results, "catalog": catalog, **({"shares": shares} if mode == "C2" else {})}
        findings = parity.run(parity.Spec(**spec, mode=mode), files, MemoryContext())
        assert "strata by" not in dict(method_text.methods(findings))["Test"]
        (caution,) = [caution for caution in findings.warnings if caution.code == "strata-unused"]
        assert "season" in caution.message


def test_queries_without_a_partner_in_their_stratum_are_counted(tmp_path: Path) -> None:
    rows = [{**row, "season": "odd" if row["query_id"] == "q7" else "usual"} for row in rows_of(n_queries=24)]
    findings, _ = run(tmp_path, rows, strata=("season",), **ORDERED)
    (caution,) = [caution for caution in findings.warnings if caution.code == "strata-without-partner"]
    assert caution.count == 1
    assert caution.message.startswith("1 query stands in strata without a partner")


def test_a_group_whose_queries_show_no_label_at_all_is_counted(tmp_path: Path) -> None:
    # Of the dark group's 12 queries six show no known tone.
    rows = rows_of(n_queries=24)
    rows = [{**row, "tone": ""} if int(row["query_id"][1:]) % 4 == 1 else row for row in rows]
    findings, _ = run(tmp_path, rows, **ORDERED)
    assert findings.excluded.slots_without_attribute_by_group == {"light": 0, "dark": 60}
    (caution,) = [caution for caution in findings.warnings if caution.code == "missing-by-group"]
    assert "dark 50%, light 0%" in caution.message


def test_the_curves_of_the_data_at_hand_are_two_sided_as_the_test(tmp_path: Path) -> None:
    findings, context = run(tmp_path, rows_of(), **ORDERED)
    assert findings.power is not None
    rows = context.tables["power"].to_pylist()
    here = {
        row["kind"]: row["detectable"]
        for row in rows
        if row["x_name"] == "n_queries" and row["x"] == findings.power.n_queries
    }
    assert here["formula"] == pytest.approx(findings.power.detectable_bias)
    assert here["simulation"] == pytest.approx(findings.power.simulated_bias)
    assert {row["x_name"] for row in rows} == {"n_items", "n_queries", "k", "q", "pi", "icc", "beta"}


def test_where_the_formula_is_rough_the_run_says_so_and_simulates(tmp_path: Path) -> None:
    # 60 queries, a fifth of them of one group, a tenth of the results dark: normal approximations promise too much.
    generator = np.random.default_rng(2)
    rows = [
        {**row, "query_group": "b" if int(row["query_id"][1:]) % 5 == 0 else "a",
         "tone": "dark" if generator.random() < 0.1 else "light"}
        for row in rows_of()
    ]  # fmt: skip
    findings, _ = run(tmp_path, rows)
    power = findings.power
    assert power is not None
    assert power.simulated_low is not None
    assert power.simulated_high is not None
    assert power.simulated_low < power.simulated_high < 0.8
    assert "by a two-sided test (simulated: 0." in power.sentence
    told = dict(parity.methods(findings))["Power"]
    for words in (
        "Simulated: 400 data sets at each of five biases, with 60 lists of 10 results",
        "The formula takes variances as they are without bias.",
        "Formula and simulation disagree",
    ):
        assert words in told


def test_results_without_a_label_are_taken_off_once(tmp_path: Path) -> None:
    # Six of 30 queries show no label at all: their lists take no part, the 24 others have five results each.
    rows = [{**row, "tone": "" if int(row["query_id"][1:]) < 6 else row["tone"]} for row in rows_of(n_queries=30, k=5)]
    findings, _ = run(tmp_path, rows)
    words = dict(parity.headline_words(findings))
    assert (words["Results that count"], words["Results left out"]) == ("120", "30")


def test_labels_that_the_catalog_lacks_are_bounded_and_told() -> None:
    """What is shown is labelled and little else is: the share of the catalog is drawn towards what is shown."""
    generator = np.random.default_rng(5)
    tones = ["dark" if generator.random() < 0.5 else "light" for _ in range(30)] + [""] * 60 + ["light"] * 10
    catalog = {"item_id": [f"i{i}" for i in range(100)], "tone": tones}
    shown = np.concatenate([generator.choice(30, 5, replace=False) for _ in range(12)])
    results = {
        "query_id": [f"q{i}" for i in np.repeat(np.arange(12), 5)],
        "item_id": [f"i{i}" for i in shown],
        "rank": np.tile(np.arange(1, 6), 12),
    }
    found = parity.test(results, catalog=catalog, attribute="tone", mode="C1", permutations=99).findings
    (caution,) = [caution for caution in found.warnings if caution.code == "catalog-unlabelled"]
    assert caution.count == 60
    assert "Of 100 items of the catalog 40 (40%) have a known tone" in caution.message
    smallest, largest = (row for row in found.sensitivity if row.kind == "missing labels")
    dark = np.mean([tones[i] == "dark" for i in shown])
    n_dark = tones.count("dark")
    sign = 1 if found.primary_effect.level == "dark" else -1
    bounds = sorted((sign * (dark - (n_dark + 60) / 100), sign * (dark - n_dark / 100)))
    assert (smallest.effect, largest.effect) == (pytest.approx(bounds[0]), pytest.approx(bounds[1]))
    assert "Items without a label: 0, in 0 slots, and 60 more of the catalog" in smallest.detail


def test_a_mean_alone_has_no_table_of_shares_and_names_what_was_declared() -> None:
    generator = np.random.default_rng(4)
    results = {
        "query_id": np.repeat([f"q{i}" for i in range(30)], 5),
        "item_id": [f"i{i}" for i in range(150)],
        "rank": np.tile(np.arange(1, 6), 30),
        "ita": generator.normal(30, 15, 150).clip(-89, 89).round(2),
    }
    shares = {"target_mean": [31.0]}
    asked = {"attribute": "ita", "scale": "ita", "permutations": 99, "sensitivity": False}
    found = parity.test(results, shares=shares, **asked)
    made = {picture.name: picture for picture in found.pictures()}
    assert "cells" not in made
    assert "Dashed: the target, 31.0 degrees." in made["tones"].description
    assert "table of shares" not in dict(parity.methods(found.findings))["Multiplicity"]


def test_a_k_beyond_every_list_is_told(tmp_path: Path) -> None:
    findings, _ = run(tmp_path, rows_of(n_queries=24), k=50, **ORDERED)
    (caution,) = [caution for caution in findings.warnings if caution.code == "k-beyond-lists"]
    assert caution.message.startswith("K is 50, but no list has more than 10 results")
