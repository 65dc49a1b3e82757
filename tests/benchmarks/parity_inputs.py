"""1,000,000 result rows with a catalog: read and validated, and previewed, beside pyarrow's own CSV reader (the limit).

Each measurement is a process of its own, on one core. ``python -m tests.benchmarks.parity_inputs [--quick]``
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from tests.benchmarks.harness import is_quick, ratio, report, summary

_OURS = """
import json, resource, sys, time
from pathlib import Path
from auditor.audits import InputFile
from auditor.audits.parity import inputs
from auditor.audits.parity.spec import ParitySpec
results, catalog = (InputFile(Path(path), Path(path).name, "") for path in sys.argv[1:3])
options = {"scale": "ordinal"}
begun = time.perf_counter()
processor = time.process_time()
shown = inputs.preview("results", results, options)
previewed = time.perf_counter()
read = inputs.read({"results": results, "catalog": catalog}, ParitySpec(**options))
done = time.perf_counter()
assert shown.n_problems == 0, shown.problems[:3]
print(json.dumps({
    "rows": len(read.item), "preview": previewed - begun, "read": done - previewed, "both": done - begun,
    "processor": time.process_time() - processor,
    "mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
}))
"""
_LIMIT = """
import sys, time
import pyarrow.csv as csv
begun = time.perf_counter()
table = csv.read_csv(sys.argv[1], read_options=csv.ReadOptions(use_threads=False))
print(time.perf_counter() - begun)
"""
PER_QUERY = 100


def write(folder: Path, n_rows: int, n_items: int) -> None:
    """A catalog, and lists of 100 results with scores as CSV and as JSON Lines; the rows of a query stand together."""
    random = np.random.default_rng(0)
    tones = random.integers(1, 11, n_items)
    lines = [f"item-{number:07d},MST {tone}\n" for number, tone in enumerate(tones)]
    (folder / "catalog.csv").write_text("item_id,skin_tone\n" + "".join(lines), encoding="utf-8")
    groups = ("dark", "light", "medium")
    with (folder / "results.csv").open("w", encoding="utf-8") as table, (folder / "results.jsonl").open("w") as records:
        table.write("query_id,item_id,rank,score,query_group\n")
        for query in range(n_rows // PER_QUERY):
            items = random.choice(n_items, PER_QUERY, replace=False)
            scores = np.sort(random.random(PER_QUERY))[::-1]
            group = groups[query % 3]
            for rank, (item, score) in enumerate(zip(items, scores, strict=True), start=1):
                table.write(f"query {query},item-{item:07d},{rank},{score:.9f},{group}\n")
                records.write(
                    f'{{"query_id": "query {query}", "item_id": "item-{item:07d}", "rank": {rank}, "score": {score:.9f}, '
                    f'"query_group": "{group}"}}\n'
                )


def _run(code: str, *paths: Path) -> str:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "ARROW_NUM_THREADS": "1"}
    command = [sys.executable, "-c", code, *(str(path) for path in paths)]
    return subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout


def main() -> None:
    """Measure."""
    n_rows, n_items, rounds = (20_000, 5_000, 2) if is_quick() else (1_000_000, 100_000, 5)
    figures: dict[str, list[float]] = {}
    limits: list[float] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write(folder, n_rows, n_items)
        for _ in range(rounds):
            for form in ("csv", "jsonl"):
                told = json.loads(_run(_OURS, folder / f"results.{form}", folder / "catalog.csv"))
                assert told["rows"] == n_rows, told
                for key in ("preview", "read", "both", "processor"):
                    figures.setdefault(f"{form}_{key}_seconds", []).append(told[key])
                figures.setdefault(f"{form}_peak_mib", []).append(told["mib"])
            limits.append(float(_run(_LIMIT, folder / "results.csv")))
    units = {key: "MiB" if key.endswith("mib") else "s" for key in figures}
    report(
        {"rows": n_rows, "items": n_items, "rounds": rounds},
        {key: summary(values, units[key]) for key, values in figures.items()} | {"limit_seconds": summary(limits, "s")},
        {"csv_read_to_limit": ratio(figures["csv_read_seconds"], limits)},
    )


if __name__ == "__main__":
    main()
