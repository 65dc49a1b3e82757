"""What a parity run reads, and what it says of files that contradict themselves or each other."""

from pathlib import Path

import numpy as np
import pytest
from auditor.audits import InputFile
from auditor.audits.parity import inputs
from auditor.audits.parity.data import ITA_CLASSES, MISSING
from auditor.audits.parity.spec import ParitySpec
from auditor.errors import InputError
from tests.audits.files import written
from tests.audits.parity.files import CATALOG, RESULTS, codes, preview, read


def test_a_long_table_becomes_numbered_slots(tmp_path: Path) -> None:
    found = read(tmp_path)
    assert found.query_ids == ("q1", "q2")
    assert found.item_ids == ("a", "b", "c")
    assert found.query.tolist() == [0, 0, 1, 1]
    assert found.item.tolist() == [0, 1, 0, 2]
    assert found.rank.tolist() == [1, 2, 1, 2]
    assert found.group_names == ("dark", "light")
    assert found.query_group.tolist() == [0, 1]
    assert found.attributes["skin_tone"].scale.levels == (*"123456789", "10")
    assert found.attributes["skin_tone"].level.tolist() == [3, 4, 9]
    assert not found.in_catalog.any()


def test_slots_of_a_query_stand_together_by_rank_whatever_the_order_of_the_file(tmp_path: Path) -> None:
    header, *rows = RESULTS.splitlines()
    found = read(tmp_path, "\n".join([header, *rows[::-1]]))
    assert found.query_ids == ("q2", "q1")
    assert found.rank.tolist() == [1, 2, 1, 2]
    assert [found.item_ids[item] for item in found.item] == ["a", "c", "a", "b"]


def test_a_catalog_gives_items_attributes_strata_and_the_items_that_queries_are(tmp_path: Path) -> None:
    found = read(tmp_path, "query_id,item_id,rank\na,b,1\nb,a,1\n", catalog=CATALOG, strata=("brand",))
    assert found.item_ids == ("a", "b", "c")
    assert found.in_catalog.all()
    assert found.query_item.tolist() == [0, 1]
    assert found.attributes["skin_tone"].level.tolist() == [3, 4, 9]
    assert [found.stratum_names[number] for number in found.item_stratum] == ["x", "x", "y"]
    assert found.query_stratum.tolist() == found.item_stratum[:2].tolist()  # a query is in its item's stratum


def test_a_table_of_queries_gives_groups_to_files_that_have_none(tmp_path: Path) -> None:
    queries = "query_id,query_group,query_item\n7,B,c\n8,A,a\n"
    run = "7 Q0 a 1 0.9 engine\n7 Q0 b 2 0.8 engine\n8 Q0 c 1 0.7 engine\n"
    found = read(tmp_path, run, "run.txt", catalog=CATALOG, queries=queries)
    assert found.group_names == ("A", "B")
    assert found.query_group.tolist() == [1, 0]
    assert found.query_item.tolist() == [2, 0]
    assert found.score is not None
    assert found.score.tolist() == [0.9, 0.8, 0.7]


def test_declared_order_merging_and_small_groups_are_applied_and_counted(tmp_path: Path) -> None:
    rows = [f"q{n},i{n},1,{group},1" for n, group in enumerate(["low"] * 5 + ["mid"] * 4 + ["high"] * 5 + ["rare", ""])]
    text = "query_id,item_id,rank,query_group,skin_tone\n" + "\n".join(rows)
    found = read(
        tmp_path, text, group_order=("low", "high", "rare"), merge_groups={"mid": "high"}, smallest_group_share=0.1
    )
    assert found.group_names == ("low", "high")
    assert np.bincount(found.query_group + 1).tolist() == [2, 5, 9]
    assert found.excluded == {"query without a group": 1, "group 'rare': less than 10% of the queries": 1}
    assert codes(found)["group-left-out"] == 1
    assert codes(found)["queries-without-group"] == 1


