"""Questions of the desktop about unlearning; see `auditor.tasks`."""

import contextlib
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from auditor.audits import InputFile, unlearning
from auditor.audits.unlearning.words import LEARNT, UNLEARNT, counted, percent
from auditor.case import Case
from auditor.errors import InputError, ModelError, RunError
from auditor.models.library import Library
from auditor.runs.clock import duration
from auditor.runs.directory import RunDirectory
from auditor.runs.executor import LOCAL
from auditor.sizes import size_words

if TYPE_CHECKING:
    from auditor.audits.unlearning.inputs import UnlearningInputs
    from auditor.audits.unlearning.material import Material
    from auditor.models.disk_fit import DiskFit
    from auditor.models.file import ModelFile
    from auditor.models.fit import Fit

Question = Mapping[str, Any]
Progress = Callable[[int, int, str], None]

#: Rows of a file whose tokens are counted before a run (ours); the run counts all.
_COUNTED = 20_000
#: Settings that change how long a token takes to train on, and an example to measure.
_TRAINING_FIELDS = ("gradient_checkpointing", "device", "dtype", "max_tokens")
_MEASURING_FIELDS = ("new_tokens", "gguf", "quantised", "relearn_steps", "relearn_items", "reference_model")
#: How a way of asking is called above its prompt, in this order; as trained the example itself is asked.
_AS_TRAINED = "question"
WAYS: Mapping[str, str] = {
    "paraphrase": "Asked in other words",
    "prefix": "Asked with a text before the question",
    "answer start": "Asked with half of the answer given",
    "chat": "Asked in a chat",
}


def unlearning_check(asked: Question, _progress: Progress) -> Any:
    """What a run would rest on, read as the run will read it, and what it would cost.

    Asked: files (role -> path), spec, model, case, seed; elsewhere, whether the run is for another machine.
    """
    from auditor.audits.unlearning.cautions import before_training
    from auditor.audits.unlearning.inputs import read
    from auditor.audits.unlearning.material import check_method, longest, material
    from auditor.models.words import words_of

    spec = _spec(asked["spec"])
    given = read({role: InputFile(Path(path), Path(path).name, "") for role, path in asked["files"].items()}, spec)
    model = Library().get(asked["model"])
    check_method(spec, given, model)
    words = words_of(model, model.path)
    try:
        few = replace(given, forget=given.forget[:_COUNTED], retain=given.retain[:_COUNTED])
        texts = material(words, few, spec, end=None, context_length=model.context_length)
        length = longest(texts, words, spec, int(asked["seed"]))
    finally:
        words.close()
    # Another machine's device is not looked for here.
    device = "cpu" if asked.get("elsewhere") else spec.device
    fits = _fits(model, spec, device, length)
    disk = _disk(asked, model, spec)
    refusals = [one.sentence for one in fits if not one.fits] + [one.sentence for one in disk if not one.fits]
    problem = next(iter(refusals), "")
    memory = max(found.memory_bytes for found in fits)
    pace = _pace(asked["case"], model, spec) if asked.get("case") else _Pace()
    return {
        "fits": not problem,
        "memory_bytes": memory,
        "sentence": problem or _cost(pace, given, texts, spec, _taken(memory, disk)),
        "facts": _facts(given, texts, spec, length),
        "cautions": [caution.message for caution in (*given.cautions, *before_training(spec, len(given.forget)))],
    }


def _spec(fields: Mapping[str, Any]) -> unlearning.Spec:
    try:
        return unlearning.Spec.model_validate(fields)
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0]) if first["loc"] else ""
        known = unlearning.Spec.model_fields
        title = known[name].title if name in known else "A setting"
        message = str(first["msg"]).removeprefix("Value error, ")
        raise InputError(f"“{title}”: {message}", value=first["input"]) from None


# ---- memory


