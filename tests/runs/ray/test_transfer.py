"""From the run directory there to the one here: events larger than a part, and a seal that was lost on the way to its place."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from auditor.case import Case
from auditor.errors import BackendError
from auditor.runs import seal
from auditor.runs.contract import RunState
from auditor.runs.directory import RunDirectory
from auditor.runs.events import EventLog
from auditor.runs.ray import publish, store
from auditor.runs.ray.arrive import Arrival
from auditor.runs.ray.executor import RayExecutor
from auditor.runs.ray.follow import follow
from auditor.runs.ray.jobs_api import JobsApi, NotRay
from auditor.runs.ray.parts import name_of
from auditor.runs.ray.publish import Publisher
from tests.runs.ray.pretender import Pretender, part
from tests.runs.ray.tls_proxy import TlsProxy, certify


@pytest.fixture
def run(tmp_path: Path, words: Path) -> RunDirectory:
    with Case.create(tmp_path / "case") as case:
        return case.new_run("counting", {}, {"words": words}, {}, seed=0, executor="pretender")


def test_an_event_that_is_longer_than_a_part_arrives_whole_whoever_is_killed_meanwhile(
    run: RunDirectory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All that was measured of a model is one event: of texts as long as MUSE's it has dozens of megabytes."""
    monkeypatch.setattr(publish, "_CHUNK", 1000)
    there = RunDirectory(tmp_path / "there")
    there.path.mkdir()
    with EventLog(there.events_file) as log:
        log.append("state", state="running", message="")
        log.append("row", table="stages", row={"stage": "before", "texts": ["ü" * 2500, "short"]})
        log.append("row", table="counts", row={"i": 1})
        log.append("row", table="stages", row={"stage": "after", "texts": ["x" * 7000]})
    whole = there.events_file.read_bytes()
    # What the worker has not written to its end is not sent: after a kill it would be written anew.
    there.events_file.write_bytes(whole[:-100])
    publisher = Publisher(tmp_path / "logs", "auditor-x-1")
    publisher.events(there)
    there.events_file.write_bytes(whole)
    publisher.events(there)
    folder = tmp_path / "logs" / "auditor" / "auditor-x-1"
    parts = [(folder / name_of(n)).read_bytes() for n in range(1, len(list(folder.iterdir())) + 1)]
    assert len(parts) > 8
    assert max(map(len, parts)) < 2000
    for n, sent in enumerate(parts, 1):
        # Whoever follows is killed after each part, sometimes before it could note that it had the part before.
        Arrival(run, 10**9).take(parts[max(n - 2, 0)], max(n - 1, 1))
        Arrival(run, 10**9).take(sent, n)
        arrived = run.events_file.read_bytes()
        assert whole.startswith(arrived)
        assert arrived.endswith(b"\n")
    assert run.events_file.read_bytes() == whole


@pytest.fixture
def pretender() -> Iterator[Pretender]:
    server = Pretender()
    yield server
    server.close()


def finished(run: RunDirectory, server: Pretender) -> None:
    """Everything of the run has arrived but its seal, which the server hands out."""
    with EventLog(run.events_file) as log:
        log.append("state", state="running", message="")
        log.append("state", state="done", message="")
    run.findings_file.write_text("{}")
    seal.seal(run)
    sealed = run.seal_file.read_bytes()
    run.seal_file.unlink()
    shutil.rmtree(run.live, ignore_errors=True)
    server.parts = [
        part(1, "file", sealed, path="seal.json", offset=0, total=len(sealed)),
        part(2, "end", state="done"),
    ]


def is_whole(run: RunDirectory) -> bool:
    status = RayExecutor("pretender").status(run.path)
    return (status.state, status.sealed, seal.problems(run)) == (RunState.DONE, True, [])


def test_a_seal_that_was_lost_on_the_way_to_its_place_is_fetched_again(pretender: Pretender, run: RunDirectory) -> None:
    """Killed when everything had arrived and been checked, and the folder with the seal was gone already."""
    store.add(pretender.backend())
    finished(run, pretender)
    assert follow(run) == 0
    assert is_whole(run)


def test_a_reverse_proxy_with_https_is_used_if_its_certificate_is_trusted(
    pretender: Pretender, run: RunDirectory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = TlsProxy(pretender.address, tmp_path)
    try:
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "none.pem"))
        secure = pretender.backend().model_copy(update={"address": f"https://localhost:{proxy.port}"})
        store.add(secure)
        finished(run, pretender)
        assert follow(run) == 3
        message = RayExecutor("pretender").status(run.path).message
        assert f"The certificate of https://localhost:{proxy.port} cannot be trusted" in message
        assert "--ca FILE" in message
        assert "SSL_CERT_FILE" in message
        assert pretender.heard == [], "neither token nor inputs went to somebody who is not known"
        monkeypatch.setenv("SSL_CERT_FILE", str(proxy.authority))
        other_name = secure.model_copy(update={"address": f"https://127.0.0.1:{proxy.port}"})
        with pytest.raises(BackendError, match="cannot be trusted"):
            JobsApi(other_name).version()
        with pytest.raises(NotRay, match="does not speak HTTPS"):
            JobsApi(secure.model_copy(update={"address": pretender.address.replace("http:", "https:")})).version()
        pretender.heard.clear()
        # The backend's own authority holds in place of those that this machine knows.
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "none.pem"))
        trusting = secure.model_copy(update={"ca": str(proxy.authority)})
        store.add(trusting, replace=True)
        assert follow(run) == 0
        assert is_whole(run)
        other = tmp_path / "other.pem"
        certify(other, tmp_path / "chain.pem")
        monkeypatch.setenv("SSL_CERT_FILE", str(proxy.authority))
        with pytest.raises(BackendError, match=r"other\.pem alone is trusted for it"):
            JobsApi(trusting.model_copy(update={"ca": str(other)})).version()
        other.unlink()
        with pytest.raises(BackendError, match=r"other\.pem: The certificate of the authority cannot be read"):
            JobsApi(trusting.model_copy(update={"ca": str(other)})).version()
        assert {headers["Authorization"] for _, _, headers in pretender.heard} == {"Bearer secret-token"}
    finally:
        proxy.close()
