"""Backends through the real window: adding, refusing, testing, removing, and runs that were given to one."""

import shutil
import socket
from pathlib import Path

import pytest
from auditor import tasks
from auditor.desktop.panels.backends_clean import CleanBackend
from auditor.desktop.panels.backends_edit import EditBackend
from auditor.desktop.panels.backends_how import COMMANDS
from auditor.desktop.window import Window
from auditor.files import read_json, write_json
from auditor.runs import seal
from auditor.runs.contract import RunState
from auditor.runs.directory import RunDirectory
from auditor.runs.ray import store
from auditor.runs.ray.backend import Backend
from auditor.runs.ray.clean import MARK, Answer, Lying
from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QAbstractButton
from pytestqt.qtbot import QtBot
from tests.conftest import SAMPLE
from tests.desktop.test_window import by_tab
from tests.desktop.tiny_cluster import lie_there, tiny_cluster
from tests.runs.ray.tls_proxy import certify

_TOKEN = "no-one-should-read-this"
_PATIENCE_MS = 60_000


def click(button: QAbstractButton) -> None:
    QTest.mouseClick(button, Qt.MouseButton.LeftButton)


def opened(window: Window) -> EditBackend:
    """The dialog that adds a backend."""
    window.go_to(window.backends)
    click(window.backends.add_button)
    (dialog,) = (found for found in window.backends.findChildren(EditBackend) if found.isVisible())
    return dialog


def fill(dialog: EditBackend, **texts: str) -> None:
    for name, text in texts.items():
        dialog.lines[name].setText(text)


