"""Ratings per second: ours, plain loops, llama-server, and the limit that the processor's prefill sets.

``python -m tests.benchmarks.rating [--quick] [--model NAME_OR_FILE] [--optimised FILE] [--conversations N] [--rounds N]``

(a) ours; (b) `loop`: create_chat_completion with a one-digit grammar, the axis's rubric in the system turn,
conversation by conversation; (b') `best_loop`: the same with the whole rubric first and the axis last, flash attention
on, so that the stock reuse of a prompt's prefix helps most; (c) `server`: llama-server through xllamacpp with one slot
and its prompt cache, prompts as in (b') (its best setting on a processor; more slots are slower there); (d) the limit =
ratings / (unique tokens in the prefix tree of all prompts / speed of prefill in the same process): `share_of_limit`
takes the speed of one plain prompt of 512 tokens, `share_of_limit_at_length` that of one plain prompt as long as these
prompts are, since attention over a longer context costs more whoever computes it. With `--optimised`, ours on that
file against (b) on the original. Peers run interleaved, each in a process of its own.

Where the build offloads layers to a graphics processor, ours and the loops offload all of them. A few hundred tokens do
not fill one, so the plain prompt of the limit is as long there as what is computed at once. (c) is left out where
xllamacpp is not installed; `settings` says so, and which device computed.
"""

import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from auditor.models.library import Library
from tests.benchmarks.harness import is_quick, option, ratio, report, summary
from tests.usr import write_usr

_PEERS = ("ours", "loop", "best_loop", "server")
_RESPONSES = 6


def write(path: Path, n: int) -> None:
    """The first n conversations of USR Topical-Chat, else of the bundled sample, out of order.

    Responses to one context come apart, as they may in a person's file.
    """
    data = Path(os.environ.get("AUDITOR_DATA", Path(__file__).parents[3] / "shared" / "data"))
    if data.is_dir():
        write_usr(path, data, -(-n // _RESPONSES))
        lines = path.read_text(encoding="utf-8").splitlines()[:n]
    else:
        from auditor.resources import resource

        lines = resource("samples", "conversations.jsonl").read_text(encoding="utf-8").splitlines()[:n]
    path.write_text("\n".join([*lines[::2], *lines[1::2]]) + "\n", encoding="utf-8")


def measure(name: str, model: str, file: Path) -> dict[str, Any]:
    """One measurement, in a process of its own."""
    command = [sys.executable, "-m", "tests.benchmarks.rating_peers", name, model, str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{name} failed with code {done.returncode}: {done.stderr[-2000:]}")
    found = json.loads(done.stdout.splitlines()[-1])
    assert isinstance(found, dict)
    return found


def pace(told: Mapping[str, Any]) -> float:
    """Ratings per second."""
    return float(told["ratings"] / told["seconds"])


def main() -> None:
    """Measure."""
    n = int(option("--conversations", "2" if is_quick() else "24"))
    rounds = int(option("--rounds", "1" if is_quick() else "5"))
    model, optimised = option("--model", "starter"), option("--optimised", "")
    served = importlib.util.find_spec("xllamacpp") is not None
    peers = [name for name in _PEERS if name != "server" or served]
    runs: dict[str, list[dict[str, Any]]] = {name: [] for name in peers}
    runs |= {"optimised": []} if optimised else {}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "conversations.jsonl"
        write(file, n)
        os.environ["AUDITOR_HOME"] = folder
        for _ in range(rounds):
            for name in peers:
                runs[name].append(measure(name, model, file))
            if optimised:
                runs["optimised"].append(measure("ours", optimised, file))
    paces = {name: [pace(told) for told in found] for name, found in runs.items()}
    limits = {
        kind: [told["ratings"] * told[kind] / told["tokens"] for told in runs["ours"]]
        for kind in ("prefill", "prefill_at_length")
    }
    figures = {f"ratings_per_s_{name}": summary(values, "1/s") for name, values in paces.items()}
    figures["ratings_per_s_limit"] = summary(limits["prefill"], "1/s")
    figures["ratings_per_s_limit_at_length"] = summary(limits["prefill_at_length"], "1/s")
    for name in ("ours", "server") if served else ("ours",):
        figures[f"prefill_{name}"] = summary([told["prefill"] for told in runs[name]], "tokens/s")
    figures["prefill_at_length_ours"] = summary([told["prefill_at_length"] for told in runs["ours"]], "tokens/s")
    # Turning texts into tokens and cutting them into batches, before anything is computed of them.
    figures["preparing_ours"] = summary([told["preparing"] for told in runs["ours"]], "s")
    figures["seconds_ours"] = summary([told["seconds"] for told in runs["ours"]], "s")
    ratios = {
        "ours_vs_loop": ratio(paces["ours"], paces["loop"]),
        "ours_vs_best_loop": ratio(paces["ours"], paces["best_loop"]),
        "share_of_limit": ratio(paces["ours"], limits["prefill"]),
        "share_of_limit_at_length": ratio(paces["ours"], limits["prefill_at_length"]),
    }
    if served:
        ratios["ours_vs_server"] = ratio(paces["ours"], paces["server"])
    if optimised:
        ratios["optimised_vs_loop"] = ratio(paces["optimised"], paces["loop"])
    told = runs["ours"][0]
    settings = {
        "model": Library().get(model).name if model != "starter" else "starter",
        "conversations": n,
        "rounds": rounds,
        "plan": told["plan"],
        "unique_tokens": told["tokens"],
        "prompt_length": told["prompt_length"],
        "limit_prompt_length": told["limit_prompt_length"],
        "device": told["device"],
        "loops_offload_all_layers": runs["loop"][0]["offloads"] and runs["best_loop"][0]["offloads"],
        "server": "llama-server through xllamacpp, 1 slot, prompt cache, flash attention"
        if served
        else "left out: xllamacpp is not installed",
    }
    report(settings, figures, ratios)


if __name__ == "__main__":
    main()
