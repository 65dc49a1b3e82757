"""Ranks, scores and lists: what is accepted with a counted warning, and what a reader is told."""

from pathlib import Path

import pytest
from auditor.errors import InputError
from tests.audits.parity.files import codes, read

HEADER = "query_id,item_id,rank,query_group,skin_tone\n"


def _rows(*rows: str) -> str:
    return HEADER + "\n".join(rows) + "\n"


def test_ranks_from_0_are_counted_from_1_and_said(tmp_path: Path) -> None:
    found = read(tmp_path, _rows("q1,a,0,x,1", "q1,b,1,x,2", "q2,c,0,y,3"))
    assert found.rank.tolist() == [1, 2, 1]
    assert codes(found)["ranks-from-0"] == 2
    assert "rank-gaps" not in codes(found)


@pytest.mark.parametrize(("rule", "ranks"), [("keep", [1, 4, 2]), ("re-rank", [1, 2, 1])])
def test_gaps_are_kept_or_closed_as_declared_and_counted_either_way(
    tmp_path: Path, rule: str, ranks: list[int]
) -> None:
    found = read(tmp_path, _rows("q1,a,1,x,1", "q1,b,4,x,2", "q2,c,2,y,3"), rank_gaps=rule)
    assert found.rank.tolist() == ranks
    told = next(caution for caution in found.cautions if caution.code == "rank-gaps")
    assert told.count == 2
    assert "missing results: 3" in told.message


def test_without_ranks_scores_order_the_results_and_distances_the_other_way(tmp_path: Path) -> None:
    text = HEADER.replace("rank", "score") + "q1,a,0.1,x,1\nq1,b,0.9,x,2\nq1,c,0.9,x,3\nq2,a,1,y,1\n"
    found = read(tmp_path, text)
    assert [found.item_ids[item] for item in found.item] == ["b", "c", "a", "a"]
    assert found.rank.tolist() == [1, 2, 3, 1]
    assert codes(found)["ranks-from-scores"] == 4
    near = read(tmp_path, text.replace("score", "distance"))
    assert [near.item_ids[item] for item in near.item] == ["a", "b", "c", "a"]


@pytest.mark.parametrize(
    ("score", "words"),
    [
        ("nan", "not finite"),
        ("-inf", "not finite"),
        ("1e999", "not finite"),
        ("", "missing"),
        ("x", "no number"),
        ("0,5", "no number"),
    ],
)
def test_a_score_that_is_no_finite_number_is_named(tmp_path: Path, score: str, words: str) -> None:
    text = f"query_id;item_id;rank;score;skin_tone\nq1;a;1;0.5;1\nq1;b;2;{score};2\n"
    with pytest.raises(InputError, match=f"row 3, column 'score': .*{words}"):
        read(tmp_path, text)


def test_a_column_of_empty_scores_is_no_column(tmp_path: Path) -> None:
    assert read(tmp_path, "query_id,item_id,rank,score,skin_tone,query_group\nq1,a,1,,1,x\nq2,b,1,,2,y\n").score is None


def test_scores_that_go_against_the_ranks_are_counted(tmp_path: Path) -> None:
    text = "query_id,item_id,rank,score,skin_tone,query_group\n" + "".join(
        f"q{query},i{query}{rank},{rank},{score},1,{'xy'[query % 2]}\n"
        for query in range(4)
        for rank, score in enumerate((0.9, 0.5, 0.7 if query == 2 else 0.1), start=1)
    )
    assert codes(read(tmp_path, text))["ranks-against-scores"] == 1


def test_unequal_lists_are_counted_and_said_if_they_go_with_the_group(tmp_path: Path) -> None:
    sizes = {"x": [5] * 12, "y": [2] * 11 + [5]}
    rows = [
        f"{group}{number},{group}{number}-{rank},{rank},{group},{rank}"
        for group, of_group in sizes.items()
        for number, size in enumerate(of_group)
        for rank in range(1, size + 1)
    ]
    found = read(tmp_path, _rows(*rows))
    assert codes(found)["unequal-k"] == 11
    told = next(caution for caution in found.cautions if caution.code == "k-by-group")
    assert "x 5.0, y 2.2" in told.message
    cut = codes(read(tmp_path, _rows(*rows), k=2))
    assert "unequal-k" not in cut
    assert "k-by-group" not in cut


def test_items_that_come_again_small_groups_and_queries_that_find_themselves_are_counted(tmp_path: Path) -> None:
    found = read(tmp_path, _rows("a,a,1,x,1", "a,b,2,x,2", "b,a,1,y,1"), catalog="item_id,skin_tone\na,1\nb,2\n")
    counted = codes(found)
    assert counted["repeated-items"] == 1
    assert counted["small-groups"] == 2
    assert counted["query-finds-itself"] == 1
    assert counted["attribute-twice"] == 1


def test_rows_without_an_item_column_are_items_of_their_own(tmp_path: Path) -> None:
    found = read(tmp_path, "query_id,rank,query_group,skin_tone\nq1,1,x,1\nq2,1,y,1\n")
    assert found.item_ids == ("row 2", "row 3")
    assert codes(found)["items-without-ids"] == 2


def test_declared_no_results_are_left_out_and_counted(tmp_path: Path) -> None:
    found = read(tmp_path, _rows("q1,a,1,x,1", "q1,-1,2,x,", "q2,b,1,y,3"), sentinels=("-1",))
    assert found.excluded == {"no result (item -1)": 1}
    assert len(found.item) == 2


def test_strata_come_from_queries_and_items_and_must_be_constant(tmp_path: Path) -> None:
    text = (
        "query_id,item_id,rank,query_group,skin_tone,season\nq1,a,1,x,1,summer\nq1,b,2,x,2,summer\nq2,a,1,y,1,winter\n"
    )
    found = read(tmp_path, text, strata=("season",))
    assert [found.stratum_names[number] for number in found.query_stratum] == ["summer", "winter"]
    with pytest.raises(InputError, match="'season': The stratum is constant neither within queries nor within items"):
        read(tmp_path, text.replace("2,summer", "2,winter"), strata=("season",))
    with pytest.raises(InputError, match="'brand': The column for strata is missing"):
        read(tmp_path, text, strata=("brand",))
