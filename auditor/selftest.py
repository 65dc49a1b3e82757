"""``auditor self-test``: does this installation work on this machine? One line a part."""

import tempfile
from collections.abc import Callable
from pathlib import Path

from auditor.errors import AuditorError
from auditor.resources import resource


class _Skipped(Exception):
    """A part that cannot be tried here, with the reason."""


def run(say: Callable[[str], None]) -> bool:
    """Try every part; returns whether none failed."""
    parts: list[tuple[str, Callable[[Path], str]]] = [
        ("Qt paints offscreen", _qt),
        ("SQLite writes", _sqlite),
        ("Worker starts", _worker),
        ("PDF renders", _pdf),
        ("Parity test answers", _parity),
        ("Guard certifies", _guard),
        ("Starter model scores", _starter),
    ]
    good = True
    for title, attempt in parts:
        with tempfile.TemporaryDirectory(prefix="auditor-self-test-") as folder:
            try:
                say(f"ok      {title}: {attempt(Path(folder))}")
            except _Skipped as reason:
                say(f"skipped {title}: {reason}")
            except Exception as error:  # noqa: BLE001 (whatever fails here is what the person wants to read)
                good = False
                say(f"FAILED  {title}: {type(error).__name__}: {error}")
    return good


def _qt(_folder: Path) -> str:
    from auditor.desktop.offscreen import paint

    return paint()


def _sqlite(folder: Path) -> str:
    from auditor.case import Case, verify

    with Case.create(folder / "case", "Self-test") as case:
        case.add_note("self-test", author="auditor")
    found = verify(folder / "case")
    if not found.ok:
        raise AuditorError(" ".join(found.problems))
    return f"a case with {found.links} links verifies"


def _worker(folder: Path) -> str:
    """A run of an audit that does not exist: a worker that starts must say so in the run directory."""
    from auditor.case import Case
    from auditor.runs.contract import RunState
    from auditor.runs.local import LocalExecutor

    with Case.create(folder / "case", "Self-test") as case:
        run = case.new_run("self-test", {}, {"sample": resource("samples", "conversations.jsonl")}, {}, seed=0)
        executor = LocalExecutor()
        executor.start(run.path)
        status = executor.wait(run.path, 60)
    if status.state is not RunState.FAILED or "self-test" not in status.message:
        raise AuditorError(f"it ended as {status.state.value}: {status.message}")
    return "in a process of its own, and reports what it does"


def _pdf(_folder: Path) -> str:
    from auditor.report.blocks import Content, Facts
    from auditor.report.pdf import pdf

    content = Content("Self-test", "", "It renders.", "", "2026-01-01T00:00:00Z", Facts(()), ())
    return f"{len(pdf(content)):,} bytes"


def _parity(_folder: Path) -> str:
    from auditor.audits import InputFile, parity
    from auditor.audits.memory import MemoryContext

    files = {
        role: InputFile(path := resource("samples", "parity", name), path.name, "")
        for role, name in (("results", "results-biased.csv"), ("catalog", "catalog.csv"))
    }
    spec = parity.Spec(attribute="ita", scale="ita", permutations=199, sensitivity=False)
    found = parity.run(spec, files, MemoryContext())
    if found.state != "disparity detected":
        raise AuditorError(f"the biased sample gave: {found.verdict.sentence}")
    return found.verdict.sentence


def _guard(_folder: Path) -> str:
    """The sample is read and a threshold certified; torch computes. The model itself is left out: it takes too long."""
    import numpy as np
    import torch

    from auditor.audits import InputFile, guard
    from auditor.audits.guard import sample
    from auditor.audits.guard.inputs import read
    from auditor.stats.risk_control import certify

    files = {role: InputFile(path, path.name, "") for role, path in sample.files().items()}
    queries = read(files, guard.Spec(**sample.SETTINGS)).queries
    lambdas = [1 - step / 10 for step in range(11)]
    harmless, harmful = np.zeros((2, len(lambdas), len(queries)))
    harmful[1:] = 1.0
    certified = [certify(losses, lambdas, epsilon=0.05, delta=0.1).certified for losses in (harmless, harmful)]
    if certified != [True, False]:
        raise AuditorError(f"harmless and harmful demonstrations gave {certified}")
    if float(torch.ones(3, 4).sum()) != 12:
        raise AuditorError(f"torch {torch.__version__} counts wrongly")
    return f"{len(queries)} queries are read, harm is told from none, torch {torch.__version__} computes"


def _starter(folder: Path) -> str:
    from auditor.case import Case
    from auditor.models import starter
    from auditor.runs.contract import RunState
    from auditor.runs.local import LocalExecutor

    model = starter.starter()
    if model is None:
        raise _Skipped(f'it is not installed; pip install "auditor[starter]" (the distribution {starter.DISTRIBUTION})')
    with Case.create(folder / "case", "Self-test") as case:
        sample = resource("samples", "conversations.jsonl")
        run = case.new_run("rating", {"limit": 1}, {"conversations": sample}, {"judge": model}, seed=0)
        executor = LocalExecutor()
        executor.start(run.path)
        status = executor.wait(run.path, 300)
        if status.state is not RunState.DONE:
            raise AuditorError(status.message)
        return str(run.findings()["verdict"]["sentence"])
