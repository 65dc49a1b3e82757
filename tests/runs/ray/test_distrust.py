"""What a cluster says is checked: nothing it sends is written elsewhere, believed unseen, or told a token."""

import hashlib
import json
import platform
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from auditor.case import Case
from auditor.errors import BackendError
from auditor.files import sha256_of
from auditor.runs import live
from auditor.runs.contract import RunState
from auditor.runs.directory import RunDirectory
from auditor.runs.dispatch import Dispatch
from auditor.runs.ray import connection, package, store
from auditor.runs.ray import follow as following
from auditor.runs.ray.backend import Backend, is_plain_http_elsewhere
from auditor.runs.ray.executor import RayExecutor
from auditor.runs.ray.follow import follow
from auditor.runs.ray.jobs_api import JobsApi, NotRay, Refused, Unreachable
from auditor.runs.ray.parts import is_file_of_a_run
from pydantic import ValidationError
from tests.command import auditor
from tests.runs.ray.pretender import Pretender, part
from tests.runs.ray.tls_proxy import certify


@pytest.fixture
def pretender(monkeypatch: pytest.MonkeyPatch) -> Iterator[Pretender]:
    monkeypatch.setattr(following, "_WAITS", (0.0,))
    server = Pretender()
    try:
        store.add(server.backend())
        yield server
    finally:
        server.close()


@pytest.fixture
def run(tmp_path: Path, words: Path) -> RunDirectory:
    with Case.create(tmp_path / "case") as case:
        return case.new_run("counting", {}, {"words": words}, {}, seed=0, executor="pretender")


def event(n: int, **more: Any) -> bytes:
    told = {"v": 1, "n": n, "t": "2026-01-01T00:00:00.000Z", "kind": "state", "state": "running", "message": "", **more}
    return json.dumps(told, separators=(",", ":")).encode() + b"\n"


def files_beside(run: RunDirectory) -> set[str]:
    """Files of the case and around it that are not the live folder's."""
    root = run.path.parents[2]
    return {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file() and "live" not in path.parts}


NO_FILES_OF_A_RUN = (
    *("../../../evil", "/etc/cron.d/evil", "artefacts/../../evil", "artefacts//evil", "artefacts/..", "spec.json"),
    *(
        "live/worker.json",
        "artefacts\\..\\evil",
        "C:/evil",
        "artefacts/.hidden",
        "artefacts/nul",
        "tables/a\nb",
        "artefacts",
    ),
    *("events.jsonl", "artefacts/a/b/c/d/e/f/g/h/i", "artefacts/" + "x" * 300, "artefacts/a. ", "", "artefacts/a:b"),
)


def test_names_that_no_run_holds_are_known() -> None:
    assert [path for path in NO_FILES_OF_A_RUN if is_file_of_a_run(path)] == []


@pytest.mark.parametrize("path", NO_FILES_OF_A_RUN[:3])
def test_a_file_that_no_run_holds_is_not_written(pretender: Pretender, run: RunDirectory, path: str) -> None:
    before = files_beside(run)
    pretender.parts = [part(1, "file", b"evil", path=path, offset=0, total=4)]
    assert follow(run) == 3
    status = RayExecutor("pretender").status(run.path)
    assert status.state is RunState.INTERRUPTED
    assert "which no run holds" in status.message
    assert files_beside(run) == before
    # The job is of no use any more: it is stopped, and whoever resumes hands the run over again.
    assert pretender.heard[-1][1].endswith("/stop")


def test_names_of_results_are_taken() -> None:
    for path in ("findings.json", "tables/metrics.parquet", "artefacts/model/model-00001-of-00002.safetensors"):
        assert is_file_of_a_run(path)