@pytest.mark.parametrize(
    ("change", "settings", "words"),
    [
        (("query_id,", "question,"), {}, ["column 'query_id'", "missing", "'question'"]),
        (("rank,", "number,"), {}, ["rank", "score", "'number'"]),
        (("q1,b,2", "q1,a,2"), {}, ["row 3", "'item_id'", "second time, after row 2", "'a'"]),
        (("q1,b,2", "q1,b,1"), {}, ["row 3", "'rank'", "second time, after row 2"]),
        (("q1,b,2", "q1,b,-1"), {}, ["row 3", "'rank'", "negative", "'-1'"]),
        (("q1,b,2", "q1,b,1.5"), {}, ["row 3", "'rank'", "no whole number"]),
        (("q1,b,2", "q1,b,"), {}, ["row 3", "'rank'", "missing"]),
        (("q1,b,", ",b,"), {}, ["row 3", "'query_id'", "empty"]),
        (("q1,b,2,dark", "q1,b,2,light"), {}, ["row 3", "'query_group'", "'dark' first", "'light'"]),
        (("light", "dark"), {}, ["'query_group'", "1 group", "two"]),
        (("q2,a,1,light,4", "q2,a,1,light,6"), {}, ["row 4", "'skin_tone'", "row 2: '4'", "'6'"]),
        (("dark,5", "dark,IV"), {}, ["row 3", "mixes two scales", "'IV'"]),
        (("dark,5", "dark,fiv"), {"levels": ("four", "five", "10", "4")}, ["row 3", "'fiv'", "four", "'five'"]),
        (("dark,5", "dark,-1"), {}, ["row 3", "'-1'", "“Values that mean missing”"]),
        (("dark,5", "dark,n/a"), {"scale": "nominal"}, ["row 3", "'n/a'", "“Values that mean missing”", "“Levels”"]),
        (("dark,5", "dark,5,6"), {}, ["row 3", "6 cells", "5 columns"]),
        (("q1,b,2", "q1,-1,2"), {}, ["row 3", "'item_id'", "FAISS", "“Values that mean missing”"]),
        (("q1,b,2", "q1,b\0,2"), {}, ["row 3", "NUL"]),
    ],
)
def test_what_is_wrong_is_named_with_its_place_and_the_fix(
    tmp_path: Path, change: tuple[str, str], settings: dict[str, object], words: list[str]
) -> None:
    with pytest.raises(InputError) as refused:
        read(tmp_path, RESULTS.replace(*change), **settings)
    for word in ["results.csv", *words]:
        assert word in str(refused.value)


def test_ordinal_labels_without_a_known_order_are_refused_once(tmp_path: Path) -> None:
    text = RESULTS.replace(",4", ",low").replace(",5", ",mid").replace(",10", ",high")
    with pytest.raises(InputError, match="order of the levels is not known"):
        read(tmp_path, text)
    found = read(tmp_path, text, levels=("low", "mid", "high"))
    assert found.attributes["skin_tone"].level.tolist() == [0, 1, 2]
    assert read(tmp_path, text, scale="nominal").attributes["skin_tone"].scale.levels == ("high", "low", "mid")


@pytest.mark.parametrize(
    ("labels", "levels"),
    [
        (("MST 4", "monk 5", "Monk 10"), [3, 4, 9]),
        (("type IV", "v", "Fitzpatrick VI"), [3, 4, 5]),
        (("type 4", "fst-5", "I"), [3, 4, 0]),
        (("4.0", "5.0", "10.0"), [3, 4, 9]),
    ],
)
def test_monk_and_fitzpatrick_are_recognised_however_they_are_written(
    tmp_path: Path, labels: tuple[str, ...], levels: list[int]
) -> None:
    four, five, ten = labels
    text = RESULTS.replace(",4", f",{four}").replace(",5", f",{five}").replace(",10", f",{ten}")
    assert read(tmp_path, text).attributes["skin_tone"].level.tolist() == levels


def test_whole_numbers_up_to_six_are_said_to_be_read_as_monk(tmp_path: Path) -> None:
    found = read(tmp_path, RESULTS.replace(",10", ",6"))
    assert any("Fitzpatrick" in caution.message for caution in found.cautions if caution.code == "scale")
    fitzpatrick = read(tmp_path, RESULTS.replace(",10", ",6"), levels=("I", "II", "III", "IV", "V", "VI"))
    assert fitzpatrick.attributes["skin_tone"].level.tolist() == [3, 4, 5]