def _fits(model: "ModelFile", spec: unlearning.Spec, device: str, length: int) -> "list[Fit]":
    """Memory to train and to write down, and to read a reference model, before anything is loaded; one after the other.

    In float32 where nobody chose otherwise, since which format is faster is measured by the run.
    """
    from auditor.audits.unlearning.material import workload_of
    from auditor.models.torch_fit import estimate_torch, estimate_training, estimate_writing, read_tokens

    workload = workload_of(spec, length)
    dtype_bytes = 2 if spec.dtype == "bfloat16" else 4
    memory, is_graphics = _free(device)
    place = "on the graphics processor" if is_graphics else "in memory"
    training = estimate_training(
        model,
        dtype_bytes=dtype_bytes,
        lora_rank=spec.lora_rank or None,
        gradient_checkpointing=spec.gradient_checkpointing,
        workload=workload,
        free_bytes=memory,
        place=place,
        is_cuda=is_graphics,
    )
    writing = estimate_writing(
        model, dtype_bytes=dtype_bytes, written_bytes=workload.written_bytes, free_bytes=_free("cpu")[0]
    )
    if not (spec.reference_model and spec.unlearns):
        return [training, writing]
    # Read before the start model is loaded. Where it does not fit when it is trained again, there is no curve of it, which the
    # run says.
    reference = estimate_torch(
        Library().get(spec.reference_model),
        dtype_bytes=dtype_bytes,
        n_tokens=read_tokens("cuda" if is_graphics else "cpu"),
        free_bytes=memory,
        place=place,
    )
    return [training, writing, reference]


def _disk(asked: Question, model: "ModelFile", spec: unlearning.Spec) -> "list[DiskFit]":
    """Room on the disk of the case; nothing where there is none yet, or the run is for another machine."""
    from auditor.audits.unlearning.room import room

    if asked.get("elsewhere") or not asked.get("case"):
        return []
    return [room(spec, model, shutil.disk_usage(asked["case"]).free)]


def _free(device: str) -> tuple[int, bool]:
    """Memory that is free where a run would compute, and whether that is a graphics processor's own."""
    if device == "cpu":
        import psutil

        return int(psutil.virtual_memory().available), False
    from auditor.models.precision import pick_device
    from auditor.models.torch_model import free_bytes

    where = pick_device(device)
    return free_bytes(where), where.type == "cuda"


# ---- time


@dataclass(frozen=True)
class _Pace:
    """How fast an earlier run of a model like this was; None where there was none.

    Attributes
    ----------
    training : float or None
        Seconds a token that is trained on.
    measuring : float or None
        Seconds an example for everything else: loading, measuring before and after, writing.
    """

    training: float | None = None
    measuring: float | None = None


def _taken(memory_bytes: int, disk: "Sequence[DiskFit]") -> str:
    """What a run takes of the machine at most."""
    parts = [f"{size_words(memory_bytes)} of memory"]
    parts += [f"up to {size_words(found.disk_bytes)} on the disk" for found in disk]
    return ", ".join(parts)


def _cost(pace: _Pace, given: "UnlearningInputs", texts: "Material", spec: unlearning.Spec, taken: str) -> str:
    if pace.training is None:
        return f"{taken}; time is not known before the first run of a model like this."
    training = (
        pace.training
        * spec.epochs
        * _tokens_per_epoch(
            len(given.forget),
            len(given.retain),
            sum(len(text.ids) for text in texts.forget),
            sum(len(text.ids) for text in texts.retain),
            spec,
        )
    )
    if pace.measuring is None:
        return f"About {duration(training)} of training on this machine, and measuring before and after; {taken}."
    sizes = (len(given.forget), len(given.retain), len(given.holdout), len(given.probes))
    return f"About {duration(training + pace.measuring * _measured(sizes, spec))} on this machine, {taken}."


def _tokens_per_epoch(
    n_forget: int, n_retain: int, forget_tokens: int, retain_tokens: int, spec: unlearning.Spec
) -> float:
    """Tokens of what is forgotten, and of as many examples to keep; when learning, of both files."""
    if not spec.unlearns:
        return forget_tokens + retain_tokens
    return forget_tokens + n_forget * retain_tokens / max(1, n_retain)


def _measured(sizes: tuple[int, ...], spec: unlearning.Spec) -> int:
    return sum(min(size, spec.evaluated) for size in sizes)


def _pace(case: str, model: "ModelFile", spec: unlearning.Spec) -> _Pace:
    """The pace of the newest finished runs of models of the same shape with the same settings that cost time."""
    found = _Pace()
    with Case.open(Path(case), write=False) as opened:
        for summary in opened.runs():
            if summary.audit != unlearning.name or not summary.sealed or summary.executor != LOCAL:
                continue
            run = RunDirectory(summary.path)
            record = run.spec()
            used = record.models.get("model")
            if used is None or (used.architecture, used.parameters) != (model.architecture, model.parameters):
                continue
            # A run of a later version may have settings that are not known here: it tells nothing.
            with contextlib.suppress(InputError, KeyError):
                found = _with(found, run, _spec(record.spec), spec)
            if found.training is not None and found.measuring is not None:
                break
    return found


