"""What a person reads where labels, groups or settings are not as they should be: on the form, a terminal, in a notebook."""

from pathlib import Path

import pandas as pd
import pytest
from auditor.audits import parity
from auditor.audits.parity.data import MISSING, Results
from auditor.audits.parity.settings import checked, named
from auditor.audits.parity.spec import ParitySpec
from auditor.errors import InputError
from tests.audits.parity.files import RESULTS, codes, preview, read
from tests.audits.parity.test_run import rows_of
from tests.command import auditor

HEADER = "query_id,item_id,rank,query_group,skin_tone\n"
BAD = HEADER + "q1,a,1,dark,4\nq1,b,x,dark,5\nq2,a,1,light,4\nq2,c,2,light,unknown\n"


def message(found: Results, code: str) -> str:
    return next(caution.message for caution in found.cautions if caution.code == code)


# ---- labels and groups that other rows of the same item or query give


@pytest.mark.parametrize("label", ["", "uncertain", "-1"])
def test_labels_taken_from_another_row_of_the_item_are_counted(tmp_path: Path, label: str) -> None:
    text = HEADER + f"q1,a,1,dark,{label}\nq1,b,2,dark,5\nq2,a,1,light,4\nq3,a,1,light,{label}\nq3,c,2,light,{label}\n"
    found = read(tmp_path, text, sentinels=("-1",))
    assert found.attributes["skin_tone"].level.tolist() == [3, 4, MISSING]
    assert codes(found)["labels-filled"] == 2
    assert "in another row: 2 (items: 1)" in message(found, "labels-filled")
    # Only the item that has no value at all counts as without one.
    assert codes(found)["missing-labels"] == 1
    of_none = {"uncertain": "uncertain", "-1": "sentinels"}.get(label)
    assert of_none is None or codes(found)[of_none] == 1


def test_complete_labels_are_not_said_to_be_filled(tmp_path: Path) -> None:
    assert "labels-filled" not in codes(read(tmp_path))


def test_a_group_taken_from_another_row_of_the_query_is_counted(tmp_path: Path) -> None:
    found = read(tmp_path, RESULTS.replace("q1,b,2,dark", "q1,b,2,"))
    assert found.query_group.tolist() == [0, 1]
    assert codes(found)["groups-filled"] == 1


def test_a_stratum_taken_from_another_row_is_counted(tmp_path: Path) -> None:
    text = (
        HEADER.replace("skin", "brand,skin") + "q1,a,1,dark,x,4\nq1,b,2,dark,,5\nq2,a,1,light,y,4\nq2,c,2,light,y,9\n"
    )
    found = read(tmp_path, text, strata=("brand",))
    assert [found.stratum_names[number] for number in found.query_stratum] == ["x", "y"]
    assert codes(found)["strata-filled"] == 1


def test_groups_that_differ_in_capitals_or_blanks_are_named_with_the_fix(tmp_path: Path) -> None:
    rows = [f"q{n},i{n},1,{group},4" for n, group in enumerate(["LIGHT", "light", "Li ght", "dark"])]
    found = read(tmp_path, HEADER + "\n".join(rows))
    assert found.group_names == ("LIGHT", "Li ght", "dark", "light")
    assert "'LIGHT' and 'Li ght' and 'light'" in message(found, "groups-alike")
    assert "merge them: 'LIGHT' with 'light'" in message(found, "groups-alike")
    merged = read(tmp_path, HEADER + "\n".join(rows), merge_groups={"LIGHT": "light", "Li ght": "light"})
    assert merged.group_names == ("dark", "light")
    assert "groups-alike" not in codes(merged)


# ---- two ways of writing tones in one column


