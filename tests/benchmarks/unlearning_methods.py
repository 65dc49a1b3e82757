"""Methods of unlearning in one table: the same model, the same texts, the same steps, several seeds.

``python -m tests.benchmarks.unlearning_methods [sample|tofu] [--device cpu|cuda] [--dtype float32|bfloat16] [--methods
pdu,grad_diff,npo,simnpo] [--seeds 0,1,2] [--learn-epochs N] [--epochs N] [--learn NAME=VALUE,...] [--set NAME=VALUE,...]
[--others N] [--retain N] [--never-seen N] [--draw SEED] [--model NAME_OR_FILE_OR_FOLDER] [--keep FILE] [--quick]``

For each seed the model learns the texts once, and each method begins with these weights. ``sample``: the bundled facts with
the bundled settings. ``tofu`` (from AUDITOR_DATA): forget01, the first ``--others`` of the rest of forget10 and ``--retain`` of
retain90 are learnt, then forget01 is forgotten and the others kept; ``--never-seen`` of retain90, of authors that nothing was
learnt of, show what probability an answer has that nobody taught. Baselines have their published settings, and rate, epochs and
batches of pdu. ``--learn`` and ``--set`` name fields of `UnlearningSpec` for the one training and the other.

Every figure has the values of the seeds in their order, without those whose training failed, their mean and range. `last_...` are
of the weights after the last step; `kept_...` of those that a run of the program would keep: of the probed step that is feasible
(retain loss at or below epsilon) and forgets most, else of the last one. Probability is exp(-mean loss) over an answer's own
tokens, mean over answers; the retain loss has the token that ends an answer, as epsilon has. Weights stay in the precision of
training: nothing is rounded for a file.
A GGUF file is dequantised into a folder first, its tokenizer too, so that llama.cpp is not needed. With --keep, a file of JSON
lines and, beside it, a folder of learnt weights, a second call with the same settings goes on where the first one stopped.
"""

import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from auditor.models import ModelFile
from auditor.models.folder import inspect_folder
from tests.benchmarks.harness import is_quick, option, ratio, report, summary
from tests.benchmarks.unlearning_methods_inputs import Task, sample_task, shortened, tofu_task
from tests.benchmarks.unlearning_methods_runs import UNITS, Kept, Runs

#: More figures of learnt weights, and of a method's training, with their units.
_OF_LEARNT = {"never_seen_probability": "probability", "epsilon": "nats", "gamma": "weight"}
_OF_METHOD = {
    "lambda_last": "weight",
    "lambda_highest": "weight",
    "kept_step": "step",
    "found_feasible": "yes or no",
    "seconds": "s",
    "tokens_per_s": "tokens/s",
}


def model_in(name: str, home: Path) -> ModelFile:
    """The model as a folder; a GGUF file is written as one."""
    from tests.models.tiny import write

    if is_quick() and name == "starter":
        tiny = home / "tiny"
        return inspect_folder(tiny if tiny.exists() else write(tiny, "llama"))
    if Path(name).is_dir():
        return inspect_folder(Path(name))
    from auditor.models import gguf_to_tokenizer, gguf_weights
    from auditor.models.library import Library

    file = Library().get(name)
    if file.format == "folder":
        return inspect_folder(file.path)
    target = home / f"dequantised-{file.sha256[:16]}"
    if not target.exists():
        part = Path(tempfile.mkdtemp(dir=home))
        gguf_weights.write(file, part)
        gguf_to_tokenizer.write(file, part)
        part.rename(target)
    return inspect_folder(target, name=file.name)


def task_of(name: str) -> Task:
    """Texts and settings, as the command line names them."""
    learn, unlearn = _named("--learn"), _named("--set")
    for flag, settings in (("--learn-epochs", learn), ("--epochs", unlearn)):
        if given := option(flag, "2" if is_quick() else ""):
            settings["epochs"] = given
    if name == "sample":
        return shortened(sample_task(learn, unlearn), 3) if is_quick() else sample_task(learn, unlearn)
    if is_quick():
        return shortened(tofu_task(learn, unlearn, others=2, retain=2, never_seen=2, draw=0), 4)
    others, retain, never_seen, draw = (
        int(option(flag, usual))
        for flag, usual in (("--others", "360"), ("--retain", "400"), ("--never-seen", "100"), ("--draw", "0"))
    )
    return tofu_task(learn, unlearn, others=others, retain=retain, never_seen=never_seen, draw=draw)


