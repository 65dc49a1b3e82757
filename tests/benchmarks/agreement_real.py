"""Judges against people's ratings of real conversations, with the two commands that a person would use; no speeds.

USR Topical-Chat (naturalness, on-topic, and "uses knowledge" for want of a comprehensiveness) and HOLISTIC (fluency as
naturalness, coherence with the context as on-topic). USR's scales are mapped onto 1 to 5 by a straight line, which is declared.

``python -m tests.benchmarks.agreement_real [--models starter,FILE.gguf] [--data usr,fluency,context] [--limit N] [--out FOLDER]
[--quick]``. With --out the cases stay there. --quick rates six conversations of the bundled sample against made-up ratings, and
needs no data.
"""

import csv
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from auditor.models.library import Library
from auditor.resources import resource
from tests.benchmarks.harness import is_quick, option, report
from tests.usr import HOLISTIC_AXES, USR_AXES, holistic, write_holistic_humans, write_usr, write_usr_humans


@dataclass(frozen=True)
class Rated:
    """Conversations, what people said of them, and on which scales."""

    name: str
    conversations: Path
    humans: Path
    axes: tuple[str, ...]
    scales: tuple[str, ...]


def sets(folder: Path) -> Iterator[Rated]:
    """The sets that were asked for; files are written into the folder."""
    if is_quick():
        yield _sample(folder)
        return
    data = Path(os.environ.get("AUDITOR_DATA", Path(__file__).parents[3] / "shared" / "data"))
    if not data.is_dir():
        raise SystemExit(f"No data: AUDITOR_DATA is not set and {data} is not there. --quick needs none.")
    wanted = option("--data", "usr,fluency,context").split(",")
    for name in wanted:
        conversations, humans = folder / f"{name}.jsonl", folder / f"{name}-people.csv"
        if name == "usr":
            write_usr(conversations, data)
            write_usr_humans(humans, data)
            scales = tuple(f"{axis}={scale}" for axis, scale in USR_AXES.values())
            yield Rated(name, conversations, humans, tuple(axis for axis, _ in USR_AXES.values()), scales)
        else:
            _write_holistic(conversations, data, name)
            write_holistic_humans(humans, data, name)
            yield Rated(name, conversations, humans, (HOLISTIC_AXES[name],), ("1-5",))


def _write_holistic(target: Path, data: Path, attribute: str) -> None:
    """Each response as a conversation of its own; after the turn that it answers, where people saw it."""
    with (data / "holistic" / f"{attribute}.csv").open(encoding="utf-8", newline="") as file:
        before = [row[1].strip() if attribute == "context" else "" for row in csv.reader(file) if row]
    with target.open("w", encoding="utf-8") as out:
        for number, (said, (response, _)) in enumerate(zip(before, holistic(data, attribute), strict=True), start=1):
            asked = [{"role": "user", "content": said}] if said else []
            messages = [*asked, {"role": "assistant", "content": response}]
            out.write(json.dumps({"id": str(number), "messages": messages}) + "\n")


def _sample(folder: Path) -> Rated:
    conversations, humans = folder / "sample.jsonl", folder / "people.csv"
    lines = resource("samples", "conversations.jsonl").read_text(encoding="utf-8").splitlines()[:6]
    conversations.write_text("\n".join(lines) + "\n", encoding="utf-8")
    ids = [json.loads(line)["id"] for line in lines]
    rows = [
        (one, "naturalness", rater, 1 + place % 5) for place, one in enumerate(ids) for rater in ("first", "second")
    ]
    with humans.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("conversation_id", "axis", "rater", "score"), *rows])
    return Rated("sample", conversations, humans, ("naturalness",), ("1-5",))


def told(*arguments: str) -> dict[str, Any]:
    """What a command of Auditor says with ``--json``."""
    command = [sys.executable, "-m", "auditor", *arguments, "--json"]
    done = subprocess.run(command, check=False, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        raise SystemExit(f"auditor {arguments[0]} ended with {done.returncode}")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def agreement(rated: Rated, model: str, case: Path) -> dict[str, Any]:
    """Rate, and compare with people: per axis every statistic that `auditor agree` prints."""
    limit = option("--limit", "")
    run = told(
        "rate",
        str(rated.conversations),
        "--model",
        model,
        "--case",
        str(case),
        "--axes",
        ",".join(rated.axes),
        *(("--limit", limit) if limit else ()),
    )
    scales = [word for scale in rated.scales for word in ("--human-scale", scale)]
    mapped = ["--map-linear"] if rated.name == "usr" else []
    return told("agree", str(case), run["run"], "--humans", str(rated.humans), *scales, *mapped)


def main() -> None:
    """Measure."""
    models = option("--models", "starter").split(",")
    tables: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as temporary:
        out = Path(option("--out", temporary))
        out.mkdir(parents=True, exist_ok=True)
        for rated in sets(out):
            for name in models:
                model = Library().get(name)
                tables[f"{rated.name}, {model.name}"] = agreement(rated, name, out / f"{rated.name}-{model.name}")
    report({"models": models, "limit": option("--limit", ""), "agreement": tables}, {}, {})


if __name__ == "__main__":
    main()