def _with(known: _Pace, run: RunDirectory, earlier: unlearning.Spec, spec: unlearning.Spec) -> _Pace:
    """What is known of the pace once another run was looked at."""
    from auditor.audits.unlearning.material import needs_reference

    is_alike = _same(earlier, spec, _TRAINING_FIELDS) and bool(earlier.lora_rank) == bool(spec.lora_rank)
    if not is_alike:
        return known
    data = run.findings()["data"]
    training, measuring = _spent(run)
    n_forget, n_retain = int(data["n_forget"]), int(data["n_retain"])
    sizes = (n_forget, n_retain, int(data["n_holdout"]), int(data["n_probes"]))
    if known.training is None and needs_reference(earlier) == needs_reference(spec):
        tokens = _tokens_per_epoch(n_forget, n_retain, data["forget_tokens"], data["retain_tokens"], earlier)
        known = replace(known, training=training / max(1.0, earlier.epochs * tokens))
    if known.measuring is None and earlier.unlearns == spec.unlearns and _same(earlier, spec, _MEASURING_FIELDS):
        known = replace(known, measuring=measuring / max(1, _measured(sizes, earlier)))
    return known


def _same(one: unlearning.Spec, other: unlearning.Spec, fields: tuple[str, ...]) -> bool:
    return all(getattr(one, name, None) == getattr(other, name, None) for name in fields)


def _spent(run: RunDirectory) -> tuple[float, float]:
    """Seconds that a run has trained, and those for everything else; what lay between two processes counts for neither."""
    training = other = 0.0
    before: datetime | None = None
    for event in run.events():
        now = datetime.fromisoformat(event["t"])
        is_new_process = event["kind"] == "state" and event["state"] == "starting"
        if before is not None and not is_new_process:
            # A step is told once it is taken, and a probe once it is made.
            spent = (now - before).total_seconds()
            training, other = (training + spent, other) if event["kind"] == "metric" else (training, other + spent)
        before = now
    return training, other


# ---- what the files hold


def _facts(given: "UnlearningInputs", texts: "Material", spec: unlearning.Spec, length: int) -> str:
    n_texts = len(texts.forget) + (0 if spec.unlearns else len(texts.retain))
    steps = _steps(spec, n_texts)
    parts = [
        f"{_examples(len(given.forget), 'to forget' if spec.unlearns else 'to learn and forget later', texts.forget)}",
        f"{_examples(len(given.retain), 'to keep', texts.retain)}",
    ]
    parts += [f"{len(given.holdout):,} never learnt"] if given.holdout else []
    parts += [counted(len(given.probes), "probe", "probes")] if given.probes else []
    more = "" if max(len(given.forget), len(given.retain)) <= _COUNTED else f" in the first {_COUNTED:,} rows"
    cut = (
        f" {counted(texts.n_cut, 'answer is', 'answers are')} cut at {spec.max_tokens:,} tokens." if texts.n_cut else ""
    )
    return (
        f"{'; '.join(parts)}. The longest has {length:,} tokens{more}.{cut} {counted(steps, 'step', 'steps')} in "
        f"{counted(spec.epochs, 'epoch', 'epochs')}."
    )


def _steps(spec: unlearning.Spec, n_texts: int) -> int:
    from auditor.audits.unlearning.material import training_settings

    return spec.epochs * training_settings(spec, None).steps_per_epoch(n_texts)


def _examples(n: int, what: str, texts: Any) -> str:
    tokens = sum(len(text.ids) for text in texts)
    answers = sum(len(text.ids) - text.answer_from for text in texts)
    return f"{counted(n, 'example', 'examples')} {what} ({tokens:,} tokens, {answers:,} in answers)"


# ---- one example of a finished run