@pytest.mark.parametrize("scale", ["ordinal", "nominal"])
@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (
            ("MST 4", "4", "6"),
            ["'MST 4' in row 2", "'4' in row 3 (rows: 2)", "name the levels 1 to 10 in “Levels”"],
        ),
        (("4", "IV", "6"), ["'IV' in row 3", "'4' in row 2 (rows: 2)", "name the levels I to VI in “Levels”"]),
        (("type 4", "5", "II"), ["'type 4' in row 2 (rows: 2)", "'5' in row 3"]),
        (("MST 4", "IV", "6"), ["Monk tones such as 'MST 4' in row 2", "Fitzpatrick types such as 'IV' in row 3"]),
        (("IV", "8", "9"), ["Monk tones such as '8' in row 3", "Fitzpatrick types such as 'IV' in row 2"]),
    ],
)
def test_two_ways_of_writing_tones_are_refused_with_the_first_row_of_each(
    tmp_path: Path, labels: tuple[str, str, str], words: list[str], scale: str
) -> None:
    rows = zip(("q1,a,1,dark", "q1,b,2,dark", "q2,c,1,light"), labels, strict=True)
    text = HEADER + "\n".join(",".join(row) for row in rows)
    with pytest.raises(InputError, match="mixes two scales") as refused:
        read(tmp_path, text, scale=scale)
    for word in ["results.csv, row", "column 'skin_tone'", *words]:
        assert word in str(refused.value)
    assert preview(tmp_path, text, scale=scale).n_problems == 1  # one problem, not one a row


@pytest.mark.parametrize(
    ("labels", "settings"),
    [
        (("MST 4", "5", "10"), {}),  # 10 can only be a Monk tone
        (("MST 4", "monk 5", "Monk 6"), {}),
        (("I", "type 5", "FST 6"), {}),
        (("4", "5", "6"), {}),
        (("IV", "5", "6"), {"levels": ("I", "II", "III", "IV", "V", "VI")}),
        (("MST 4", "5", "6"), {"levels": tuple(str(tone) for tone in range(1, 11))}),
        (("I", "4", "other"), {"scale": "nominal"}),  # names
    ],
)
def test_tones_of_one_scale_are_taken(tmp_path: Path, labels: tuple[str, ...], settings: dict[str, object]) -> None:
    text = HEADER + "\n".join(f"q{n},i{n},1,{'ab'[n % 2]},{label}" for n, label in enumerate(labels))
    assert (read(tmp_path, text, **settings).attributes["skin_tone"].level != MISSING).all()


# ---- where a message is read


def test_the_form_names_its_fields_and_counts_problems(tmp_path: Path) -> None:
    with pytest.raises(InputError) as refused:
        read(tmp_path, BAD)
    assert str(refused.value).endswith("There are 2 problems in all.")
    assert "preview" not in str(refused.value)  # a run that failed has none beside it
    assert "“Values that mean missing”" in preview(tmp_path, BAD).problems[-1]


def test_the_command_lists_problems_and_names_options(tmp_path: Path) -> None:
    path = tmp_path / "results.csv"
    path.write_text(BAD)
    done = auditor("parity", path, "--scale", "ordinal", "--case", tmp_path / "case")
    assert done.returncode == 2
    first, second, count = done.stderr.splitlines()
    assert first.startswith("results.csv, row 3, column 'rank'")
    assert "row 5, column 'skin_tone'" in second
    assert "add it to --missing; if it is a value, name it under --level" in second
    assert count == "There are 2 problems in all."
    assert "preview" not in done.stderr
    assert not (tmp_path / "case").exists()


def test_the_command_lists_the_first_ten_kinds_of_problem(tmp_path: Path) -> None:
    path = tmp_path / "results.csv"
    path.write_text(
        HEADER + "".join(f"q{n},i{n},{n},{'ab'[n % 2]},level{n % 9}x\nq{n},i{n},{n},,4\n" for n in range(30))
    )
    told = auditor("parity", path, "--scale", "ordinal", "--level", "level").stderr.splitlines()
    assert len(told) == 11
    assert told[-1] == "There are 60 problems in all; the first 10 kinds are shown."