def closed_port() -> int:
    """A port of this machine at which nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def cell(window: Window, row: int, column: int) -> str:
    item = window.backends.table.item(row, column)
    assert item is not None
    return item.text()


@pytest.fixture
def kept(window: Window) -> Backend:
    """A backend that is kept, at an address where nobody answers."""
    backend = Backend(
        name="gpu-box",
        address=f"http://127.0.0.1:{closed_port()}",
        token=_TOKEN,
        shared=None,
        cache="/var/cache/auditor",
    )
    window.session.keep_backend(backend, replace=False)
    return backend


def test_the_page_shows_this_machine_and_says_how_to_start_another(window: Window, qtbot: QtBot) -> None:
    window.go_to(window.backends)
    qtbot.waitUntil(lambda: "of memory" in window.backends.card.verdict.text(), timeout=_PATIENCE_MS)
    assert window.backends.table.rowCount() == 1
    assert "GiB" in cell(window, 0, 4)
    assert "torch" in window.backends.card.facts.text()
    assert not window.backends.test_button.isVisible()
    assert window.backends.how.isVisible()
    click(window.backends.how.copy)
    assert QGuiApplication.clipboard().text() == COMMANDS
    # With nowhere else to run there is nothing to choose.
    for panel in window.audits.values():
        window.go_to(panel)
        assert not panel.setup.runs_on.isVisible()


def test_a_wrong_name_or_address_is_refused_where_it_stands(window: Window) -> None:
    dialog = opened(window)
    fill(dialog, name="GPU box", address="gpu.example.org")
    click(dialog.save)
    assert dialog.isVisible()
    for field in ("name", "address"):
        assert dialog.problems[field].isVisible()
        assert "Value error" not in dialog.problems[field].text()
    fill(dialog, name="local", address="https://gpu.example.org")
    click(dialog.save)
    assert dialog.problems["name"].isVisible()
    assert not dialog.problems["address"].isVisible()
    assert store.backends() == []
    dialog.reject()


def test_plain_http_to_another_machine_takes_a_confirmation_that_holds_for_this_address_alone(window: Window) -> None:
    dialog = opened(window)
    fill(dialog, name="gpu-box", address="http://127.0.0.1:8265")
    assert not dialog.plain.isVisible()
    fill(dialog, address="http://gpu.example.org:8265", token=_TOKEN)
    assert dialog.plain.isVisible()
    click(dialog.save)
    assert "confirmed" in dialog.problems["address"].text()
    assert store.backends() == []
    dialog.confirm.setChecked(True)
    fill(dialog, address="http://gpu.example.com:8265")
    assert not dialog.confirm.isChecked()
    dialog.confirm.setChecked(True)
    click(dialog.save)
    assert not dialog.isVisible()
    (kept,) = store.backends()
    assert (kept.address, kept.token, kept.plain_http_confirmed) == ("http://gpu.example.com:8265", _TOKEN, True)
    assert "whoever is on the way" in window.backends.card.alert.text()
    assert cell(window, 1, 5) == "not tested yet"
    assert [panel.setup.runs_on.box.count() for panel in window.audits.values()] == [2] * len(window.audits)


def test_a_cluster_that_does_not_answer_ends_in_a_sentence_that_is_kept(
    window: Window, qtbot: QtBot, tmp_path: Path
) -> None:
    dialog = opened(window)
    fill(dialog, name="gpu-box", address=f"http://127.0.0.1:{closed_port()}", token=_TOKEN)
    click(dialog.save_and_test)
    page = window.backends
    assert page.card.state.text() == "● Testing …"
    assert not page.test_button.isEnabled()
    qtbot.waitUntil(lambda: page.card.state.text().startswith("● Connection failed"), timeout=_PATIENCE_MS)
    assert page.card.verdict.text().endswith(".")
    assert "127.0.0.1" in page.card.verdict.text()
    assert page.test_button.isEnabled()
    assert cell(window, 1, 5).startswith("failed 20")
    window.session.settings.sync()
    assert _TOKEN not in (tmp_path / "desktop.ini").read_text(encoding="utf-8")
    # Whatever is changed has not been tested.
    click(page.edit_button)
    (change,) = (found for found in page.findChildren(EditBackend) if found.isVisible())
    assert change.lines["name"].isReadOnly()
    assert change.lines["token"].text() == _TOKEN
    fill(change, token="")
    click(change.save)
    assert cell(window, 1, 5) == "not tested yet"
    assert "without a token" in page.card.facts.text()


def test_what_a_cluster_answers_is_shown(window: Window, qtbot: QtBot) -> None:
    with tiny_cluster() as cluster:
        dialog = opened(window)
        fill(dialog, name="gpu-box", address=cluster.address)
        click(dialog.save_and_test)
        page = window.backends
        qtbot.waitUntil(lambda: page.card.state.text().startswith("● Answered"), timeout=_PATIENCE_MS)
    assert (cell(window, 1, 2), cell(window, 1, 4)) == ("16 on 2 nodes", "64.0 GiB")
    assert cell(window, 1, 3) == "2 (NVIDIA H100)"
    assert "Ray 2." in page.card.facts.text()
    assert "2 nodes with 16 processors, 64.0 GiB of memory and 2 GPUs (NVIDIA H100)." in page.card.verdict.text()


def test_what_lies_on_a_cluster_is_listed_and_what_is_not_sealed_here_stays(case_window: Window, qtbot: QtBot) -> None:
    page = case_window.backends
    with tiny_cluster() as cluster:
        lying = Lying(run="20260101-000000-aaaa", bytes=3 * 1024**3, age_s=200_000, seal="0" * 64, at_work=False)
        answer = Answer(runs=[lying], removed=[], freed_bytes=0)
        cluster.job["logs"] = f"started\n{MARK}{answer.model_dump_json()}\n"
        backend = Backend(name="gpu-box", address=cluster.address)
        case_window.session.keep_backend(backend, replace=False)
        case_window.go_to(page)
        page.select("gpu-box")
        click(page.clean_button)
        (dialog,) = page.findChildren(CleanBackend)
        qtbot.waitUntil(lambda: dialog.words.text() == "Nothing there may go.", timeout=_PATIENCE_MS)
    row = [item.text() for column in range(4) if (item := dialog.table.item(0, column))]
    assert row == [lying.run, "3.0 GiB", "2 days ago", "it is not sealed here"]
    assert not dialog.remove.isEnabled()
    dialog.reject()


def test_what_is_sealed_here_is_removed_there_and_nothing_else(
    window: Window, qtbot: QtBot, finished_run: Path, tmp_path: Path
) -> None:
    page, room = window.backends, tmp_path / "there" / "ray"
    assert window.session.open_case(finished_run.parents[1])
    case = window.session.case
    assert case is not None
    unfinished = case.new_run("rating", {}, {"conversations": SAMPLE}, {}, seed=0, executor="gpu-box").path
    for path in (finished_run, unfinished):
        shutil.copytree(path, room / "runs" / path.name)
    (room / "inputs").mkdir()
    with tiny_cluster() as cluster:
        lie_there(cluster, room)
        window.session.keep_backend(Backend(name="gpu-box", address=cluster.address), replace=False)
        window.go_to(page)
        page.select("gpu-box")
        click(page.clean_button)
        (dialog,) = page.findChildren(CleanBackend)
        qtbot.waitUntil(lambda: "1 run of 2 may go" in dialog.words.text(), timeout=_PATIENCE_MS)
        told = {dialog.table.item(row, 0).text(): dialog.table.item(row, 3).text() for row in range(2)}
        assert told == {finished_run.name: "may go", unfinished.name: "it is not sealed here"}
        # A cluster that fails meanwhile is a sentence, and it can be tried once more.
        cluster.job |= {"status": "FAILED", "message": "the node is full"}
        click(dialog.remove)
        qtbot.waitUntil(lambda: "the node is full" in dialog.words.text(), timeout=_PATIENCE_MS)
        assert dialog.remove.isEnabled()
        assert (room / "runs" / finished_run.name).exists()
        cluster.job["status"] = "SUCCEEDED"
        click(dialog.remove)
        qtbot.waitUntil(lambda: dialog.words.text().startswith("1 run removed"), timeout=_PATIENCE_MS)
    assert dialog.words.text().endswith("Nothing there may go.")
    assert not dialog.remove.isEnabled()
    assert [path.name for path in (room / "runs").iterdir()] == [unfinished.name]
    assert dialog.table.rowCount() == 1
    assert seal.problems(RunDirectory(finished_run)) == [], "what lies here stays whole"
    dialog.reject()


def test_an_authority_is_looked_at_before_it_is_kept(window: Window, tmp_path: Path) -> None:
    dialog, file = opened(window), tmp_path / "authority.pem"
    file.write_text("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", encoding="utf-8")
    fill(dialog, name="gpu-box", address="https://localhost:1", ca=str(file))
    click(dialog.save)
    assert str(file) in dialog.problems["ca"].text()
    assert "no certificate" in dialog.problems["ca"].text()
    assert store.backends() == []
    certify(file, tmp_path / "chain.pem")
    click(dialog.save)
    assert not dialog.isVisible()
    assert store.backend("gpu-box").ca == str(file)
    assert f"trusts {file}" in window.backends.card.facts.text()


def test_the_pace_of_another_machine_is_not_told_of_this_one(finished_run: Path) -> None:
    asked = {"audit": "rating", "case": str(finished_run.parents[1]), "model": "starter", "n_ctx": 2048, "units": 100}
    spec = read_json(finished_run / "spec.json")
    assert "on this machine" in tasks.cost({**asked, "spec": spec["spec"]}, lambda *_: None)["sentence"]
    write_json(finished_run / "spec.json", {**spec, "executor": "gpu-box"})
    assert "time is not known" in tasks.cost({**asked, "spec": spec["spec"]}, lambda *_: None)["sentence"]


def test_a_removed_backend_comes_back_and_its_runs_say_that_it_was_gone(
    case_window: Window, qtbot: QtBot, kept: Backend
) -> None:
    window, page = case_window, case_window.backends
    case = window.session.case
    assert case is not None
    case.new_run("rating", {}, {"conversations": SAMPLE}, {}, seed=0, executor=kept.name)
    window.go_to(page)
    window.session.runs_changed.emit()
    assert not window.overview.runs.isColumnHidden(2)
    assert window.overview.runs.item(0, 2).text() == kept.name
    page.select(kept.name)
    click(page.remove_button)
    assert store.backends() == []
    assert "1 unfinished run of this case" in page.outcome.text()
    (run,) = window.session.runs()
    assert run.state is RunState.INTERRUPTED
    assert "not kept here any more" in window.overview.runs.item(0, 6).text()
    window.session.resume(run.path)
    qtbot.waitUntil(lambda: "not kept here any more" in window.statusBar().currentMessage(), timeout=_PATIENCE_MS)
    click(page.undo_button)
    assert store.backends() == [kept]
    assert not page.undo_button.isVisible()
    (run,) = window.session.runs()
    assert run.state is RunState.CREATED


def test_a_run_that_the_cluster_does_not_take_is_in_the_case_with_the_reason(
    case_window: Window, qtbot: QtBot, kept: Backend
) -> None:
    window, setup = case_window, case_window.rate.setup
    window.go_to(window.rate)
    setup.take_file(SAMPLE)
    assert setup.runs_on.isVisible()
    setup.runs_on.box.setCurrentIndex(setup.runs_on.box.findData(kept.name))
    assert kept.address in setup.runs_on.words.text()
    assert setup.runs_on.box in by_tab(setup.seed, setup.run)
    qtbot.waitUntil(setup.run.isEnabled, timeout=_PATIENCE_MS)
    assert "gpu-box looks at its own memory" in setup.footer.cost.text()
    click(setup.run)
    results = window.rate.results
    qtbot.waitUntil(results.resume.isVisible, timeout=_PATIENCE_MS)
    (run,) = window.session.runs()
    assert run.executor == kept.name
    assert results.state.text() == "● Interrupted on gpu-box"
    assert "127.0.0.1" in results.verdict.text()
    assert window.activity.row(run.path).name.text().endswith(" on gpu-box")
    qtbot.waitUntil(lambda: window.session.asker.is_idle and window.session.background.is_idle, timeout=_PATIENCE_MS)
