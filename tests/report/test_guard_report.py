"""The report of a guard run: everything is in it, and texts of demonstrations and prompts are text."""

from html.parser import HTMLParser
from pathlib import Path

from auditor.audits.guard.tables import COLUMNS
from auditor.case import Case
from auditor.files import write_json
from auditor.report.blocks import Content, Grid
from auditor.report.content import collect
from auditor.report.html import html
from auditor.report.pdf import pdf
from auditor.runs.seal import seal
from tests.audits.guard.made_runs import full_rows, made_findings, made_tables, smallest_rows, table_infos

HOSTILE = "<script>alert(1)</script> $x$ #eval(1) \u202ereversed"


class Seen(HTMLParser):
    """Gathers tags and text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


def content(folder: Path, *, is_full: bool) -> Content:
    """What a report says of a run that was written by hand."""
    queries, demonstrations = folder / "queries.csv", folder / "demonstrations.csv"
    queries.write_text("text,label\na,0\nb,1\n")
    demonstrations.write_text("text,label\nc,0\nd,1\n")
    rows = full_rows() if is_full else smallest_rows()
    if is_full:
        worst = {"place": 1, "row": 1, "query_id": "q1", "text": HOSTILE + "w" * 1000, "label": "1", "condition": "cyclic:1",
                 "zero_shot": "1", "unguarded": "0", "guarded": "1", "change": "harmed", "drop": 0.7}  # fmt: skip
        shown = [{**row, "text": HOSTILE} for row in [*rows["influence"], *rows["influence"][:10]]]
        rows = {**rows, "influence": shown, "flipped": [worst]}
    findings = made_findings(
        tables=table_infos(rows),
        headline={"certified": True, "lambda": 0.62, "accuracy_guarded": 0.7125, "risk_guarded": 0.021},
        prompt=made_findings().prompt.model_copy(update={"example": f"Text: {HOSTILE}\nLabel:"}),
    )
    with Case.create(folder / "case", "Reviews") as case:
        inputs = {"queries": queries, "demonstrations": demonstrations}
        run = case.new_run("guard", {"model": "starter"}, inputs, {}, seed=3)
        made_tables(run.tables, rows)
        write_json(run.findings_file, findings.model_dump(mode="json"))
        return collect(case, run)


def test_headline_tables_pictures_and_prompt_are_in_the_report(tmp_path: Path) -> None:
    found = content(tmp_path, is_full=True)
    seen = Seen(html(found))
    for words in (
        "Accuracy with the guard",
        "71.2%",
        "+2.1 percentage points",
        "Threshold lambda",
        "Attacks, without and with the guard",
        "Test risk over 50 splits",
        "What the guarantee covers",
        "arXiv:2510.02480",
        "Fixed-sequence testing",
        "Queries whose answer flipped",
    ):
        assert words in seen.text, words
    grids = {block.caption: block for section in found.sections for block in section.blocks if isinstance(block, Grid)}
    assert {COLUMNS[name][0] for name in ("conditions", "timing", "flipped")} <= set(grids)
    assert "Corrupted" in grids[COLUMNS["conditions"][0]].headers
    # A long table that stands worst first prints its leading rows and is named beside the report; others are only named.
    leading = grids["Influence of the demonstrations: the first 15 of 50"]
    assert len(leading.rows) == 15
    assert not any(caption.startswith("Risk by threshold") for caption in grids)
    assert "50 rows in tables/influence.parquet" in seen.text
    assert "101 rows in tables/risk_curve.parquet" in seen.text
    assert max(len(cell) for row in grids["Queries whose answer flipped"].rows for cell in row) == 400


def test_texts_of_demonstrations_queries_and_prompts_are_text(tmp_path: Path) -> None:
    found = content(tmp_path, is_full=True)
    seen = Seen(html(found))
    assert "script" not in seen.tags
    assert "<script>alert(1)</script> $x$ #eval(1) \\u202ereversed" in seen.text
    assert len(pdf(found)) > 10_000


def test_the_smallest_run_has_a_report(tmp_path: Path) -> None:
    seen = Seen(html(content(tmp_path, is_full=False)))
    assert "Risk by threshold" in seen.text
    assert "Accuracy by layer" in seen.text


def test_other_runs_of_the_case_stand_beside_a_run(tmp_path: Path) -> None:
    queries = tmp_path / "queries.csv"
    queries.write_text("text,label\na,0\nb,1\n")
    with Case.create(tmp_path / "case", "Reviews") as case:
        runs = []
        for n_right, model in ((36, "one"), (26, "two")):
            run = case.new_run("guard", {"model": model}, {"queries": queries, "demonstrations": queries}, {}, seed=3)
            rows = [
                {"row": i + 1, "query_id": f"q{i}", "label": "1", "pool": "test", "condition": "correct", "zero_shot": "1",
                 "unguarded": "0", "guarded": "1" if i < n_right else "0"}
                for i in range(40)
            ]  # fmt: skip
            made_tables(run.tables, {"queries": rows})
            findings = made_findings(model_name=model, model_sha256=str(n_right) * 32)
            write_json(run.findings_file, findings.model_dump(mode="json"))
            runs.append(run)
        seal(runs[0])
        case.link_pending()
        assert "Beside other runs" not in Seen(html(collect(case, runs[0]))).text
        seal(runs[1])
        case.link_pending()
        seen = Seen(html(collect(case, runs[1])))
    assert "Beside other runs of this case" in seen.text
    assert f"A is this run, B is {runs[0].path.name}; they differ in model." in seen.text
    assert "−25.0 (" in seen.text
    assert "Whoever keeps the best of 2 runs" in seen.text
    assert "read another file" not in seen.text
