import html.parser
import json
import shutil
import subprocess
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest
from auditor.audits import Picture
from auditor.audits.rating.agreement import agree
from auditor.audits.rating.labels import HumanRating, PeopleScale
from auditor.case import Case
from auditor.case.records import GivenRating
from auditor.report.blocks import Content, clean
from auditor.report.content import _people, collect
from auditor.report.html import html as make_html
from auditor.report.pdf import pdf as make_pdf
from auditor.report.people import people_in_run
from auditor.report.pictures import data_csv, export, save, svg
from matplotlib.figure import Figure
from tests.conftest import SAMPLE
from tests.ratings import peaked, write_ratings

HOSTILE = (
    '<script>alert(1)</script> "onload="x" </style> #eval("1") $x$ *bold* \u202ereversed\u202c \x00\x1b[31m \ud800 '
    + "w" * 10_000
)
VOID = {"meta", "link", "br", "img", "hr", "input", "use", "path", "rect", "circle"}


class Page(html.parser.HTMLParser):
    """Collects tags, checks that they balance, and gathers the text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def content_of(case_path: Path) -> Content:
    with Case.open(case_path, write=False) as case:
        (summary,) = case.runs()
        return collect(case, case.run(summary.id))


def test_html_holds_everything_and_reaches_for_nothing(finished_case: Path, finished_run: Path) -> None:
    text = make_html(content_of(finished_case))
    page = Page(text)
    assert page.open == []
    findings = json.loads((finished_run / "findings.json").read_text())
    with Case.open(finished_case, write=False) as case:
        head = case.head()
    spec = json.loads((finished_run / "spec.json").read_text())
    for words in (
        findings["verdict"]["sentence"],
        "starter model: for trying the program, not evidence",
        findings["rubric"]["axes"][0]["levels"][0],
        spec["inputs"]["conversations"]["sha256"],
        spec["models"]["judge"]["sha256"],
        "Q4_1",
        head,
        "None in this case.",
        "Limitations",
        "I have read it.",
        "llama-cpp-python",
    ):
        assert words in page.text, words
    names = {tag for tag, _ in page.tags}
    assert "script" not in names
    assert "svg" in names
    for _, attributes in page.tags:
        for key in ("src", "href", "xlink:href"):
            assert (attributes.get(key) or "#").startswith("#")
    identities = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(identities) == len(set(identities))


def test_machine_and_software_are_those_that_computed(finished_case: Path, finished_run: Path) -> None:
    """A cluster is another machine than the one that asks, and may have other software."""
    findings, spec = (json.loads((finished_run / name).read_text()) for name in ("findings.json", "spec.json"))
    assert findings["provenance"]["machine"] == spec["host"]
    assert {"torch", "transformers", "llama-cpp-python"} <= findings["provenance"]["versions"].keys()
    section = content_of(finished_case).sections[-1]
    assert not any(label.startswith(("Asked for", "Carried out")) for label, *_ in section.blocks[0].rows)
    findings["provenance"]["machine"] |= {"processor": "EPYC of the cluster", "cores": 96}
    findings["provenance"]["versions"]["torch"] = "9.9"
    for name, changed in (("findings.json", findings), ("spec.json", spec | {"executor": "gpu-1"})):
        (finished_run / name).write_text(json.dumps(changed))
    rows = {label: value for label, value, _ in content_of(finished_case).sections[-1].blocks[0].rows}
    assert rows["torch"] == "9.9"
    assert rows["Processor"] == "EPYC of the cluster, 96 cores"
    assert rows["Carried out on the backend"] == "gpu-1"
    assert spec["host"]["processor"] in rows["Asked for on"]
    assert rows["Asked for with"] == f"torch {spec['versions']['torch']}"


def test_html_and_pdf_are_the_same_bytes_every_time(finished_case: Path) -> None:
    content = content_of(finished_case)
    assert make_html(content) == make_html(content_of(finished_case))
    assert make_pdf(content) == make_pdf(content_of(finished_case))


def test_pdf_is_tagged_titled_and_can_be_read_out(finished_case: Path, tmp_path: Path) -> None:
    content = content_of(finished_case)
    data = make_pdf(content)
    assert b"/StructTreeRoot" in data
    assert b"/MarkInfo" in data
    if shutil.which("pdftotext") is None:
        pytest.skip("pdftotext is not installed: the text of the PDF is not read back")
    (tmp_path / "r.pdf").write_bytes(data)
    text = subprocess.run(["pdftotext", tmp_path / "r.pdf", "-"], capture_output=True, text=True, check=True).stdout
    assert "starter model: for trying the program" in text
    for section in content.sections:
        assert section.title in text


def test_text_from_people_is_text_in_both(finished_case: Path) -> None:
    with Case.open(finished_case) as case:
        hostile = HOSTILE.replace("\ud800", "")
        case.add_note(hostile, author="<b>Ada</b>")
    content = content_of(finished_case)
    page = Page(make_html(content))
    assert page.open == []
    assert "script" not in {tag for tag, _ in page.tags}
    assert "<script>alert(1)</script>" in page.text
    assert "\\u202ereversed" in page.text
    assert "\x00" not in page.text
    assert len(make_pdf(content)) > 10_000


def test_clean_shows_what_cannot_be_shown() -> None:
    assert clean("a\x00b\ud800c\u202ed\ne") == "a\\u0000b\\ud800c\\u202ed\ne"


def test_an_unsealed_run_says_so(finished_case: Path, finished_run: Path) -> None:
    (finished_run / "seal.json").unlink()
    assert "not sealed: these results may still change" in Page(make_html(content_of(finished_case))).text


def test_cells_that_a_spreadsheet_would_run_are_neutralised() -> None:
    table = pa.table({"a": ["=1+1", "+x", "-x", "@x", "\tx", "plain", None], "n": [-1.5, 2, 3, 4, 5, 6, 7]})
    rows = data_csv(table).split("\r\n")
    assert [row.split(",")[0] for row in rows[1:8]] == ["'=1+1", "'+x", "'-x", "'@x", "'\tx", "plain", ""]
    assert rows[1].endswith(",-1.5")


@pytest.mark.parametrize(
    ("ending", "magic"), [("svg", b"<svg"), ("png", b"\x89PNG"), ("pdf", b"%PDF"), ("csv", b"axis,")]
)
def test_a_picture_is_saved_by_its_ending_the_same_every_time(
    finished_run: Path, tmp_path: Path, ending: str, magic: bytes
) -> None:
    from auditor.runs.directory import RunDirectory

    first, second = tmp_path / f"a.{ending}", tmp_path / f"b.{ending}"
    for path in (first, second):
        export(RunDirectory(finished_run), "light", "means", path)
    assert first.read_bytes().startswith(magic)
    assert first.read_bytes() == second.read_bytes()


@pytest.mark.parametrize("title", [r"$\foo$", "a $1 and $2"])
def test_a_title_in_a_picture_is_never_taken_for_maths(tmp_path: Path, title: str) -> None:
    def drawn(**plain: bool) -> Picture:
        figure = Figure()
        panel = figure.subplots()
        panel.plot([0, 1], [0, 1], label=title)
        panel.set_title(title, **plain)
        panel.set_xticks([0, 1], [title, "b"], **plain)
        for text in panel.legend().get_texts():
            text.set(**plain)
        return Picture("p", "P", "", figure, pa.table({}))

    assert svg(drawn()) == svg(drawn(parse_math=False))
    for ending in ("png", "pdf"):
        save([drawn()], "p", tmp_path / f"p.{ending}")


def test_a_run_that_was_set_beside_a_file_says_so(tmp_path: Path) -> None:
    path = write_ratings(tmp_path / "r.parquet", {"naturalness": peaked(np.linspace(1, 5, 12))})
    humans = [HumanRating(row, "naturalness", rater, 3) for row in range(1, 13) for rater in ("Ada", "Bo")]
    found = agree(path, humans, PeopleScale(), titles={}, confidence=0.95, seed=0)
    with Case.create(tmp_path / "case") as case:
        run = case.new_run("rating", {}, {"conversations": SAMPLE}, {}, seed=0)
        asked = run.spec()
        given = asked.model_copy(update={"inputs": {**asked.inputs, "humans": asked.inputs["conversations"]}})
        assert people_in_run(asked, SimpleNamespace(agreement=found)) == ""
        assert people_in_run(given, SimpleNamespace(agreement=())) == ""
        beside = people_in_run(given, SimpleNamespace(agreement=found))
        assert beside == f"The run itself was set beside {SAMPLE.name}: 24 ratings by 2 people (see Results)."
        first = [next(iter(_people(case, run, words))).text for words in ("", beside)]
    assert first == ["No human ratings.", f"None were given in the case. {beside}"]


def test_agreement_with_people_stands_in_the_report_the_same_every_time(
    finished_case: Path, finished_run: Path
) -> None:
    with Case.open(finished_case) as case:
        case.add_human_ratings(
            finished_run.name,
            [
                GivenRating(str(row), axis, rater, 1 + (row * step) % 5, blind=True)
                for row in range(1, 7)
                for axis in ("naturalness", "on_topic")
                for step, rater in enumerate(("Ada", "Ben", "<b>Cleo</b>"), start=1)
            ],
        )
    content = content_of(finished_case)
    text = make_html(content)
    page = Page(text)
    assert page.open == []
    for words in (
        "36 human ratings by <b>Cleo</b>, Ada, Ben.",
        "Agreement of starter with 3 people on 6 conversations: naturalness Spearman",
        "one person against the others",
        "Naturalness: 6 conversations, 18 ratings, 95% intervals; constant answer",
        "Quadratic-weighted kappa",
        "Ordinal Krippendorff alpha",
        "too narrow",
        "The constant answer is the one whole score that does best",
    ):
        assert words in page.text, words
    (section,) = (section for section in content.sections if section.id == "people")
    assert [block.kind for block in section.blocks].count("drawing") == 4
    assert text == make_html(content_of(finished_case))
    assert make_pdf(content) == make_pdf(content_of(finished_case))


def test_ratings_that_cannot_be_compared_do_not_take_the_report_away(finished_case: Path, finished_run: Path) -> None:
    with Case.open(finished_case) as case:
        case.add_human_ratings(finished_run.name, [GivenRating("2", "naturalness", "Ben", 0, scale=(0, 1))])
    page = Page(make_html(content_of(finished_case)))
    assert "Agreement was not computed." in page.text
    assert "several scales" in page.text