def test_declared_sentinels_and_uncertain_are_missing_and_counted(tmp_path: Path) -> None:
    found = read(tmp_path, RESULTS.replace(",5", ",-1").replace(",10", ",Uncertain"), sentinels=("-1",))
    assert found.attributes["skin_tone"].level.tolist() == [3, MISSING, MISSING]
    assert codes(found)["sentinels"] == codes(found)["uncertain"] == 1
    told = next(caution for caution in found.cautions if caution.code == "missing-labels")
    assert told.count == 2
    assert "by group: dark 50.0%, light 50.0%" in told.message
    assert "ranks 1 to 10 50.0%" in told.message
    nominal = read(tmp_path, RESULTS.replace(",10", ",uncertain"), scale="nominal")
    assert "uncertain" in nominal.attributes["skin_tone"].scale.levels


COLOURS = "item_id,tone,r,g,b\na,#d7bd96,215,189,150\nb,#604134,96,65,52\nc,#f6ede4,246,237,228\n"


def test_degrees_come_from_degrees_hex_and_rgb_alike(tmp_path: Path) -> None:
    lists = "query_id,item_id,rank\nq1,a,1\nq1,b,2\nq2,c,1\n"
    by_hex = read(tmp_path, lists, catalog=COLOURS, scale="ita", colour="hex").attributes["tone"]
    by_rgb = read(tmp_path, lists, catalog=COLOURS, scale="ita", colour="rgb", attribute="r,g,b").attributes["r, g, b"]
    assert by_hex.value is not None
    assert by_rgb.value is not None
    np.testing.assert_allclose(by_hex.value, by_rgb.value)
    degrees = "".join(f"{item},{value!r}\n" for item, value in zip("abc", by_hex.value.tolist(), strict=True))
    by_degrees = read(tmp_path, lists, catalog=f"item_id,ita\n{degrees}", scale="ita").attributes["ita"]
    assert by_degrees.value is not None
    np.testing.assert_allclose(by_degrees.value, by_hex.value)
    assert by_degrees.scale.levels == ITA_CLASSES
    assert by_degrees.level.tolist() == by_hex.level.tolist()


@pytest.mark.parametrize(
    ("cell", "words"),
    [
        ("#d7bd96", "mixes two scales"),
        ("95", "between -90 and 90"),
        ("nan", "Values that mean missing"),
        ("brown", "no number"),
    ],
)
def test_a_cell_that_is_no_angle_is_named(tmp_path: Path, cell: str, words: str) -> None:
    catalog = f"item_id,ita\na,41.5\nb,{cell}\nc,20\n"
    with pytest.raises(InputError, match=r"catalog\.csv, row 3") as refused:
        read(tmp_path, "query_id,item_id,rank\nq,a,1\nr,c,1\n", catalog=catalog, scale="ita")
    assert words in str(refused.value)


def test_minus_one_as_the_only_negative_angle_is_asked_about(tmp_path: Path) -> None:
    lists = "query_id,item_id,rank\nq,a,1\nr,b,1\n"
    with pytest.raises(InputError, match="Values that mean missing"):
        read(tmp_path, lists, catalog="item_id,ita\na,41.5\nb,-1\n", scale="ita")
    assert (
        read(tmp_path, lists, catalog="item_id,ita\na,-41.5\nb,-1\n", scale="ita").attributes["ita"].value is not None
    )


@pytest.mark.parametrize(
    ("catalog", "words"),
    [
        ("item_id,skin_tone\na,4\nb,5\n", ["row 5", "'c'", "not in the catalog"]),
        ("item_id,skin_tone\na,4\nb,5\nc,6\na,4\n", ["catalog.csv, row 5", "second time, after row 2"]),
        ("item_id,skin_tone\na,4\nb,5\nc,11\n", ["catalog.csv, row 4", "'11'", "unknown"]),
        ("sku_no,skin_tone\na,4\n", ["catalog.csv", "'item_id'", "missing"]),
    ],
)
def test_a_catalog_that_contradicts_is_refused(tmp_path: Path, catalog: str, words: list[str]) -> None:
    with pytest.raises(InputError) as refused:
        read(tmp_path, catalog=catalog)
    for word in words:
        assert word in str(refused.value)


