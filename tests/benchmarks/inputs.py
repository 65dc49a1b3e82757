"""Streaming conversations: peak memory at 10,000 and at 1,000,000, and speed beside a plain json.loads loop (the limit).

Each measurement is a process of its own. ``python -m tests.benchmarks.inputs [--quick]``
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.benchmarks.harness import is_quick, ratio, report, summary

_OURS = """
import resource, sys, time
from pathlib import Path
from auditor.audits import InputFile
from auditor.audits.rating import inputs
file = InputFile(Path(sys.argv[1]), "c.jsonl", "")
begun = time.perf_counter()
n = sum(1 for _ in inputs.conversations(file, {}, on_bad=print))
print(n, time.perf_counter() - begun, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""
_LIMIT = """
import json, resource, sys, time
begun = time.perf_counter()
with open(sys.argv[1], "rb") as file:
    n = sum(1 for line in file if json.loads(line)["messages"])
print(n, time.perf_counter() - begun, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""


def write(path: Path, n: int) -> None:
    """Conversations of four turns, about 600 bytes each."""
    text = "This is a sentence of a made-up conversation, long enough to be one. " * 2
    with path.open("w", encoding="utf-8") as file:
        for number in range(n):
            roles = ("user", "assistant", "user", "assistant")
            messages = [{"role": role, "content": f"{number} {text}"} for role in roles]
            file.write(json.dumps({"id": f"c{number}", "group": str(number // 6), "messages": messages}) + "\n")


def measure(code: str, path: Path, n: int) -> tuple[float, float]:
    """Conversations per second and peak resident memory, MiB."""
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
    count, seconds, memory = done.stdout.split()
    assert int(count) == n, done.stdout
    return n / float(seconds), float(memory)


def main() -> None:
    """Measure."""
    small, large, rounds = (1_000, 20_000, 2) if is_quick() else (10_000, 1_000_000, 5)
    speeds: dict[str, list[float]] = {"ours": [], "json_loads": []}
    memory: dict[int, list[float]] = {small: [], large: []}
    with tempfile.TemporaryDirectory() as folder:
        for n in (small, large):
            write(Path(folder) / f"{n}.jsonl", n)
        for _ in range(rounds):
            for n in (small, large):
                path = Path(folder) / f"{n}.jsonl"
                speed, peak = measure(_OURS, path, n)
                memory[n].append(peak)
                if n == large:
                    speeds["ours"].append(speed)
                    speeds["json_loads"].append(measure(_LIMIT, path, n)[0])
    figures = {f"peak_rss_{n}": summary(values, "MiB") for n, values in memory.items()}
    figures |= {f"conversations_per_s_{name}": summary(values, "1/s") for name, values in speeds.items()}
    ratios = {
        "speed_to_json_loads": ratio(speeds["ours"], speeds["json_loads"]),
        "memory_large_to_small": ratio(memory[large], memory[small]),
    }
    report({"conversations": [small, large], "rounds": rounds}, figures, ratios)


if __name__ == "__main__":
    main()
