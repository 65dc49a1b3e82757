"""`auditor parity`, `power` and `monitor` as people use them: output, exit codes, reports of hostile files."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from auditor import tasks_parity
from auditor.audits.parity.verdict import amount
from auditor.case import Case
from auditor.cli_parity import prepared
from auditor.report.content import collect
from auditor.report.html import html as make_html
from auditor.report.pdf import pdf as make_pdf
from auditor.report.pictures import export
from auditor.resources import resource
from auditor.runs import worker
from auditor.runs.directory import RunDirectory
from PIL import Image
from tests.audits.parity.test_run import ORDERED, TONES, rows_of, write
from tests.command import auditor
from tests.report.test_report import Page

SAMPLE = resource("samples", "parity")
TONED = ("parity", str(SAMPLE / "results-fair.csv"), "--catalog", str(SAMPLE / "catalog.csv"), "--attribute", "monk")
KEYS = {"p_value", "p_interval", "statistic", "effect", "effect_name", "ci_low", "ci_high", "verdict"}
KEYS |= {"minimum_detectable_effect", "n_queries", "n_items", "excluded", "warnings"}


@pytest.mark.slow
def test_parity_prints_one_json_object_and_the_case_verifies(tmp_path: Path) -> None:
    arguments = ("--catalog", SAMPLE / "catalog.csv", "--attribute", "ita", "--scale", "ita", "--margin", "10")
    more = ("--permutations", 499, "--k", 10, "--more-k", 5, "--seed", 4, "--case", tmp_path / "case", "--json")
    done = auditor("parity", SAMPLE / "results-biased.csv", *arguments, *more)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert set(told) >= KEYS
    assert (told["audit"], told["state"], told["mode"]) == ("parity", "disparity detected", "B")
    assert told["p_interval"][0] <= told["p_value"] <= told["p_interval"][1]
    assert told["ci_low"] < told["effect"] < told["ci_high"]
    assert (told["n_queries"], told["excluded"]) == (72, 0)
    assert {"Reading the files", "Shuffling", "Estimating effects"} & set(done.stderr.splitlines()), (
        "which of them is chance"
    )
    assert auditor("verify", tmp_path / "case", "--head", told["head"]).returncode == 0
    html, pdf = tmp_path / "r.html", tmp_path / "r.pdf"
    assert auditor("report", tmp_path / "case", "--html", html, "--pdf", pdf).returncode == 0
    text = html.read_text(encoding="utf-8")
    assert told["verdict"] in Page(text).text
    assert "Statistical parity is not a legal finding" in text
    assert pdf.read_bytes().startswith(b"%PDF")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("parity", "nothere.csv"), "nothere.csv"),
        (("parity", str(SAMPLE / "results-fair.csv"), "--k", "0"), "--k"),
        (("parity", str(SAMPLE / "results-fair.csv"), "--scale", "colour"), "--scale"),
        (("parity", str(SAMPLE / "results-fair.csv"), "--permutations", "5"), "--permutations"),
        (("parity", str(SAMPLE / "results-fair.csv"), "--margin", "-1"), "--margin"),
        (("parity", str(SAMPLE / "results-fair.csv"), "--map", "tone"), "FIELD=COLUMN"),
        (("parity", str(SAMPLE / "results-fair.csv"), "--map", "colour=tone"), "--map"),
        (("parity", str(SAMPLE / "results-fair.csv"), "--attribute", "tone"), "tone"),
        (("parity", str(SAMPLE / "results-fair.csv"), "--consensus", "expert"), "--expert"),
        (("power", "--queries", "1"), "--queries: the number of queries is at least 2"),
        (("power", "--catalog-size", "1"), "--catalog-size: the number of queries is at least 2"),
        (("power", "--catalog-size", "900", "--queries", "50"), "Leave out --queries or --catalog-size."),
        (("power", "--catalog-size", "900", "--group-share", "0.2"), "Leave out --group-share or --catalog-size."),
        (("power", "--icc", "2"), "--icc: the intra-list correlation is at least 0 and at most 1"),
        (("power", "--curve", "weather"), "--curve"),
        (("parity", str(SAMPLE)), "This is a folder, not a file"),
        (("parity", str(SAMPLE / "results-fair.csv")), "Add it here or in a catalog"),
        ((*TONED, "--mode", "C2"), "--mode: C2 is not possible: there are no target shares."),
        ((*TONED, "--margin", "5"), "--margin: 5 is beyond every difference of shares or mid-ranks"),
        ((*TONED, "--more-attribute", "itta"), "name another column in --more-attribute"),
        ((*TONED, "--merge-group", "darc=light"), "--merge-group names a group that is not there (found 'darc')"),
        ((*TONED, "--group-order", "dark", "--group-order", "light"), "The group is missing in --group-order"),
        (("monitor", "nocase"), "There is no case"),
    ],
)
def test_bad_input_is_exit_2_with_a_sentence_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    done = auditor(*arguments)
    assert done.returncode == 2, done.stderr
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_power_is_told_before_there_are_any_data() -> None:
    done = auditor("power", "--queries", 200, "--k", 50, "--icc", 0.2, "--curve", "n_queries", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["detectable_bias"] == pytest.approx(0.0817, abs=1e-4)
    assert {row["x_name"] for row in told["rows"]} == {"n_queries"}
    words = auditor("power", "--catalog-size", 10_000, "--k", 10).stdout
    assert "10,000 queries" in words


def finished(folder: Path, rows: list[dict[str, Any]], *, case: str = "case", **settings: Any) -> RunDirectory:
    """A run carried out in this process."""
    path = write(folder / f"results-{len(list(folder.iterdir()))}.csv", rows).path
    spec = {"attribute": "tone", "permutations": 199, "sensitivity": False, **settings}
    with (Case.open if Case.is_case(folder / case) else Case.create)(folder / case) as opened:
        run = opened.new_run("parity", spec, {"results": path}, {}, seed=2)
        assert worker.carry_out(run) == worker.DONE, run.last_events()
        opened.link_pending()
    return run


@pytest.mark.slow
def test_evidence_adds_up_over_runs_and_the_same_queries_add_none(tmp_path: Path) -> None:
    first = rows_of(bias=0.6, n_queries=80)
    finished(tmp_path, first, **ORDERED)
    finished(tmp_path, first, **ORDERED)
    fresh = [{**row, "query_id": f"n{row['query_id']}", "item_id": f"n{row['item_id']}"} for row in rows_of(bias=0.6)]
    finished(tmp_path, fresh, **ORDERED)
    finished(tmp_path, fresh, k=3, **ORDERED)
    done = auditor("monitor", tmp_path / "case", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    whole, short = told["questions"]
    once, again, more = whole["batches"]
    assert once["n"] == again["n"] == 40
    assert again["e_value"] == once["e_value"]
    assert (more["n"], whole["n_versions"]) == (70, 80)
    assert more["e_value"] > once["e_value"]
    assert (whole["k"], short["k"], short["n"]) == (None, 3, 30)
    assert whole["e_value"] > 1
    words = auditor("monitor", tmp_path / "case").stdout
    for sentence in (told["sentence"], whole["sentence"], short["sentence"]):
        assert sentence in words
    with Case.open(tmp_path / "case", write=False) as case:
        runs = [RunDirectory(summary.path) for summary in case.runs()]
        # The last run asks about the first three results: its report shows that evidence, not that of the first run.
        latest = next(run for run in runs if run.path.name in short["runs"])
        content = collect(case, latest)
    (section,) = [section for section in content.sections if section.id == "over-time"]
    text = str(section.blocks)
    assert text.index(short["sentence"]) < text.index(told["sentence"])
    assert whole["sentence"] not in text
    asked = {"case": str(tmp_path / "case"), "run": latest.path.name, "theme": "light"}
    shown = tasks_parity.parity_monitor(asked, lambda *_: None)
    assert tuple(shown["sentences"]) == (short["sentence"], told["sentence"])
    assert [picture["name"] for picture in shown["pictures"]] == ["evidence", "evidence_2"]
    data = tmp_path / "evidence.csv"
    tasks_parity.parity_monitor_export({**asked, "name": "evidence_2", "path": str(data)}, lambda *_: None)
    assert len(data.read_text(encoding="utf-8").splitlines()) == 4


def report_of(folder: Path, run: RunDirectory) -> Page:
    with Case.open(folder / "case", write=False) as case:
        return Page(make_html(collect(case, run)))


def test_the_report_tells_the_headline_in_words_and_the_ranking_by_its_measures(tmp_path: Path) -> None:
    run = finished(tmp_path, rows_of(bias=0.6, n_queries=24), margin=0.1, smoothing=1.0, sensitivity=True, **ORDERED)
    text = report_of(tmp_path, run).text
    effect = run.findings()["effects"][0]
    for words in (
        "Smallest detectable effect",
        "Interval of the effect, 95%",
        f"{effect['title']}: {amount(effect['value'], 'mid-rank')}",
        "NDKL (nats)",
        "AWRF",
        "Lowest skew (ln)",
        "1 added to every observed and expected count",
        "the Kullback-Leibler divergence from the reference",
        "Deviation (share)",
        "Effect (mean mid-rank)",
    ):
        assert words in text
    for raw in ("Ci low", "P interval", "Effect unit", "N queries", "n_queries", "not set results"):
        assert raw not in text


@pytest.mark.parametrize("pictures", [False, True])
def test_uploaded_images_stand_in_a_report_only_if_they_were_asked_for(tmp_path: Path, pictures: bool) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    Image.new("RGB", (30, 40), "#806040").save(folder / "face.png")
    rows = [{**row, "image": "face.png"} for row in rows_of(n_queries=6, k=3)]
    (tmp_path / "data").mkdir()
    run = finished(tmp_path / "data", rows, image_folder=str(folder), pictures=pictures, **ORDERED)
    page = report_of(tmp_path / "data", run)
    assert ("image" in {name for name, _ in page.tags}) == pictures
    assert ("the images themselves were left out" in page.text) != pictures
    assert "face.png" not in page.text


def test_images_that_cannot_be_opened_are_counted_by_name(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    Image.new("RGB", (30, 40), "#806040").save(tmp_path / "images" / "good.png")
    (tmp_path / "images" / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\nnot an image")
    rows = [{**row, "image": f"{'bad' if n == 4 else 'good'}.png"} for n, row in enumerate(rows_of(n_queries=6, k=3))]
    (tmp_path / "data").mkdir()
    run = finished(tmp_path / "data", rows, image_folder=str(tmp_path / "images"), pictures=True, **ORDERED)
    told = {warning["code"]: warning for warning in run.findings()["warnings"]}
    assert told["images-broken"]["count"] == 1
    assert "cannot be opened: 1 of 2; the tone stands in for them. 'bad.png': " in told["images-broken"]["message"]
    assert told["colours-assumed"]["count"] == 1


def test_images_are_looked_for_beside_the_table_that_names_them_and_nowhere_else(tmp_path: Path) -> None:
    tables, items = tmp_path / "tables", tmp_path / "items"
    for folder in (tables / "looks", items):
        folder.mkdir(parents=True)
    rows = rows_of(n_queries=12, k=2)
    # Without a column of images a file that goes by an item's id is not taken for its image.
    (tables / f"{rows[0]['item_id']}.png").touch()
    catalog = write(items / "items.csv", [{"item_id": row["item_id"], "tone": row["tone"]} for row in rows]).path
    bare = [{name: value for name, value in row.items() if name != "tone"} for row in rows]
    files = {"bare": bare, "named": [{**row, "image": "looks/x.png"} for row in bare]}
    folders = {
        name: prepared({"results": write(tables / f"{name}.csv", of).path, "catalog": catalog}, {"attribute": "tone"})
        for name, of in files.items()
    }
    assert {name: spec.image_folder for name, spec in folders.items()} == {"bare": "", "named": str(tables.resolve())}


HOSTILE = (
    '=HYPERLINK("http://x","y")',
    "<script>alert(1)</script>",
    '@SUM(1) #eval("1") $x$ *b*',
    "<img src=x onerror=y>",
)


def hostile_rows() -> list[dict[str, Any]]:
    tones = dict(zip(TONES, HOSTILE, strict=False))
    rows = []
    for row in rows_of(n_queries=24, bias=0.5):
        query, item = (HOSTILE[len(row["query_id"]) % 4] + row[name] for name in ("query_id", "item_id"))
        group = tones[row["query_group"]]
        rows.append({**row, "query_id": query, "item_id": item, "query_group": group, "tone": tones[row["tone"]]})
    return rows


def test_a_hostile_file_cannot_act_in_report_or_exports(tmp_path: Path) -> None:
    run = finished(tmp_path, hostile_rows(), system="<b>bold</b> =1+1", sampling_window="</p><script>x</script>")
    with Case.open(tmp_path / "case", write=False) as case:
        content = collect(case, run)
    text = make_html(content)
    page = Page(text)
    assert not page.open
    tags = {name for name, _ in page.tags}
    assert not tags & {"script", "img", "b", "iframe", "object"}
    assert all((found["href"] or "").startswith("#") for name, found in page.tags if name == "a")
    assert not [name for _, found in page.tags for name in found if name.startswith("on")]
    assert "<b>bold</b> =1+1" in page.text
    assert "<script>alert(1)</script>" in page.text
    assert make_pdf(content).startswith(b"%PDF")
    for name in ("cells", "queries"):
        export(run, "light", name, tmp_path / f"{name}.csv")
        with (tmp_path / f"{name}.csv").open(newline="", encoding="utf-8") as stream:
            cells = [cell for line in csv.reader(stream) for cell in line]
        assert any("HYPERLINK" in cell for cell in cells)
        assert not [cell for cell in cells if cell.startswith(("=", "@", "+"))]


def test_the_window_is_told_what_a_run_would_test(tmp_path: Path) -> None:
    path = write(tmp_path / "results.csv", rows_of())
    spec = {"attribute": "tone", "permutations": 999, **ORDERED}
    told = tasks_parity.parity_check(
        {"files": {"results": str(path.path)}, "spec": spec, "case": None}, lambda *_: None
    )
    assert told["fits"]
    assert told["mode"] == "B"
    assert told["groups"] == ("dark", "light")
    assert "60 queries × 10 results, 2 groups" in told["facts"]
    assert told["sentence"].startswith("About ")


def test_the_window_sees_the_results_of_one_query(tmp_path: Path) -> None:
    run = finished(tmp_path, rows_of(n_queries=20), **ORDERED)
    told = tasks_parity.parity_query({"run_dir": str(run.path), "query_id": "q7"}, lambda *_: None)
    assert (told["query_id"], told["group"], told["n_slots"]) == ("q7", "dark", 10)
    assert told["unit"] == "mean level, from 1"
    assert [slot["rank"] for slot in told["slots"]] == list(range(1, 11))
    assert all(slot["thumbnail"] is None for slot in told["slots"])


def test_the_window_plans_a_study(tmp_path: Path) -> None:
    asked = {
        "n_queries": 100,
        "k": 10,
        "catalog_size": 1000,
        "share_of_group": 0.5,
        "share_of_attribute": 0.3,
        "icc": 0.1,
        "alpha": 0.05,
        "power": 0.8,
        "every_item_is_query": False,
        "simulate": False,
        "theme": "light",
    }
    told = tasks_parity.parity_power(asked, lambda *_: None)
    assert 0 < told["detectable"] < told["detectable_two_sided"] < 1
    assert told["pictures"]
    target = tmp_path / "power.csv"
    tasks_parity.parity_power_export(
        {**asked, "name": told["pictures"][0]["name"], "path": str(target)}, lambda *_: None
    )
    assert target.read_text(encoding="utf-8").count("\n") > 3