def _named(flag: str) -> dict[str, Any]:
    return dict(pair.split("=", 1) for pair in option(flag, "").split(",") if pair)


def figures_of(kept: Kept, methods: Sequence[str], seeds: Sequence[int]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Figures and ratios of all rows, over seeds."""
    learnt = _found(kept, "learnt", seeds)
    figures: dict[str, Any] = {}
    for name in learnt[0]["start"]:
        figures |= _figure(f"start_{name}", [row["start"][name] for row in learnt], "probability")
    for name, unit in {**UNITS, **_OF_LEARNT}.items():
        figures |= _figure(f"learnt_{name}", [row["before"].get(name) for row in learnt], unit)
    figures |= _figure("learnt_seconds", [row["seconds"] for row in learnt], "s")
    ratios = {}
    for method in methods:
        rows = _found(kept, method, seeds)
        figures |= _figure(f"failed_{method}", [row["failed"] is not None for row in rows], "yes or no")
        done = [row for row in rows if row["failed"] is None]
        for name, unit in _OF_METHOD.items():
            figures |= _figure(f"{name}_{method}", [row[name] for row in done], unit)
        for which in ("last", "kept") if done else ():
            for name, unit in UNITS.items():
                figures |= _figure(f"{which}_{name}_{method}", [row[which][name] for row in done], unit)
            after, before = ([row[one]["retain_probability"] for row in done] for one in (which, "before"))
            ratios[f"{which}_retain_probability_vs_learnt_{method}"] = ratio(after, before)
    return figures, ratios


def _found(kept: Kept, kind: str, seeds: Sequence[int]) -> list[dict[str, Any]]:
    return [row for seed in seeds if (row := kept.find(kind, seed)) is not None]


def _figure(name: str, values: Sequence[float | None], unit: str) -> dict[str, Any]:
    known = [float(value) for value in values if value is not None]
    if not known:
        return {}
    return {name: {**summary(known, unit), "mean": sum(known) / len(known), "values": known}}


def table_of(figures: Mapping[str, Any], methods: Sequence[str]) -> str:
    """Means and ranges, for a person."""
    columns = ("forget_probability", "retain_probability", "retain_loss", "extraction_strength", "reaches_goal")
    names = [("learnt", "learnt_{}")]
    names += [(f"{method}, {which}", f"{which}_{{}}_{method}") for which in ("last", "kept") for method in methods]
    lines = ["".join(f"{word:>28}" for word in ("", *columns))]
    for title, form in names:
        found = [figures.get(form.format(column)) for column in columns]
        cells = [f"{one['mean']:.3g} [{one['min']:.3g}, {one['max']:.3g}]" if one else "-" for one in found]
        lines.append("".join(f"{cell:>28}" for cell in (title, *cells)))
    return "\n".join(lines)


def main() -> None:
    """Measure."""
    name = next((word for word in sys.argv[1:2] if word in ("sample", "tofu")), "sample")
    seeds = [int(seed) for seed in option("--seeds", "0" if is_quick() else "0,1,2").split(",")]
    methods = option("--methods", "pdu,grad_diff,npo,simnpo").split(",")
    task = task_of(name)
    with tempfile.TemporaryDirectory() as folder:
        os.environ.setdefault("AUDITOR_HOME", folder)
        keep = Path(option("--keep", str(Path(folder) / "rows.jsonl"))).resolve()
        home = keep.with_name(f"{keep.name}.weights")
        home.mkdir(parents=True, exist_ok=True)
        file = model_in(option("--model", "starter"), home)
        runs = Runs(task, file, home, device=option("--device", "cpu"), dtype=option("--dtype", "float32"))
        settings, kept = runs.settings, Kept(keep, runs.settings)
        runs.all(kept, methods, seeds)
    figures, ratios = figures_of(kept, methods, seeds)
    sys.stderr.write(f"{table_of(figures, methods)}\n")
    report({**settings, "methods": methods, "seeds": seeds}, figures, ratios)


if __name__ == "__main__":
    main()