def test_a_query_without_results_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"queries.csv, row 4.*no results.*'q3'"):
        read(tmp_path, queries="query_id,query_group\nq1,x\nq2,y\nq3,x\n")


@pytest.mark.parametrize(
    "shares",
    [
        "query_id,man,woman\nq1,0.25,0.75\nq2,0.5,0.5\n",
        "query_id,woman\nq1,0.75\nq2,0.5\n",
        "query_id,level,share\nq1,man,0.25\nq1,woman,0.75\nq2,woman,0.5\nq2,man,0.5\n",
    ],
)
def test_target_shares_are_read_wide_and_long(tmp_path: Path, shares: str) -> None:
    lists = "query_id,item_id,rank,gender\nq1,a,1,man\nq1,b,2,woman\nq2,c,1,man\n"
    found = read(tmp_path, lists, shares=shares, scale="nominal")
    assert found.shares is not None
    np.testing.assert_allclose(found.shares, [[0.25, 0.75], [0.5, 0.5]])


def test_one_target_for_all_queries(tmp_path: Path) -> None:
    lists = "query_id,item_id,rank,gender\nq1,a,1,man\nq1,b,2,woman\nq2,c,1,man\n"
    found = read(tmp_path, lists, shares="man,woman\n0.4,0.6\n", scale="nominal")
    assert found.shares is not None
    np.testing.assert_allclose(found.shares, [[0.4, 0.6], [0.4, 0.6]])
    ita = read(
        tmp_path,
        lists.replace(",man", ",30").replace(",woman", ",20"),
        shares="target_mean\n28.5\n",
        scale="ita",
        attribute="gender",
    )
    assert ita.target_mean == 28.5
    assert ita.shares is None


@pytest.mark.parametrize(
    ("shares", "words"),
    [
        ("query_id,man,woman\nq1,25,75\nq2,50,50\n", ["row 2", "100", "Divide percentages"]),
        ("query_id,man,woman\nq1,0.5,-0.5\nq2,0.5,0.5\n", ["row 2", "'woman'", "no share"]),
        ("query_id,man,woman\nq1,0.5,0.5\nq9,0.5,0.5\n", ["row 3", "'q9'", "no results"]),
        ("query_id,man,woman\nq1,0.5,0.5\nq1,0.5,0.5\n", ["row 3", "second time"]),
    ],
)
def test_target_shares_that_are_wrong_are_named(tmp_path: Path, shares: str, words: list[str]) -> None:
    lists = "query_id,item_id,rank,gender\nq1,a,1,man\nq1,b,2,woman\nq2,c,1,man\n"
    with pytest.raises(InputError, match=r"shares\.csv") as refused:
        read(tmp_path, lists, shares=shares, scale="nominal")
    for word in words:
        assert word in str(refused.value)


def test_annotations_of_several_raters_become_one_value_an_item(tmp_path: Path) -> None:
    lists = "query_id,item_id,rank,query_group\nq1,a,1,x\nq1,b,2,x\nq2,c,1,y\n"
    said = "item_id,rater,value\na,Ann,4\na,Ben,6\na,Cem,5\nb,Ann,uncertain\nc,Ann,9\n"
    found = read(tmp_path, lists, annotations=said)
    attribute = found.attributes["annotation"]
    assert attribute.level.tolist() == [4, MISSING, 8]
    assert codes(found)["annotations_uncertain"] >= 1
    with pytest.raises(InputError, match=r"annotations.csv, row 4.*unknown.*'eleven'"):
        read(tmp_path, lists, annotations=said.replace("a,Cem,5", "c,Cem,3").replace("c,Cem,3", "b,Cem,eleven"))