@pytest.mark.parametrize(
    ("parts", "told"),
    [
        ([b"no part at all"], "is damaged"),
        ([part(2, "events", event(0), offset=0)], "arrived damaged"),
        ([part(1, "events", event(0), offset=0, sha256="0" * 64)], "arrived damaged"),
        ([part(1, "events", b"[]\n", offset=0)], "is no event"),
        ([part(1, "events", event(0) + event(0), offset=0)], "out of order"),
        ([part(1, "events", event(0), offset=7)], "are missing"),
        ([part(1, "events", event(0)[:-1], offset=0)], "ended without a result"),
        (
            [part(1, "events", event(0), offset=0), part(2, "events", event(0, message="other"), offset=0)],
            "differ from those",
        ),
        ([part(1, "events", event(0, state="done"), offset=0)], "no seal of it arrived"),
        ([part(1, "file", b"abc", path="findings.json", offset=3, total=6)], "are missing"),
        ([part(1, "file", b"abc", path="findings.json", offset=0, total=10**15)], "sent more of findings.json"),
        ([part(1, "end", state="cancelled")], "its events do not say so"),
        ([part(1, "end", state="done")], "no seal"),
    ],
)
def test_what_does_not_fit_ends_in_a_sentence(
    pretender: Pretender, run: RunDirectory, parts: list[bytes], told: str
) -> None:
    pretender.parts = parts
    assert follow(run) == 3
    status = RayExecutor("pretender").status(run.path)
    assert (status.state, status.sealed) == (RunState.INTERRUPTED, False)
    assert told in status.message


@pytest.mark.parametrize("told", ["findings.json did not arrive as", "events.jsonl of this run is not under the seal"])
def test_results_that_differ_from_their_seal_are_not_taken_for_a_result(
    pretender: Pretender, run: RunDirectory, told: str
) -> None:
    events = event(0) + event(1, state="done")
    record = {"sha256": sha256_of(run.spec_file), "bytes": run.spec_file.stat().st_size}
    sealed: dict[str, Any] = {
        "v": 1,
        "run": run.path.name,
        "sealed": "2026-01-01T00:00:00Z",
        "files": {"spec.json": record, "findings.json": {"sha256": "0" * 64, "bytes": 2}},
    }
    if "findings" in told:
        sealed["files"]["events.jsonl"] = {"sha256": hashlib.sha256(events).hexdigest(), "bytes": len(events)}
    seal = json.dumps(sealed).encode()
    pretender.parts = [
        part(1, "file", b"{}", path="findings.json", offset=0, total=2),
        part(2, "file", seal, path="seal.json", offset=0, total=len(seal)),
        part(3, "events", events, offset=0),
        part(4, "end", state="done"),
    ]
    assert follow(run) == 3
    status = RayExecutor("pretender").status(run.path)
    assert (status.state, status.sealed) == (RunState.INTERRUPTED, False)
    assert told in status.message
    assert not run.seal_file.exists()


@pytest.mark.parametrize(
    ("message", "told"),
    [
        ("Traceback\n/usr/bin/python: No module named auditor", "Auditor is not installed on pretender"),
        (
            "Job supervisor actor died: Memory on the node (IP: 10.0.0.7, ID: ab) was 31.2GB used / 32.0GB limit (0.97)",
            "The memory of the machine",
        ),
        ("Job supervisor actor failed to start within 900 seconds.", "had no place for the run"),
        (
            "Job entrypoint command failed with exit code 1\nValueError: \x1b[31mnonsense",
            "ended without a result: ValueError",
        ),
    ],
)
def test_a_job_that_could_not_say_how_it_ended_is_explained(
    pretender: Pretender, run: RunDirectory, message: str, told: str
) -> None:
    pretender.job |= {"status": "FAILED", "message": message}
    assert follow(run) == 3
    status = RayExecutor("pretender").status(run.path)
    assert status.state is RunState.INTERRUPTED
    assert told in status.message
    assert status.message.isprintable()


def test_a_run_for_a_machine_that_is_not_there_is_a_sentence(pretender: Pretender, run: RunDirectory) -> None:
    pretender.close()
    assert follow(run) == 3
    status = RayExecutor("pretender").status(run.path)
    assert status.state is RunState.INTERRUPTED
    assert "cannot be reached (nothing listens there)" in status.message


