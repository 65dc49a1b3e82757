"""Questions of the desktop about the guard; see `auditor.tasks`."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from auditor.audits import InputFile, guard
from auditor.audits.guard.conditions import CORRECT, ZERO_SHOT, described
from auditor.case import Case
from auditor.errors import InputError
from auditor.models.library import Library
from auditor.runs.clock import duration
from auditor.runs.directory import RunDirectory
from auditor.runs.executor import LOCAL
from auditor.sizes import size_words

if TYPE_CHECKING:
    from auditor.audits.guard.inputs import GuardInputs
    from auditor.audits.guard.prompts import Prompts
    from auditor.audits.guard.task import Example
    from auditor.audits.guard.template import Encoded, PromptText, Tokenize
    from auditor.models.fit import Fit
    from auditor.models.words import Words

#: A run says something at least so often while it works (ours): loading a model takes longest.
_LONGEST_GAP_S = 60.0
Question = Mapping[str, Any]
Progress = Callable[[int, int, str], None]

#: Settings that change how long a prompt takes.
_COST_FIELDS = ("demonstrations", "n_demonstrations", "backend", "device", "dtype", "limit")


def guard_check(asked: Question, _progress: Progress) -> Any:
    """What a run would rest on, read as the run will read it; whether it could certify anything; and what it would cost.

    Labels that the model cannot tell apart are refused here, before anything runs.

    Asked: files (role -> path), spec, model, case.
    """
    spec = _spec(asked["spec"])
    given = _inputs(asked["files"], spec)
    with _words(asked["model"]) as words:
        _label_tokens(given, words)
    fit = _fit(asked["model"], spec)
    pace = _pace(asked["case"], asked["model"], spec) if asked.get("case") else None
    n_prompts = len(given.queries) * (2 + len(spec.conditions))
    memory = f"{size_words(fit.memory_bytes)} of memory"
    if not fit.fits:
        sentence = fit.sentence
    elif pace is None:
        sentence = f"{n_prompts:,} prompts, {memory}; time is not known before the first run."
    else:
        sentence = f"About {duration(n_prompts * pace)} on this machine, {memory}."
    return {
        "fits": fit.fits,
        "sentence": sentence,
        "facts": _facts(given, spec),
        "planning": _planning(given, spec),
        "cautions": [caution.message for caution in given.cautions],
    }


def _spec(fields: Mapping[str, Any]) -> guard.Spec:
    try:
        return guard.Spec.model_validate(fields)
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0]) if first["loc"] else ""
        title = guard.Spec.model_fields[name].title if name in guard.Spec.model_fields else "A setting"
        raise InputError(
            f"“{title}”: {str(first['msg']).removeprefix('Value error, ')}", value=first["input"]
        ) from None


def _inputs(files: Mapping[str, str], spec: guard.Spec) -> "GuardInputs":
    from auditor.audits.guard.inputs import read

    return read({role: InputFile(Path(path), Path(path).name, "") for role, path in files.items()}, spec)


def _facts(given: "GuardInputs", spec: guard.Spec) -> str:
    counts = Counter(query.label for query in given.queries)
    labels = ", ".join(f"{label} {counts[label]:,}" for label in given.task.labels)
    drawn = "of which each query draws" if spec.demonstrations == "resampled" else "of which the first"
    return (
        f"{len(given.queries):,} queries ({labels}); {len(given.demonstrations):,} demonstrations, {drawn} "
        f"{spec.n_demonstrations:,}{'' if spec.demonstrations == 'resampled' else ' stand in every prompt'}."
    )


def _planning(given: "GuardInputs", spec: guard.Spec) -> str:
    """From how many calibration queries on a certificate can be had. It warns and never refuses."""
    import numpy as np

    from auditor.audits.guard.planning import HARMED, HELPED, POWER, fewest, needed
    from auditor.audits.guard.pools import split, units

    unit = units(given.queries)
    sizes = np.unique(unit[split(given.queries, spec.calibration_share, seed=0).calibration], return_counts=True)[1]
    largest = spec.largest_group or int(np.bincount(unit).max())
    grouped = largest > 1
    harmless = fewest(spec, sizes, largest=largest)
    helpful = fewest(spec, sizes, largest=largest, harmed=HARMED, helped=HELPED)
    told = (
        f"About {needed(len(sizes), grouped=grouped)} calibrate. A certificate takes {needed(harmless, grouped=grouped)} if "
        f"demonstrations change no answer; {needed(helpful, grouped=grouped)} give one in {POWER:.0%} of draws if they put "
        f"{HELPED:.0%} right and {HARMED:.0%} wrong."
    )
    if harmless is None or len(sizes) < harmless:
        told += " So it is unlikely: add queries, or allow a larger epsilon."
    return told


def _fit(name: str, spec: guard.Spec) -> "Fit":
    """Memory that the model would take, before it is loaded: in float32, since which format is faster shows later."""
    import psutil

    from auditor.models.fit import estimate
    from auditor.models.torch_fit import estimate_torch

    model = Library().get(name)
    if spec.backend == "llama.cpp":
        return estimate(model, n_ctx=2048)
    return estimate_torch(
        model,
        dtype_bytes=2 if spec.dtype == "bfloat16" else 4,
        n_tokens=1024,
        free_bytes=int(psutil.virtual_memory().available),
        place="in memory",
    )


def _pace(case: str, model_name: str, spec: guard.Spec) -> float | None:
    """Seconds a prompt of the newest finished run took here with the same model and the same settings that cost time."""
    model, wanted = Library().get(model_name), spec.model_dump(mode="json")
    with Case.open(Path(case), write=False) as opened:
        for summary in opened.runs():
            if summary.audit != guard.name or not summary.sealed or summary.executor != LOCAL:
                continue
            run = RunDirectory(summary.path)
            asked = run.spec()
            same_model = any(used.sha256 == model.sha256 for used in asked.models.values())
            if same_model and all(asked.spec.get(name) == wanted.get(name) for name in _COST_FIELDS):
                return _seconds(run) / max(1, int(run.findings()["n"]) * (2 + len(_spec(asked.spec).conditions)))
    return None


def _seconds(run: RunDirectory) -> float:
    """Between the events of a run, without the pauses of one that was interrupted."""
    times = [datetime.fromisoformat(event["t"]) for event in run.events()]
    gaps = ((later - sooner).total_seconds() for sooner, later in pairwise(times))
    return sum(min(gap, _LONGEST_GAP_S) for gap in gaps)


def guard_prompt(asked: Question, _progress: Progress) -> Any:
    """The prompt of the first query with and without demonstrations, in pieces with their numbers of tokens.

    Asked: files, spec, model, condition, seed.
    """
    spec = _spec(asked["spec"])
    given = _inputs(asked["files"], spec)
    with _words(asked["model"]) as words:
        prompts, query = _prompts(given, spec, words.tokenize, int(asked["seed"])), given.queries[0]
        shown = {}
        for condition in (asked["condition"], ZERO_SHOT):
            text = prompts.text(condition, query)
            shown[condition] = (text, prompts.encoder.encode(text))
        spellings = _spellings(given, words)
    (text, encoded), (_, bare) = shown[asked["condition"]], shown[ZERO_SHOT]
    return {
        "pieces": _pieces(text, encoded, described(asked["condition"])),
        "tokens": len(encoded),
        "tokens_zero_shot": len(bare),
        **spellings,
    }


@contextmanager
def _words(name: str) -> "Iterator[Words]":
    from auditor.models.words import words_of

    model = Library().get(name)
    words = words_of(model, model.path)
    try:
        yield words
    finally:
        words.close()


def _prompts(given: "GuardInputs", spec: guard.Spec, tokenize: "Tokenize", seed: int) -> "Prompts":
    from auditor.audits.guard.attacks import Material
    from auditor.audits.guard.pools import Draw
    from auditor.audits.guard.prompts import Prompts
    from auditor.audits.guard.template import Encoder, Template

    return Prompts(
        task=given.task,
        template=Template.of(spec),
        encoder=Encoder(tokenize),
        draw=Draw(given.demonstrations, spec, seed),
        material=Material(spec.target, given.corrupted),
        seed=seed,
    )


def _pieces(text: "PromptText", encoded: "Encoded", title: str) -> list[list[str]]:
    first = f"{title}: {len(encoded.prefix):,} tokens"
    return [[first, "".join(text.prefix)], [f"Query: {len(encoded.query):,} tokens", "".join(text.query)]]


def _spellings(given: "GuardInputs", words: "Words") -> dict[str, Any]:
    """How the model says each label, or why it cannot tell them apart."""
    try:
        found = _label_tokens(given, words)
    except InputError as error:
        return {"labels": [], "problem": str(error)}
    told = [
        f"{label}: {', '.join(repr(words.text([token])) for token in tokens)}"
        for label, tokens in zip(given.task.labels, found, strict=True)
    ]
    return {"labels": told, "problem": ""}


def _label_tokens(given: "GuardInputs", words: "Words") -> list[tuple[int, ...]]:
    """Tokens by which each label is scored, as the scorer has them; InputError if the model cannot tell labels apart."""
    from auditor.audits.guard.label_words import label_tokens_of
    from auditor.models.exits import spellings

    def label_tokens(word: str) -> tuple[int, ...]:
        tokens = (words.tokenize(spelling, begin=False) for spelling in spellings(word))
        return tuple(sorted({found[0] for found in tokens if len(found) == 1}))

    return label_tokens_of(given.task, words.tokenize, label_tokens)


def guard_query(asked: Question, _progress: Progress) -> Any:
    """One query of a run under one condition: its prompts word for word, its answers, and how sure they were.

    Asked: run_dir, row, condition.
    """
    run = RunDirectory(Path(asked["run_dir"]))
    shown = shown_query(run, int(asked["row"]), asked["condition"])
    answers = {
        row["condition"]: [described(row["condition"]), _answer(row)] for row in answers_of(run, shown.query.place)
    }
    parts = [
        ["Text", shown.query.text],
        ["Label", shown.query.label],
        answers.pop(shown.condition),
        [f"Prompt: {described(shown.condition)}", shown.prompt],
        ["Prompt: Zero-shot", shown.zero_shot],
        *answers.values(),
    ]
    return {"row": shown.query.place, "condition": shown.condition, "parts": parts}


@dataclass(frozen=True)
class ShownQuery:
    """A query of a run with its prompts word for word.

    Attributes
    ----------
    query : Example
    condition : str
        The one that was asked for, or the run's first attack where it has no such one.
    prompt, zero_shot : str
        With demonstrations as the condition has them, and without.
    """

    query: "Example"
    condition: str
    prompt: str
    zero_shot: str


def shown_query(run: RunDirectory, row: int, condition: str) -> ShownQuery:
    """A query of a run by its row in the file, read from the run's inputs.

    Raises
    ------
    InputError
        If the row holds none, or the inputs cannot be read.
    """
    record = run.spec()
    spec = _spec(record.spec)
    given = _inputs_of(run, spec)
    query = next((one for one in given.queries if one.place == row), None)
    if query is None:
        raise InputError("There is no query in this row", row=row)
    asked = condition if condition in (CORRECT, *spec.conditions) else spec.conditions[0]
    prompts = _prompts(given, spec, _no_tokens, record.seed)
    return ShownQuery(query, asked, prompts.text(asked, query).text, prompts.text(ZERO_SHOT, query).text)


def answers_of(run: RunDirectory, row: int) -> list[dict[str, Any]]:
    """Rows of a run's table of queries that are of one query, a condition each."""
    import pyarrow.parquet as pq

    found: list[dict[str, Any]] = pq.read_table(run.table_files()["queries"], filters=[("row", "=", row)]).to_pylist()
    return found


def _inputs_of(run: RunDirectory, spec: guard.Spec) -> "GuardInputs":
    from auditor.audits.guard.inputs import read

    return read(run.inputs(check=False), spec)


def _no_tokens(text: str, *, begin: bool) -> list[int]:
    """For prompts that are looked at as text only."""
    return [int(begin)] * (1 + bool(text))


def _answer(row: Mapping[str, Any]) -> str:
    read_at = "fell back on zero-shot" if row["exit"] is None else f"read at layer {row['exit']}"
    return (
        f"zero-shot {row['zero_shot']}, unguarded {row['unguarded']}, guarded {row['guarded']} ({read_at}); probability of the "
        f"right label {row['p_zero_shot']:.3f} zero-shot, {row['p_unguarded']:.3f} with demonstrations"
    )


TASKS: tuple[Callable[[Question, Progress], Any], ...] = (guard_check, guard_prompt, guard_query)