_SAID = "item_id,rater,monk\na,Ann,4\na,Ben,6\nb,Ann,3\nc,Ben,9\n"
_GROUPED = "query_id,item_id,rank,query_group\nq1,a,1,x\nq1,b,2,x\nq2,c,1,y\n"


def test_an_expert_who_is_no_rater_is_named_with_the_one_that_was_meant(tmp_path: Path) -> None:
    asked = {"attribute": "monk", "consensus": "expert"}
    with pytest.raises(InputError, match=r"Raters are: 'Ann', 'Ben'. Did you mean 'Ben'") as refused:
        read(tmp_path, _GROUPED, annotations=_SAID, expert="Benn", **asked)
    assert str(refused.value).startswith("annotations.csv, column 'rater': “Expert”: this is none of the raters")
    found = read(tmp_path, _GROUPED, annotations=_SAID, expert="Ben", **asked)
    assert found.attributes["monk"].level.tolist() == [5, 2, 8]


def test_what_raters_said_may_stand_under_the_name_of_the_attribute(tmp_path: Path) -> None:
    found = read(tmp_path, _GROUPED, annotations=_SAID, attribute="monk")
    assert found.attributes["monk"].level.tolist() == [3, 2, 8]
    # A name that the file does not have is the attribute's; labels then stand under a usual one.
    usual = read(tmp_path, _GROUPED, annotations=_SAID.replace("monk", "label"), attribute="monk")
    assert usual.attributes["monk"].level.tolist() == [3, 2, 8]
    with pytest.raises(InputError, match=r"annotations.csv, column 'mnok': .*“Attribute”.* Did you mean 'monk'"):
        read(tmp_path, _GROUPED, annotations=_SAID, attribute="mnok")


def test_results_before_anybody_has_annotated_them(tmp_path: Path) -> None:
    (tmp_path / "looks").mkdir()
    (tmp_path / "looks" / "one.png").touch()
    file = written(tmp_path, "lists.csv", "query_id,item_id,rank,image\nq1,a,1,looks/one.png\nq2,b,1,two.png\n")
    found = inputs.read_slots({"results": file}, ParitySpec())
    assert found.attributes == {}
    assert found.images == {0: str(tmp_path.resolve() / "looks" / "one.png")}
    assert codes(found)["images-missing"] == 1


def test_images_are_found_by_id_in_the_folder_that_was_named(tmp_path: Path) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    (folder / "b.png").touch()
    found = read(tmp_path, image_folder=str(folder))
    assert found.images == {1: str(folder / "b.png")}
    assert codes(read(tmp_path, image_folder=str(folder / "gone")))["images-missing"] == 3


def test_without_a_folder_or_a_column_of_images_none_is_looked_for(tmp_path: Path) -> None:
    for place in ("one", "two"):
        (tmp_path / place).mkdir()
        (tmp_path / place / "a.png").touch()
    found = read(tmp_path)
    assert (found.images, found.image_folder) == ({}, "")
    assert "images-missing" not in codes(found)


@pytest.mark.parametrize(
    "path", ["../secret.png", "/etc/hostname", "looks/../../secret.png", "link.png", "links/x.png"]
)
def test_an_image_outside_the_folder_is_refused(tmp_path: Path, path: str) -> None:
    folder = tmp_path / "files"
    (folder / "looks").mkdir(parents=True)
    (tmp_path / "secret.png").touch()
    (tmp_path / "x.png").touch()
    (folder / "link.png").symlink_to(tmp_path / "secret.png")
    (folder / "links").symlink_to(tmp_path)
    text = f"query_id,item_id,rank,query_group,skin_tone,image\nq1,a,1,x,1,\nq2,b,1,y,2,{path}\n"
    with pytest.raises(InputError, match="row 3, column 'image': the image lies outside the folder"):
        read(folder, text)


def test_two_columns_that_could_be_a_field_ask_for_a_mapping(tmp_path: Path) -> None:
    text = (
        RESULTS.replace("item_id", "sku,docid").replace(",a,", ",a,A,").replace(",b,", ",b,B,").replace(",c,", ",c,C,")
    )
    with pytest.raises(InputError, match="Several columns could be item_id"):
        read(tmp_path, text)
    assert read(tmp_path, text, mapping={"item_id": "docid"}).item_ids == ("A", "B", "C")