def test_a_run_that_still_waits_for_a_place_can_be_cancelled(
    pretender: Pretender, run: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "_CONFIRM_PENDING_SECONDS", 0.0)
    pretender.job |= {"status": "PENDING", "driver_node_id": None}
    follower = threading.Thread(target=follow, args=(run,))
    follower.start()
    until = time.monotonic() + 60
    while (live.told(run) or live.Told("")).message != "Waiting for a place on pretender":
        assert time.monotonic() < until
        time.sleep(0.01)
    assert RayExecutor("pretender").status(run.path).message == "Waiting for a place on pretender"
    live.request_cancel(run)
    follower.join(60)
    assert [path for _, path, _ in pretender.heard if path.endswith("-1/stop")]
    status = RayExecutor("pretender").status(run.path)
    assert status.state is RunState.CANCELLED
    assert "stopped before it began" in status.message


_DEAF = """
import sys, time
from pathlib import Path
from auditor.runs.directory import RunDirectory
from auditor.runs.live import Presence
presence = Presence(RunDirectory(Path(sys.argv[1])))
print("at it", flush=True)
time.sleep(120)
"""


def test_whoever_closes_does_not_wait_for_a_cluster_to_stop_a_run(pretender: Pretender, run: RunDirectory) -> None:
    follower = subprocess.Popen([sys.executable, "-c", _DEAF, str(run.path)], stdout=subprocess.PIPE, text=True)
    assert follower.stdout is not None
    assert follower.stdout.readline() == "at it\n"
    executor = Dispatch()
    try:
        with ThreadPoolExecutor() as pool:
            stopped = pool.submit(executor.cancel, run.path)
            while not (run.live / "cancel").exists():
                time.sleep(0.01)
            with pytest.raises(TimeoutError):
                stopped.result(0.3)
            executor.let_go()
            stopped.result(10)
        # It has been asked, and goes on asking the cluster.
        assert follower.poll() is None
    finally:
        follower.kill()
        follower.communicate()


def test_the_token_goes_nowhere_else_and_more_than_fits_is_not_read(pretender: Pretender) -> None:
    other = Pretender()
    try:
        api = JobsApi(pretender.backend())
        pretender.answers["/api/version"] = (302, {"Location": f"{other.address}/api/version"}, b"")
        with pytest.raises(NotRay, match="sends elsewhere"):
            api.version()
        assert pretender.heard[-1][2]["Authorization"] == "Bearer secret-token"
        assert other.heard == []
        pretender.answers["/api/version"] = (200, {}, b"<html>hello</html>")
        with pytest.raises(NotRay, match="no Ray cluster"):
            connection.test(pretender.backend())
        pretender.answers["/api/version"] = (403, {}, b"Forbidden")
        with pytest.raises(Refused, match="does not accept the token"):
            api.version()
        pretender.answers["/api/version"] = (200, {}, b" " * 9_000_000)
        with pytest.raises(BackendError, match="sent more than"):
            api.version()
    finally:
        other.close()
    with pytest.raises(Unreachable, match="nothing listens there"):
        JobsApi(other.backend()).version()


def test_plain_http_to_another_machine_is_refused_unless_confirmed() -> None:
    addresses = {
        "http://127.0.0.1:8265": False,
        "http://localhost:8265": False,
        "http://[::1]:8265": False,
        "https://gpu.example": False,
        "http://gpu.example:8265": True,
        "http://10.0.0.7:8265": True,
        "http://127.0.0.1.example": True,
    }
    for address, is_plain in addresses.items():
        assert is_plain_http_elsewhere(address) is is_plain
        if is_plain:
            with pytest.raises(ValidationError, match="Plain HTTP to another machine"):
                Backend(name="gpu", address=address)
            Backend(name="gpu", address=address, plain_http_confirmed=True)
        else:
            Backend(name="gpu", address=address)


@pytest.mark.parametrize(
    "fields",
    [
        {"name": "local"},
        {"name": "GPU 1"},
        {"address": "gpu.example:8265"},
        {"address": "https://me:secret@gpu.example"},
        {"address": "file:///etc/passwd"},
        {"token": "two words"},
        {"token": "line\nbreak"},
        {"shared": "models"},
        {"cache": "models"},
        {"ca": "authority.pem"},
        {"address": "http://127.0.0.1:8265", "ca": "/etc/authority.pem"},
    ],
)
def test_a_backend_that_cannot_be_is_refused_with_a_sentence(fields: dict[str, str]) -> None:
    with pytest.raises(ValidationError) as caught:
        Backend(**({"name": "gpu", "address": "https://gpu.example"} | fields))
    assert "secret" not in str(caught.value)


