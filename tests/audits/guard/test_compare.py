"""Guard runs side by side: known differences come out, and what cannot be compared is refused or said."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from auditor.audits.guard.compare import COLUMNS, RunTables, compare
from auditor.audits.guard.compare_text import ground, guarded, headline, risks, unguarded
from auditor.audits.guard.figures_compare import compare_pictures
from auditor.errors import InputError
from auditor.report.pictures import svg
from tests.audits.guard.made_runs import made_findings, made_tables

N = 100
RIGHT, WRONG = "good", "bad"


def answers(n_right: int, n: int = N) -> list[str]:
    """The first so many queries right."""
    return [RIGHT] * n_right + [WRONG] * (n - n_right)


def run(
    folder: Path,
    name: str,
    guarded: Sequence[str],
    *,
    unguarded: Sequence[str] | None = None,
    zero_shot: Sequence[str] | None = None,
    pools: Sequence[str] | None = None,
    conditions: Sequence[str] = ("correct", "cyclic:1"),
    groups: Sequence[str | None] | None = None,
    label: str = RIGHT,
    more: dict[str, Any] | None = None,
    sha256: str = "same",
) -> RunTables:
    n = len(guarded)
    rows = [
        {
            "row": i + 1,
            "query_id": f"q{i:03}",
            "group": groups[i] if groups else None,
            "label": label,
            "pool": pools[i] if pools else "test",
            "condition": condition,
            "zero_shot": (zero_shot or answers(70, n))[i],
            "unguarded": (unguarded or answers(50, n))[i],
            "guarded": guarded[i],
        }
        for condition in ("zero-shot", *conditions)
        for i in range(n)
    ]
    path = made_tables(folder / name, {"queries": rows})["queries"]
    return RunTables(name, made_findings(is_starter=False, **(more or {})).model_dump(mode="json"), path, sha256)


def test_a_known_difference_comes_out_with_an_interval_around_it(tmp_path: Path) -> None:
    a, b = run(tmp_path, "A", answers(80)), run(tmp_path, "B", answers(60), more={"model_sha256": "1" * 64})
    found = compare([a, b])
    (pair,) = found.pairs
    assert pair.n == N
    assert pair.differs == ("model",)
    assert pair.conditions == ("correct", "cyclic:1")
    guarded = next(one for one in pair.measures if (one.name, one.condition) == ("guarded", "cyclic:1"))
    assert (guarded.a.value, guarded.b.value) == (0.8, 0.6)
    assert guarded.difference.value == pytest.approx(0.2)
    assert guarded.difference.low is not None
    assert guarded.difference.high is not None
    # The standard error of 20 of 100 pairs is .04.
    assert 0.1 < guarded.difference.low < 0.2 < guarded.difference.high < 0.3
    assert (guarded.only_a, guarded.only_b) == (20, 0)
    assert guarded.mcnemar_p == pytest.approx(2 * 0.5**20)
    risk = next(one for one in pair.measures if (one.name, one.condition) == ("risk", "cyclic:1"))
    assert (risk.a.value, risk.b.value) == pytest.approx((-0.1, 0.1))
    assert risk.mcnemar_p is None
    assert "guarded accuracy under correct demonstrations +20.0 (" in pair.sentence
    assert "zero-shot accuracy" not in pair.sentence


def test_the_same_run_twice_differs_in_nothing(tmp_path: Path) -> None:
    (pair,) = compare([run(tmp_path, "A", answers(80)), run(tmp_path, "B", answers(80))]).pairs
    assert pair.differs == ()
    assert all(one.difference.value == 0 for one in pair.measures)
    assert all(one.mcnemar_p in (None, 1.0) for one in pair.measures)
    assert pair.sentence == "No clear difference between A and B on 100 test queries."


def test_only_queries_that_test_in_both_count_whatever_their_order(tmp_path: Path) -> None:
    pools_a = ["test"] * 60 + ["calibration"] * 40
    pools_b = ["calibration"] * 20 + ["test"] * 80
    a, b = run(tmp_path, "A", answers(100), pools=pools_a), run(tmp_path, "B", answers(30), pools=pools_b)
    found = compare([a, b])
    (pair,) = found.pairs
    assert pair.n == 40
    guarded = next(one for one in pair.measures if one.name == "guarded")
    assert guarded.b.value == pytest.approx(10 / 40)
    assert found.table.column_names == [column.name for column in COLUMNS]
    assert found.table.num_rows == 2 * 40
    assert set(found.table["right"].to_pylist()) == {"both right", "A right, B wrong"}


def test_a_row_of_the_table_leads_to_both_files_and_says_whether_the_guards_differ(tmp_path: Path) -> None:
    pools = ["calibration"] * 10 + ["test"] * 90
    a, b = run(tmp_path, "A", answers(80), pools=pools), run(tmp_path, "B", answers(60)[::-1], pools=pools)
    rows = compare([a, b]).table.to_pylist()
    assert [row["row_a"] for row in rows[:90]] == [row["row_b"] for row in rows[:90]] == list(range(11, 101))
    assert [row["differs"] for row in rows] == [row["guarded_a"] != row["guarded_b"] for row in rows]
    assert {row["differs"] for row in rows} == {True, False}


def test_figures_are_told_as_people_read_them_and_clear_differences_are_marked(tmp_path: Path) -> None:
    a, b = run(tmp_path, "A", answers(80)), run(tmp_path, "B", answers(60), more={"model_sha256": "1" * 64})
    found = compare([a, b])
    (pair,) = found.pairs
    bare, kept = unguarded(pair, found.confidence), guarded(pair, found.confidence)
    assert len({len(row) for shown in (bare, kept) for row in (*shown.rows, shown.columns)}) == 1
    assert [row[0] for row in bare.rows] == ["Zero-shot", "Correct demonstrations", "Wrong labels in a circle (100%)"]
    assert bare.rows[0][3] == "0.0 (0.0 to 0.0)"
    assert [row[0] for row in kept.rows] == ["Correct demonstrations", "Wrong labels in a circle (100%)"]
    assert kept.rows[0][1:3] == ("80.0", "60.0")
    assert kept.rows[0][3].startswith("▲ +20.0 (+")
    assert kept.rows[0][4] == "20 : 0"
    lost = {row[0]: row for row in risks(pair, found.confidence).rows}
    assert lost["Wrong labels in a circle (100%)"][1:3] == ("−10.0", "+10.0")
    assert lost["Wrong labels in a circle (100%)"][3].startswith("▼ −20.0 (")
    assert "They differ in model." in ground(pair, found)
    assert "by a bootstrap over 100 test queries, each" in ground(pair, found)
    assert headline(pair) == pair.sentence


def test_of_many_clear_differences_the_largest_are_named(tmp_path: Path) -> None:
    conditions = ["correct", "cyclic:1", "cyclic:0.5", "targeted:1", "random:1"]
    more = {"unguarded": answers(20), "conditions": conditions}
    found = compare([run(tmp_path, "A", answers(80), conditions=conditions), run(tmp_path, "B", answers(60), **more)])
    said = headline(found.pairs[0])
    assert said.startswith("A less B on 100 test queries, in percentage points: unguarded accuracy under correct ")
    assert said.count("unguarded accuracy") == 4
    assert said.endswith(" and 6 more accuracies in the table.")


@pytest.mark.parametrize(
    ("at", "step", "said"),
    [(0.996, 0.001, "0.996"), (0.125, 0.005, "0.125"), (0.6, 0.1, "0.60"), (1.0, 0.001, "1.000")],
)
def test_a_threshold_is_told_as_it_is(tmp_path: Path, at: float, step: float, said: str) -> None:
    """0.996 shown as 1.00 would read as zero-shot."""
    fine = {"certificate": {"lambda_hat": at, "lambda_step": step}}
    found = compare([run(tmp_path, "A", answers(80), more=fine), run(tmp_path, "B", answers(60))])
    zero_shot = " (zero-shot)" if at == 1 else ""
    assert f"The guard of A stands at lambda {said}{zero_shot}, that of B at 0.62." in ground(found.pairs[0], found)


def test_a_small_p_value_does_not_read_as_none(tmp_path: Path) -> None:
    (pair,) = compare([run(tmp_path, "A", answers(90)), run(tmp_path, "B", answers(60))]).pairs
    assert guarded(pair, 0.95).rows[0][4:] == ("30 : 0", "<0.001")


def test_queries_of_one_group_are_drawn_together(tmp_path: Path) -> None:
    groups = [f"g{i // 10}" for i in range(N)]
    scattered = [RIGHT if i % 10 < 6 else WRONG for i in range(N)]
    runs = [
        [run(tmp_path / kind, "A", answers(80), groups=named), run(tmp_path / kind, "B", scattered, groups=named)]
        for kind, named in (("grouped", groups), ("single", None))
    ]
    widths = []
    for pair_of_runs in runs:
        found = compare(pair_of_runs)
        guarded = next(one for one in found.pairs[0].measures if one.name == "guarded")
        assert guarded.difference.low is not None
        assert guarded.difference.high is not None
        widths.append(guarded.difference.high - guarded.difference.low)
        assert any(caution.code == "few_groups" for caution in found.cautions) == (found.pairs[0].groups == 10)
        units = "10 groups of test queries" if found.pairs[0].groups == 10 else "100 test queries"
        assert f"by a bootstrap over {units}" in ground(found.pairs[0], found)
        assert f"by a bootstrap over {units}" in next(compare_pictures(found, "light")).description
    assert widths[0] > 1.3 * widths[1]


def test_what_a_reader_must_know_is_said(tmp_path: Path) -> None:
    more = {"model_sha256": "1" * 64, "certificate": {"epsilon": 0.1}}
    a = run(tmp_path, "A", answers(80))
    b = run(tmp_path, "B", answers(60), more=more, sha256="other")
    cautions = {caution.code: caution.message for caution in compare([a, b]).cautions}
    assert "differ in model and epsilon" in cautions["several_causes"]
    assert (
        "keeps the best of 2 runs on these queries needs certificates made with 2 settings tried"
        in cautions["selection"]
    )
    assert "B read another file of queries than A" in cautions["other_file"]
    enough = {"certificate": {"options_tried": 2}}
    calm = compare([run(tmp_path, "C", answers(80), more=enough), run(tmp_path, "D", answers(60), more=enough)])
    assert calm.cautions == ()


def test_what_cannot_be_compared_is_refused(tmp_path: Path) -> None:
    a = run(tmp_path, "A", answers(80))
    with pytest.raises(InputError, match="two or more different runs"):
        compare([a, a])
    with pytest.raises(InputError, match="No query tests in both A and B"):
        compare([run(tmp_path, "A", answers(4, 4), pools=["test", "test", "calibration", "calibration"]),
                 run(tmp_path, "B", answers(4, 4), pools=["calibration", "calibration", "test", "test"])])  # fmt: skip
    with pytest.raises(InputError, match="has no test queries"):
        compare([a, run(tmp_path, "C", answers(2, 2), pools=["calibration"] * 2)])
    with pytest.raises(InputError, match="The query q000 has the label good in A and bad in D"):
        compare([a, run(tmp_path, "D", answers(80), label=WRONG)])
    with pytest.raises(InputError, match="no condition in common"):
        compare(
            [
                run(tmp_path, "E", answers(80), conditions=["correct"]),
                run(tmp_path, "F", answers(8), conditions=["own:1"]),
            ]
        )


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_picture_holds_every_difference(tmp_path: Path, theme: str) -> None:
    found = compare([run(tmp_path, "$A$ <b>", answers(80)), run(tmp_path, "B", answers(60))])
    (picture,) = compare_pictures(found, theme)
    assert "guarded accuracy under correct demonstrations: 80% and 60%, +20.0 (" in picture.description
    assert picture.data.num_rows == len(found.pairs[0].measures)
    assert "<b>" not in svg(picture)
