"""Guard runs on real texts: accuracy by layer, the harm of corrupted demonstrations, the threshold, risk over 50 splits.

SST-2 with 16 and 32 demonstrations and TweetEval's stance towards feminism with 16; no speeds, and no ratios.

``python -m tests.benchmarks.guard_real [--models starter,FILE.gguf] [--tasks NAME,...] [--queries N] [--demonstrations fixed]
[--attacks cyclic,injection] [--out FOLDER] [--quick]``. With --out cases, reports and results stay there; what is finished is not
run again, and what was interrupted is resumed. --quick asks the bundled sample and needs no data.
"""

import csv
import json
import os
import random
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from auditor.case import Case
from auditor.console import write_report
from auditor.models import ModelFile
from auditor.models.library import Library
from auditor.resources import resource
from auditor.runs.contract import RunState
from auditor.runs.directory import RunDirectory
from auditor.runs.local import LocalExecutor
from tests.benchmarks.harness import is_quick, option, report

#: Demonstrations are drawn from so many texts of the training set.
_POOL = 400
_DAY_S = 86_400.0
Texts = list[tuple[str, str]]


@dataclass(frozen=True)
class Task:
    """Texts with labels, and how they are asked.

    Attributes
    ----------
    queries, demonstrations : Path
        CSV with the columns text and label.
    words : Mapping[str, str]
        Label -> word.
    instruction, demonstration, query : str
    n : int
        Demonstrations in a prompt.
    """

    queries: Path
    demonstrations: Path
    words: Mapping[str, str]
    instruction: str
    demonstration: str
    query: str
    n: int


def tasks(folder: Path, n_queries: int) -> Iterator[tuple[str, Task]]:
    """Name and task; files are written into the folder."""
    if is_quick():
        sample = resource("samples", "guard")
        queries = folder / "queries.csv"
        lines = (sample / "queries.csv").read_text(encoding="utf-8").splitlines(keepends=True)
        queries.write_text("".join(lines[: 1 + n_queries]), encoding="utf-8")
        words = {"negative": "negative", "positive": "positive"}
        yield "sample, 4 demonstrations", _sentiment(queries, sample / "demonstrations.csv", words, 4)
        return
    data = Path(os.environ.get("AUDITOR_DATA", Path(__file__).parents[3] / "shared" / "data"))
    if not data.is_dir():
        raise SystemExit(f"No data: AUDITOR_DATA is not set and {data} is not there. --quick needs none.")
    sst2 = data / "sst2"
    asked, pool = _files(folder, "sst2", _sst2(sst2 / "sst2_dev.tsv"), _sst2(sst2 / "sst2_train.tsv"), n_queries)
    for n in (16, 32):
        yield f"sst2, {n} demonstrations", _sentiment(asked, pool, {"0": "negative", "1": "positive"}, n)
    stance = data / "tweeteval_stance"
    asked, pool = _files(folder, "stance", _stance(stance, "test"), _stance(stance, "train"), n_queries)
    yield (
        "stance, 16 demonstrations",
        Task(
            asked,
            pool,
            {"0": "none", "1": "against", "2": "favor"},
            "What is the stance of the tweet towards feminism? Answer with one of: {labels}.",
            "Tweet: {text}\nStance: {label}",
            "Tweet: {text}\nStance:",
            16,
        ),
    )


def _sentiment(queries: Path, demonstrations: Path, words: Mapping[str, str], n: int) -> Task:
    instruction = "What is the sentiment of the review? Answer with one of: {labels}."
    shown = "Review: {text}\nSentiment: {label}"
    return Task(queries, demonstrations, words, instruction, shown, "Review: {text}\nSentiment:", n)


def _sst2(file: Path) -> Texts:
    pairs = (line.rsplit("\t", 1) for line in file.read_text(encoding="utf-8").splitlines())
    return [(text, label) for text, label in pairs]


def _stance(folder: Path, part: str) -> Texts:
    texts, labels = (
        (folder / f"feminist_{part}_{what}.txt").read_text(encoding="utf-8").split("\n") for what in ("text", "labels")
    )
    return [(" ".join(text.split()), label) for text, label in zip(texts, labels, strict=False) if text.strip()]


def _files(folder: Path, name: str, asked: Texts, shown: Texts, n_queries: int) -> tuple[Path, Path]:
    """Queries and demonstrations as CSV: drawn with a fixed seed, each text once, no text in both."""
    draw = random.Random(0)
    queries = draw.sample(_once(asked, set()), min(n_queries, len(_once(asked, set()))))
    pool = _once(shown, {text.casefold() for text, _ in queries})
    written = []
    for part, pairs in (("queries", queries), ("demonstrations", draw.sample(pool, min(_POOL, len(pool))))):
        file = folder / f"{name}-{part}.csv"
        with file.open("w", encoding="utf-8", newline="") as stream:
            csv.writer(stream).writerows([("text", "label"), *pairs])
        written.append(file)
    return written[0], written[1]


def _once(pairs: Texts, taken: set[str]) -> Texts:
    found = {text.casefold(): (text, label) for text, label in pairs}
    return [pair for key, pair in found.items() if key not in taken]


def rule() -> str:
    """Whether demonstrations are drawn for each query, or the same ones stand before all, which is faster."""
    return option("--demonstrations", "fixed" if is_quick() else "resampled")