def test_backends_are_kept_for_nobody_else_and_named_on_the_command_line(home: Path, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("s3cret\n", encoding="utf-8")
    added = auditor("backends", "add", "gpu-1", "https://gpu.example:8265", "--token-file", token, "--cache", "/models")
    assert added.returncode == 0, added.stderr
    file = home / "backends.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert store.backend("gpu-1").token == "s3cret"
    listed = auditor("backends", "list")
    assert listed.stdout == "gpu-1  https://gpu.example:8265  with a token, models in /models\n"
    assert "s3cret" not in added.stdout + added.stderr + repr(store.backend("gpu-1"))
    with pytest.raises(BackendError, match="There is a backend named gpu-1 already"):
        store.add(Backend(name="gpu-1", address="https://gpu.example"))
    listed = auditor("backends", "list", "--json")
    (told,) = json.loads(listed.stdout)["backends"]
    assert (told["name"], told["has_token"], told["ca"], "token" in told) == ("gpu-1", True, None, False)
    plain = auditor("backends", "add", "gpu-2", "http://10.0.0.7:8265")
    assert (plain.returncode, "--plain-http" in plain.stderr) == (2, True)
    assert auditor("backends", "remove", "gpu-1").returncode == 0
    assert store.backends() == []


def test_an_authority_is_checked_when_it_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    asked = ("backends", "add", "gpu-1", "https://gpu.example:8265", "--ca")
    (tmp_path / "key.pem").write_text(
        "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", encoding="utf-8"
    )
    for name, problem in {"none.pem": "No such file", "key.pem": "holds no certificate"}.items():
        refused = auditor(*asked, name)
        assert refused.returncode == 2, refused.stderr
        assert problem in refused.stderr
        assert str(tmp_path) in refused.stderr
        assert "-----BEGIN CERTIFICATE-----" in refused.stderr
    assert store.backends() == []
    certify(tmp_path / "authority.pem", tmp_path / "chain.pem")
    added = auditor(*asked, "authority.pem")
    assert added.returncode == 0, added.stderr
    authority = str(tmp_path / "authority.pem")
    assert json.loads(auditor("backends", "list", "--json").stdout)["backends"][0]["ca"] == authority
    # What is gone since is told where it is used; the list stays readable.
    (tmp_path / "authority.pem").unlink()
    tested = auditor("backends", "test", "gpu-1")
    assert (tested.returncode != 0, authority in tested.stderr) == (True, True)


def test_a_cluster_on_which_no_run_is_known_to_be_possible_fails_its_test(pretender: Pretender) -> None:
    pretender.job["logs"] = 'auditor-probe ["3.11.1", null]\n'.replace("3.11.1", platform.python_version())
    tested = auditor("backends", "test", "pretender", "--json")
    assert (tested.returncode, json.loads(tested.stdout)["auditor_version"]) == (3, None), tested.stderr


def test_too_much_to_travel_is_refused_before_anything_is_sent(
    pretender: Pretender, run: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(package, "MOST_PACKAGE_BYTES", 100)
    assert follow(run) == 3
    assert "which Ray does not take" in RayExecutor("pretender").status(run.path).message
    assert not [path for method, path, _ in pretender.heard if method in ("PUT", "POST")]
    assert not (run.live / "package.zip").exists()


@pytest.mark.parametrize(("auditor_version", "python"), [("0.0.9", package.python_version()), ("0.1.0", "3.8")])
def test_another_version_on_the_cluster_is_refused_there(auditor_version: str, python: str) -> None:
    with pytest.raises(BackendError, match=f"this machine has {auditor_version} on {python}: install the same"):
        package.checked_request(json.dumps({"auditor": auditor_version, "python": python}).encode())
