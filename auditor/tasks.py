"""Questions that the desktop has answered in a process of its own: ``python -m auditor.tasks NAME``.

A JSON object on standard input; on standard output lines {"progress": {...}} and at last {"ok": true, "result": ...}
or {"ok": false, "error": "sentence"}. So the window never loads or computes anything heavy, and a damaged file cannot
harm it.
"""

import json
import os
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

from pydantic import ValidationError

from auditor import (
    audits,
    tasks_annotation,
    tasks_backends,
    tasks_compare,
    tasks_evaluate,
    tasks_guard,
    tasks_models,
    tasks_parity,
    tasks_people,
    tasks_rubric,
    tasks_unlearning,
)
from auditor.audits import InputFile
from auditor.case import Case
from auditor.case import verify as verify_case
from auditor.column_files import write_columns
from auditor.console import write_report
from auditor.errors import AuditorError, RunError
from auditor.models import ModelFile
from auditor.models.fit import Fit, estimate
from auditor.models.library import Library
from auditor.models.torch_fit import usual_fit
from auditor.runs.clock import duration
from auditor.runs.directory import RunDirectory
from auditor.runs.executor import LOCAL
from auditor.sizes import size_words

#: Settings that change how long a unit takes.
_COST_FIELDS = ("axes", "explain", "scope", "variants", "more_models", "paraphrase")
Question = Mapping[str, Any]
Progress = Callable[[int, int, str], None]


def preview(asked: Question, _progress: Progress) -> Any:
    """What a dropped file turned out to be."""
    path = Path(asked["path"])
    file = InputFile(path, path.name, "")
    return asdict(audits.get(asked["audit"]).preview(asked["role"], file, asked.get("options") or {}))


def models_list(_asked: Question, _progress: Progress) -> Any:
    """The library, each model with its fit."""
    library = Library()
    library.sweep()
    return [_model(model) for model in library.list()]


def models_add(asked: Question, progress: Progress) -> Any:
    """Add a model file."""
    path = Path(asked["path"])
    files = [path] if path.is_file() else path.glob("*")
    size = sum(file.stat().st_size for file in files if file.is_file())
    model = Library().add(
        path,
        name=asked.get("name") or None,
        copy=bool(asked.get("copy")),
        progress=lambda done: progress(done, size, f"Reading {path.name}"),
    )
    return _model(model)


def models_check(asked: Question, _progress: Progress) -> Any:
    """Hash a model again."""
    model = Library().check(asked["name"])
    return {"name": model.name, "ok": True, "sentence": f"{model.name} is unchanged: SHA-256 {model.sha256}"}


def models_remove(asked: Question, _progress: Progress) -> Any:
    """Forget a model."""
    Library().remove(asked["name"])
    return {"name": asked["name"]}


def _model(model: ModelFile) -> dict[str, Any]:
    return {**model.model_dump(mode="json"), "fit": _fit(usual_fit(model))}


def _fit(fit: Fit) -> dict[str, Any]:
    return {"memory_bytes": fit.memory_bytes, "fits": fit.fits, "sentence": fit.sentence}


def cost(asked: Question, _progress: Progress) -> Any:
    """Memory and time a run would take; time is known from an earlier run with the same model in the case."""
    from auditor.audits.rating.judge import TALK_TOKENS

    library, spec = Library(), asked["spec"]
    model = library.get(asked["model"])
    # Judges run one after another: the largest counts, and what a sentence takes comes on top of the context.
    judges = [model, *(library.get(name) for name in spec.get("more_models") or ())]
    talk = TALK_TOKENS if spec.get("explain") == "all" else 0
    fits = [estimate(judge, n_ctx=int(asked["n_ctx"]) + talk, talk=talk) for judge in judges]
    fit = max(fits, key=lambda each: (not each.fits, each.memory_bytes))
    pace = _pace(asked["case"], asked["audit"], model, asked["spec"]) if asked.get("case") else None
    seconds = asked["units"] / pace if pace else None
    if not fit.fits:
        sentence = fit.sentence
    elif seconds is None:
        sentence = f"{size_words(fit.memory_bytes)} of memory; time is not known before the first run."
    else:
        sentence = f"About {duration(seconds)} on this machine, {size_words(fit.memory_bytes)} of memory."
    return {"seconds": seconds, **_fit(fit), "sentence": sentence}