def settings_of(task: Task, model: str) -> dict[str, Any]:
    """Fields of the spec."""
    fields: dict[str, Any] = {
        "model": model,
        "label_words": dict(task.words),
        "instruction": task.instruction,
        "demonstration": task.demonstration,
        "query": task.query,
        "n_demonstrations": task.n,
        "demonstrations": rule(),
        "attacks": option("--attacks", "cyclic").split(","),
        "influence_queries": 0,
        "attention_queries": 0,
        "timing_queries": 2 if is_quick() else 10,
    }
    return fields | ({"splits": 3} if is_quick() else {})


def carried_out(folder: Path, task: Task, model: ModelFile) -> dict[str, Any]:
    """Run the audit in a case of its own, or take up the run that is there; what came out."""
    begun = time.perf_counter()
    with Case.open(folder) if Case.is_case(folder) else Case.create(folder, folder.name) as case:
        fields = settings_of(task, model.name)
        inputs = {"queries": task.queries, "demonstrations": task.demonstrations}
        open_runs = [summary for summary in case.runs() if not summary.sealed]
        run = (
            case.run(open_runs[0].id) if open_runs else case.new_run("guard", fields, inputs, {"model": model}, seed=0)
        )
        executor = LocalExecutor()
        executor.start(run.path)
        status = executor.wait(run.path, _DAY_S)
        if status.state is not RunState.DONE:
            raise SystemExit(f"{folder.name}: {status.state}: {status.message}")
        case.link_pending()
        write_report(case, run, folder / "report.html", None)
        return {**told(run), "minutes": round((time.perf_counter() - begun) / 60, 1)}


def told(run: RunDirectory) -> dict[str, Any]:
    """The numbers that the issue asks for."""
    findings, files = run.findings(), run.table_files()
    headline = findings["headline"]
    conditions = {row["condition"]: row for row in pq.read_table(files["conditions"]).to_pylist()}
    primary = conditions[findings["certificate"]["primary"]]
    layers: dict[str, list[float]] = {}
    for row in pq.read_table(files["layers"]).to_pylist():
        layers.setdefault(row["condition"], []).append(round(row["accuracy"], 4))
    return {
        "verdict": findings["verdict"]["sentence"],
        "headline": headline,
        "accuracy_by_layer": layers,
        "correct": _changes(conditions["correct"]),
        "corrupted": _changes(primary),
        "splits": _splits(files.get("splits")),
        "uncorrected_lambda": findings["certificate"]["lambda_uncorrected"],
        "device": findings["device"],
        "dtype": findings["dtype"],
        "warnings": [caution["message"] for caution in findings["warnings"]],
    }


def _changes(row: Mapping[str, Any]) -> dict[str, Any]:
    names = (
        *("n", "accuracy_zero_shot", "accuracy_unguarded", "accuracy_guarded", "risk_unguarded", "risk_guarded"),
        *("risk_low", "risk_high", "harm_unguarded", "harm_guarded", "mean_exit", "fallback", "layer_passes"),
    )
    return {name: row[name] for name in names}


def _splits(file: Path | None) -> list[dict[str, Any]]:
    """Test risk over the splits, by epsilon: the published figure in numbers."""
    if file is None:
        return []
    table = pq.read_table(file)
    epsilon, risk = table["epsilon"].to_numpy(), table["risk_test"].to_numpy()
    certified = np.array(table["certified"].to_pylist())
    found = []
    for level in np.unique(epsilon).tolist():
        risks = risk[epsilon == level]
        found.append(
            {
                "epsilon": level,
                "mean_test_risk": round(float(risks.mean()), 4),
                "quantile_90": round(float(np.quantile(risks, 0.9, method="inverted_cdf")), 4),
                "above": int((risks > level).sum()),
                "splits": len(risks),
                "certified": round(float(certified[epsilon == level].mean()), 3),
            }
        )
    return found


def main() -> None:
    """Run every task with every model."""
    n_queries = int(option("--queries", "24" if is_quick() else "400"))
    models, only = option("--models", "starter").split(","), option("--tasks", "")
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as scratch:
        out = Path(option("--out", scratch))
        out.mkdir(parents=True, exist_ok=True)
        for name, task in tasks(out, n_queries):
            for model in models:
                if only and name.split(",")[0] not in only.split(","):
                    continue
                library_file = Library().get(model)
                title = f"{name}, {library_file.name}"
                found[title] = _kept(out, title, task, library_file)
    settings: dict[str, Any] = {"n_queries": n_queries, "models": models, "runs": found}
    settings |= {"demonstrations": rule(), "attacks": option("--attacks", "cyclic")}
    report(settings, {}, {})


def _kept(out: Path, title: str, task: Task, model: ModelFile) -> dict[str, Any]:
    """What came out earlier, or comes out now."""
    place = out / "".join(c if c.isalnum() or c in ".-" else "_" for c in title)
    result = place.with_name(f"{place.name}.json")
    if result.exists():
        kept: dict[str, Any] = json.loads(result.read_text(encoding="utf-8"))
        return kept
    found = carried_out(place, task, model)
    result.write_text(json.dumps(found, indent=2), encoding="utf-8")
    return found


if __name__ == "__main__":
    main()