def unlearning_example(asked: Question, _progress: Progress) -> Any:
    """One example of a finished run: question, answer, what was and is said, and every way it was asked for.

    Asked: run_dir, kind (forget, probes, retain or holdout), row.
    """
    run = RunDirectory(Path(asked["run_dir"]))
    kind, row = str(asked["kind"]), int(asked["row"])
    found = _rows(run, "examples", kind=kind, row=row)
    if not found:
        raise InputError(f"There is no example of the kind {kind} in this row", row=row)
    example = found[0]
    parts = [["Question", example["question"]]] if example["question"] else []
    parts += [["Answer" if example["question"] else "Text", example["answer"]], *_said(example)]
    for way in _other_ways(run, row) if kind == "forget" else ():
        parts.append([WAYS.get(way["kind"], f"Asked: {way['kind']}"), way["prompt"]])
        parts += [["Wanted", way["answer"]]] if way["answer"] != example["answer"] else []
        parts += _said(way)
    return {"kind": kind, "row": row, "parts": parts}


def _other_ways(run: RunDirectory, row: int) -> list[dict[str, Any]]:
    """How an example to forget was asked for otherwise, each kind together."""
    found = [way for way in _rows(run, "other_ways", row=row) if way["kind"] != _AS_TRAINED]
    order = {kind: place for place, kind in enumerate(WAYS)}
    return sorted(found, key=lambda way: order.get(way["kind"], len(order)))


def _said(row: Mapping[str, Any]) -> list[list[str]]:
    """What the model said before and says after, and how probable what is wanted was to it and is."""
    found = []
    for when, heading in (("before", "Said before"), ("after", "Says after")):
        generated = row[f"generated_{when}"]
        found.append([heading, "(nothing was generated)" if generated is None else generated or "(nothing)"])
    known = {when: row[f"probability_{when}"] for when in ("before", "after")}
    told = ", ".join(f"{percent(value)} {when}" for when, value in known.items() if value is not None)
    return [*found, ["Probability a token", told]] if told else found


def _rows(run: RunDirectory, table: str, **where: Any) -> list[dict[str, Any]]:
    """Rows of a table in which columns have these values; none where the run has no such table."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    file = run.table_files().get(table)
    if file is None:
        if table in {info["name"] for info in run.findings()["tables"]}:
            raise RunError(f"The table {table} of run {run.path.name} is missing: verify the case.")
        return []
    try:
        read = pq.read_table(file, filters=[(name, "=", value) for name, value in where.items()])
    except (pa.ArrowException, KeyError, ValueError, OSError) as error:
        raise RunError(f"The table {table} of run {run.path.name} is damaged: verify the case.") from error
    rows: list[dict[str, Any]] = read.to_pylist()
    return rows


# ---- the model that a run has made


def unlearning_adopt(asked: Question, progress: Progress) -> Any:
    """Take a model that a run has written into the library, where it lies.

    Asked: run_dir, name (of the file in the run).
    """
    run = RunDirectory(Path(asked["run_dir"]))
    findings = run.findings()
    made = next((one for one in findings["exports"] if one["name"] == asked["name"]), None)
    if made is None:
        raise RunError(f"The run {run.path.name} has written no {asked['name']}.")
    path, library = run.path / made["name"], Library()
    known = next((model for model in library.list() if model.sha256 == made["sha256"]), None)
    if known is not None:
        return {"name": known.name, "format": known.format, "sentence": f"{known.name} is in the library already."}
    if not path.exists():
        raise ModelError(f"{made['name']} of run {run.path.name} is gone: verify the case.")
    name = _free_name(library, _named(findings, path))
    model = library.add(path, name=name, progress=lambda done: progress(done, made["size_bytes"], f"Reading {name}"))
    if model.sha256 != made["sha256"]:
        library.remove(model.name)
        raise ModelError(
            f"{made['name']} of run {run.path.name} has changed since the run was sealed: verify the case."
        )
    return {
        "name": model.name,
        "format": model.format,
        "sentence": f"{model.name} was added to the library: SHA-256 {model.sha256}",
    }


def _named(findings: Mapping[str, Any], path: Path) -> str:
    """What a model that was made is called: after the one it was made of, and files by what tells them apart."""
    start = str(findings["model_name"]).removesuffix(LEARNT)
    name = f"{start}{LEARNT if findings['method'] == 'learn' else UNLEARNT}"
    if path.suffix != ".gguf":
        return name
    return f"{name}-{path.stem.removeprefix('model').strip('-.').lower() or 'gguf'}"


def _free_name(library: Library, wanted: str) -> str:
    taken, name, number = {model.name for model in library.list()}, wanted, 2
    while name in taken:
        name, number = f"{wanted}-{number}", number + 1
    return name


TASKS: tuple[Callable[[Question, Progress], Any], ...] = (unlearning_check, unlearning_example, unlearning_adopt)
