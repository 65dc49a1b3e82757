"""What a run says of strata, of results without a label, and of what it could have seen."""

from pathlib import Path

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
    here = next(row for row in rows if row["x_name"] == "n_queries" and row["x"] == findings.power.n_queries)
    assert here["detectable"] == pytest.approx(findings.power.detectable_bias)


def test_a_k_beyond_every_list_is_told(tmp_path: Path) -> None:
    findings, _ = run(tmp_path, rows_of(n_queries=24), k=50, **ORDERED)
    (caution,) = [caution for caution in findings.warnings if caution.code == "k-beyond-lists"]
    assert caution.message.startswith("K is 50, but no list has more than 10 results")