def test_a_mapping_to_a_column_that_no_file_has_is_named(tmp_path: Path) -> None:
    for field in ("query_id", "item_id", "rank", "attribute", "query_group"):
        with pytest.raises(InputError, match=f"column 'nowhere': The column for {field} is missing"):
            read(tmp_path, mapping={field: "nowhere"})
    # Ids may be called differently in two files.
    found = read(tmp_path, catalog=CATALOG.replace("item_id", "garment"), mapping={"item_id": "garment"})
    assert found.item_ids == ("a", "b", "c")


def test_preview_lists_every_problem_and_counts_the_whole_file(tmp_path: Path) -> None:
    rows = [f"q{n},i{n},{'one' if n % 2 else 1},dark,5" for n in range(3_000)]
    shown = preview(
        tmp_path, "query_id,item_id,rank,query_group,skin_tone\n" + "\n".join(rows) + "\nq,i,1,dark,pale\nx\n"
    )
    assert shown.n_rows == 3_001
    assert shown.n_problems == 1_502
    assert len(shown.problems) == 1_000
    assert len(shown.rows) == 50
    assert shown.rows[0] == {
        "row": "2", "query_id": "q0", "item_id": "i0", "rank": "1", "query_group": "dark", "attribute": "5",
    }  # fmt: skip
    assert all(problem.startswith("results.csv, row ") for problem in shown.problems)


def test_preview_shows_columns_and_rows_even_where_no_column_is_recognised(tmp_path: Path) -> None:
    shown = preview(tmp_path, "frage,bild,platz\nq1,a,1\n")
    assert shown.columns == ("frage", "bild", "platz")
    assert shown.mapping == {}
    assert shown.n_problems == 2
    assert shown.n_rows == 1
    mapped = preview(
        tmp_path, "frage,bild,platz\nq1,a,1\n", mapping={"query_id": "frage", "item_id": "bild", "rank": "platz"}
    )
    assert mapped.n_problems == 0
    assert mapped.mapping == {"query_id": "frage", "item_id": "bild", "rank": "platz"}


def test_preview_says_where_another_scale_fits(tmp_path: Path) -> None:
    assert "ordinal would fit" in preview(tmp_path, RESULTS, scale="nominal").format
    assert "would fit" not in preview(tmp_path, RESULTS, scale="ordinal").format


@pytest.mark.parametrize(
    ("role", "text"),
    [
        ("catalog", CATALOG),
        ("queries", "query_id,query_group\nq1,a\nq2,b\n"),
        ("shares", "query_id,man,woman\nq1,0.4,0.6\n"),
        ("annotations", "item_id,rater,value\na,Ann,4\nb,Ann,uncertain\n"),
    ],
)
def test_every_role_has_a_preview(tmp_path: Path, role: str, text: str) -> None:
    shown = preview(tmp_path, text, role=role)
    assert (shown.n_problems, shown.problems) == (0, ())
    assert shown.n_rows == text.count("\n") - 1
    assert shown.mapping


def test_one_row_to_look_at(tmp_path: Path) -> None:
    file = written(tmp_path, "results.csv", RESULTS)
    assert dict(inputs.unit(file, {}, 3))["item_id"] == "b"
    assert [row for row, _ in inputs.units(file, {}, {2, 5, 99})] == [2, 5]
    with pytest.raises(InputError, match="row 99"):
        inputs.unit(file, {}, 99)


def test_the_image_searches_are_read_with_their_gaps_counted(data_folder: Path) -> None:
    file = InputFile(data_folder / "image_search_gender" / "results.csv", "results.csv", "")
    found = inputs.read({"results": file}, ParitySpec(attribute="image_gender"))
    assert (found.n_queries, len(found.item)) == (45, 3_262)
    counted = codes(found)
    assert counted["ranks-from-0"] == 45
    assert counted["rank-gaps"] == 45
    assert counted["items-without-ids"] == 3_262