def test_the_command_says_a_problem_of_many_rows_once(tmp_path: Path) -> None:
    path = tmp_path / "results.csv"
    path.write_text(HEADER + "".join(f"q{n},i{n},x,dark,4\n" for n in range(1_200)))
    told = auditor("parity", path, "--scale", "ordinal").stderr.splitlines()
    assert len(told) == 2
    assert told[0].startswith("results.csv, row 2, column 'rank': The rank is no whole number")
    assert told[0].endswith("The same in at least 999 more rows.")
    assert told[1] == "There are 1,200 problems in all."


def test_a_notebook_names_keywords_and_its_tables() -> None:
    table = pd.DataFrame(rows_of())
    table.loc[3, "tone"] = "n/a"
    with pytest.raises(InputError, match=r"^results, row 4, column 'tone'.* add it to sentinels; .* under levels\.$"):
        parity.test(table, attribute="tone")


def test_a_misspelt_setting_is_answered_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"no setting of this name \(found 'permutation'\)\. Did you mean permutations\?"
    ):
        parity.test(pd.DataFrame(rows_of()), permutation=99)
    with pytest.raises(InputError, match=r"^strata: It takes a list of names .*Write \['brand'\]\.$"):
        parity.test(pd.DataFrame(rows_of()), strata="brand")
    with pytest.raises(InputError, match=r"name another column in mapping=\{field: column\}"):
        parity.test(pd.DataFrame(rows_of()).drop(columns="query_id"), attribute="tone")
    with pytest.raises(InputError, match=r"^“Scale”: .*Did you mean 'ordinal'\?$"):
        checked({"scale": "ordinel"})
    path = tmp_path / "results.csv"
    path.write_text(RESULTS)
    told = auditor("parity", path, "--scale", "ordinel").stderr
    assert told.startswith("--scale: ")
    assert "Did you mean 'ordinal'?" in told


def test_every_setting_has_a_title_of_its_own() -> None:
    titles = [named(field) for field in ParitySpec.model_fields]
    assert len(set(titles)) == len(titles)
    assert named("preset") == "“Format”"  # as the readers write it


# ---- columns that are not there


def test_columns_that_exist_are_listed_with_the_nearest(tmp_path: Path) -> None:
    text = RESULTS.replace("rank,", "rank,brand,").replace(",1,", ",1,x,").replace(",2,", ",2,y,")
    with pytest.raises(InputError, match=r"column 'brnd'.*The file has: .*'brand'.*Did you mean 'brand'\?"):
        read(tmp_path, text, strata=("brnd",))
    with pytest.raises(InputError, match=r"Did you mean 'skin_tone'\?"):
        read(tmp_path, text, attribute="skintone")


def test_a_group_is_missed_in_the_table_of_queries_first(tmp_path: Path) -> None:
    queries = "query_id,category\nq1,x\nq2,y\n"
    with pytest.raises(InputError) as refused:
        read(tmp_path, RESULTS, queries=queries, query_group="categry")
    assert str(refused.value).startswith("queries.csv, column 'categry'")
    for words in (
        "in none of the files",
        "queries.csv has: 'query_id', 'category'.",
        "results.csv has: ",
        "'category'?",
    ):
        assert words in str(refused.value)


def test_target_shares_of_levels_written_otherwise_are_one_problem(tmp_path: Path) -> None:
    text = "query_id,item_id,rank,gender\nq1,a,1,woman\nq1,b,2,man\nq2,c,1,woman\nq2,d,2,man\n"
    with pytest.raises(InputError) as refused:
        read(tmp_path, text, scale="nominal", attribute="gender", shares="query_id,women\nq1,0.4\nq2,0.6\n")
    for words in ("shares.csv, row 2", "no share is given for 'man', 'woman'", "'women' is 'woman'"):
        assert words in str(refused.value)
    assert "problems in all" not in str(refused.value)


def test_a_rank_that_was_mapped_to_nothing_is_one_problem(tmp_path: Path) -> None:
    with pytest.raises(InputError) as refused:
        read(tmp_path, RESULTS, mapping={"rank": "rnk"})
    assert "problems in all" not in str(refused.value)
