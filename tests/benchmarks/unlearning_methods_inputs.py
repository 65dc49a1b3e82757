"""What `tests.benchmarks.unlearning_methods` learns and forgets: the bundled sample, or TOFU with a part of what it keeps."""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from auditor.audits.unlearning import sample
from auditor.audits.unlearning.examples import Example
from auditor.audits.unlearning.spec import UnlearningSpec

#: TOFU has 20 questions in a row about each author.
_AN_AUTHOR = 20
#: Learnt so that there is something to forget. Rates are ours, chosen for a model of 135 million weights.
_LEARN_TOFU: Mapping[str, Any] = {"method": "learn", "epochs": 10, "batch_size": 32, "learning_rate": 5e-4}
#: As published for TOFU (lambda 100, eta 5, five epochs before the first dual update, ten epochs, batches of 4, linear schedule
#: with an epoch of warm-up, weight decay .01), but for gamma, which balances both terms, epsilon, which is measured and proposed,
#: and the learning rate: published 1e-5 for a thousand million weights and more.
_UNLEARN_TOFU: Mapping[str, Any] = {"epochs": 10, "batch_size": 4, "learning_rate": 2e-5}


@dataclass(frozen=True)
class Task:
    """Texts and settings.

    Attributes
    ----------
    name : str
    forget, retain : tuple of Example
        Both are learnt; then one is forgotten and the other kept.
    never_seen : tuple of Example
        Never trained on.
    learn, unlearn : UnlearningSpec
    scale : mapping of str to Any
        How many of what there is were taken, in words and numbers.
    """

    name: str
    forget: tuple[Example, ...]
    retain: tuple[Example, ...]
    never_seen: tuple[Example, ...]
    learn: UnlearningSpec
    unlearn: UnlearningSpec
    scale: Mapping[str, Any]


def sample_task(learn: Mapping[str, Any], unlearn: Mapping[str, Any]) -> Task:
    """The invented facts that ship, with the settings that ship.

    Parameters
    ----------
    learn, unlearn : mapping of str to Any
        Settings in place of those.
    """
    files = sample.files()
    forget, retain, never = (_examples(_lines(files[role])) for role in ("forget", "retain", "holdout"))
    note = "Every batch holds all texts: a seed changes their order within the batch, and so the rounding, only."
    is_whole = {**sample.UNLEARN, **unlearn}["batch_size"] >= max(len(forget), len(retain))
    return Task(
        "sample",
        forget,
        retain,
        never,
        UnlearningSpec(**{**sample.LEARN, **learn}),
        UnlearningSpec(**{**sample.UNLEARN, **unlearn}),
        {"note": note} if is_whole else {},
    )


def tofu_task(
    learn: Mapping[str, Any], unlearn: Mapping[str, Any], *, others: int, retain: int, never_seen: int, draw: int
) -> Task:
    """forget01 is forgotten; the rest of forget10 and whole authors of retain90 are kept.

    Parameters
    ----------
    learn, unlearn : mapping of str to Any
        Settings in place of ours.
    others : int
        Questions of forget10 beside forget01, from the first one on; at most 360.
    retain, never_seen : int
        Questions of retain90, of drawn authors: learnt and kept, and never trained on.
    draw : int
        Seed of the authors.
    """
    folder = Path(os.environ.get("AUDITOR_DATA", Path(__file__).parents[3] / "shared" / "data")) / "tofu"
    if not folder.is_dir():
        raise SystemExit(f"TOFU is not there: name the folder that holds {folder.name} in AUDITOR_DATA.")
    asked_otherwise = {
        (row["question"], row["answer"]): row["paraphrased_question"]
        for name in ("forget10_perturbed", "retain_perturbed")
        for row in _lines(folder / f"{name}.json")
    }
    rows = {name: _lines(folder / f"{name}.json") for name in ("forget01", "forget10", "retain90")}
    for every in rows.values():
        for row in every:
            row["paraphrased_question"] = asked_otherwise.get((row["question"], row["answer"]), "")
    rest = [row for row in rows["forget10"] if row not in rows["forget01"]][:others]
    assert len(rows["forget10"]) - len(rows["forget01"]) >= len(rest) == others, "forget01 is a part of forget10"
    authors = np.random.default_rng(draw).permutation(len(rows["retain90"]) // _AN_AUTHOR).tolist()
    drawn = [row for author in authors for row in rows["retain90"][author * _AN_AUTHOR : (author + 1) * _AN_AUTHOR]]
    # Authors that are learnt in part are no strangers.
    begin = -(-retain // _AN_AUTHOR) * _AN_AUTHOR
    kept, never = drawn[:retain], drawn[begin : begin + never_seen]
    assert (len(kept), len(never)) == (retain, never_seen), "retain90 has as many questions"
    common = {"warmup_epochs": 1.0, "weight_decay": 0.01, "schedule": "linear"}
    return Task(
        "tofu",
        _examples(rows["forget01"]),
        _examples([*rest, *kept]),
        _examples(never),
        UnlearningSpec(**{**common, **_LEARN_TOFU, **learn}),
        UnlearningSpec(**{**common, **_UNLEARN_TOFU, **unlearn}),
        {
            "learnt": f"forget01 ({len(rows['forget01'])}), {others} others of forget10, {retain} of retain90's 3,600",
            "kept": f"those {others} and {retain}",
            "authors_drawn_with_seed": draw,
        },
    )


def shortened(task: Task, n: int) -> Task:
    """The first texts of a task only."""
    return Task(
        task.name, task.forget[:n], task.retain[:n], task.never_seen[:n], task.learn, task.unlearn, {"first": n}
    )


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]


def _examples(rows: Sequence[Mapping[str, Any]]) -> tuple[Example, ...]:
    return tuple(
        Example(
            str(row.get("id", number)),
            row["question"],
            row["answer"],
            number,
            paraphrased_question=row.get("paraphrased_question", ""),
        )
        for number, row in enumerate(rows, 1)
    )