def _pace(case: str, audit: str, model: ModelFile, spec: Mapping[str, Any]) -> float | None:
    """Units per second here of the newest finished run with the same model and the same settings that cost time."""
    with Case.open(Path(case), write=False) as opened:
        for summary in opened.runs():
            if summary.audit != audit or not summary.sealed or summary.executor != LOCAL:
                continue
            run = RunDirectory(summary.path)
            asked = run.spec()
            same_model = any(used.sha256 == model.sha256 for used in asked.models.values())
            if same_model and all(asked.spec.get(name) == spec.get(name) for name in _COST_FIELDS):
                pace = run.findings()["headline"].get("units_per_s")
                if pace:
                    return float(pace)
    return None


def tables(asked: Question, _progress: Progress) -> Any:
    """Finished tables as column files, each in a folder of its name; see `auditor.column_files`.

    Asked: run_dir, tables (names), folder. Answered: found (name -> rows and columns), and for each of the others a
    sentence in `problems`.
    """
    run = RunDirectory(Path(asked["run_dir"]))
    infos = {info["name"]: info for info in run.findings()["tables"]}
    files, found, problems = run.table_files(), {}, []
    for name in asked["tables"]:
        folder = Path(asked["folder"]) / name
        folder.mkdir()
        try:
            found[name] = _as_columns(files.get(name), infos[name]["columns"], folder)
        except RunError as error:
            problems.append(f"The table {name} of run {run.path.name} {error}: verify the case.")
            shutil.rmtree(folder)
    return {"found": found, "problems": problems}


def _as_columns(file: Path | None, columns: Sequence[Mapping[str, Any]], folder: Path) -> dict[str, Any]:
    """One table as columns; see `tables`."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    if file is None:
        raise RunError("is missing")
    try:
        return write_columns(pq.read_table(file), columns, folder)
    except (pa.ArrowException, KeyError, ValueError) as error:
        raise RunError("is damaged") from error
    except OSError as error:
        raise RunError(f"cannot be shown ({error.strerror or error})") from error


def pictures(asked: Question, _progress: Progress) -> Any:
    """All pictures of a run as SVG."""
    from auditor.report.pictures import render

    return [asdict(picture) for picture in render(RunDirectory(Path(asked["run_dir"])), asked["theme"])]


def picture_export(asked: Question, _progress: Progress) -> Any:
    """Save a picture or its data."""
    from auditor.report.pictures import export

    export(RunDirectory(Path(asked["run_dir"])), asked["theme"], asked["name"], Path(asked["path"]))
    return {"path": asked["path"]}


def unit(asked: Question, _progress: Progress) -> Any:
    """One unit of a run's input, to look at."""
    run = RunDirectory(Path(asked["run_dir"]))
    spec = run.spec()
    audit = audits.get(spec.audit)
    file = run.inputs(check=False)[audit.input_roles[0].name]
    return {"row": asked["row"], "parts": audit.unit(file, spec.spec, int(asked["row"]))}


def report(asked: Question, _progress: Progress) -> Any:
    """Write the report of a run."""
    with Case.open(Path(asked["case"]), write=False) as case:
        html, pdf = (Path(asked[kind]) if asked.get(kind) else None for kind in ("html", "pdf"))
        return [str(file) for file in write_report(case, case.run(asked["run"]), html, pdf)]


def verify(asked: Question, _progress: Progress) -> Any:
    """Verify a case."""
    found = verify_case(Path(asked["case"]))
    return {"ok": found.ok, "problems": found.problems, "notes": found.notes, "head": found.head, "links": found.links}


TASKS: Mapping[str, Callable[[Question, Progress], Any]] = {
    task.__name__: task
    for task in (
        preview,
        models_list,
        models_add,
        models_check,
        models_remove,
        cost,
        tables,
        pictures,
        picture_export,
        unit,
        report,
        verify,
        *tasks_annotation.TASKS,
        *tasks_backends.TASKS,
        *tasks_compare.TASKS,
        *tasks_evaluate.TASKS,
        *tasks_guard.TASKS,
        *tasks_models.TASKS,
        *tasks_parity.TASKS,
        *tasks_people.TASKS,
        *tasks_rubric.TASKS,
        *tasks_unlearning.TASKS,
    )
}


def main(name: str, question: IO[bytes], answer: IO[str]) -> int:
    """Answer one question."""

    def tell(message: Mapping[str, Any]) -> None:
        answer.write(json.dumps(message) + "\n")
        answer.flush()

    def progress(done: int, total: int, message: str) -> None:
        tell({"progress": {"done": done, "total": total, "message": message}})

    try:
        result = TASKS[name](json.load(question), progress)
    except (AuditorError, ValidationError, OSError) as error:
        tell({"ok": False, "error": str(error)})
        return 1
    tell({"ok": True, "result": result})
    return 0


if __name__ == "__main__":
    # Native libraries print to standard output; answers go through a copy of it that they do not know.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    sys.exit(main(sys.argv[1], sys.stdin.buffer, answers))
