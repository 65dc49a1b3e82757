"""Screenshots of the Backends panel in its states; `tests.desktop.screens` calls it."""

import shutil
from pathlib import Path

from auditor.desktop.panels.backends_clean import CleanBackend
from auditor.desktop.panels.backends_edit import EditBackend
from auditor.desktop.window import Window
from auditor.resources import resource
from auditor.runs import seal
from auditor.runs.ray.backend import Backend
from PySide6.QtWidgets import QApplication
from tests.desktop.shooting import settle, shoot, wait
from tests.desktop.tiny_cluster import lie_there, tiny_cluster

#: The last event of a run that is done.
_DONE = '{"v":1,"n":0,"t":"2026-01-01T00:00:00.000Z","kind":"state","state":"done","message":""}\n'
#: Nobody listens there.
_CLOSED = "http://127.0.0.1:9"


def _keep(window: Window, name: str, address: str, **more: str) -> None:
    fields = {"token": "secret", "shared": None, "cache": None, **more}
    window.session.keep_backend(Backend(name=name, address=address, **fields), replace=False)


def _test(application: QApplication, window: Window, name: str) -> None:
    window.backends.select(name)
    window.backends.test()
    wait(application, window.backends.test_button.isEnabled, 30)


def shoot_dialog(application: QApplication, window: Window, folder: Path) -> None:
    """Save the dialog: as it opens, and with everything that can be wrong."""
    page = window.backends
    page.add()
    (dialog,) = (found for found in page.findChildren(EditBackend) if found.isVisible())
    for name, texts in {
        "empty": {},
        "problems": {"name": "GPU box", "address": "http://gpu.example.org:8265", "token": "secret"},
    }.items():
        for field, text in texts.items():
            dialog.lines[field].setText(text)
        if texts:
            dialog.confirm.setChecked(True)
            dialog.save.click()
        for scheme in ("light", "dark"):
            window.choose_scheme(scheme)
            wait(application, lambda: False, 0.3)
            dialog.grab().save(str(folder / f"backends-dialog-{name}-{scheme}.png"))
    dialog.reject()


def shoot_clean(application: QApplication, window: Window, folder: Path, room: Path) -> None:
    """Save the dialog that clears up: what may go and what stays, and once it is gone."""
    case = window.session.case
    assert case is not None
    inputs = {"conversations": resource("samples", "conversations.jsonl")}
    runs = [case.new_run("rating", {}, inputs, {}, seed=seed, executor="lab") for seed in range(3)]
    for run in runs[:2]:
        run.events_file.write_text(_DONE, encoding="utf-8")
        run.findings_file.write_text("{}", encoding="utf-8")
        seal.seal(run)
    for run in runs:
        shutil.copytree(run.path, room / "runs" / run.path.name)
    (room / "inputs").mkdir()
    window.backends.select("lab")
    window.backends.clean_button.click()
    (dialog,) = window.backends.findChildren(CleanBackend)
    for name in ("listed", "removed"):
        wait(application, lambda: "may go" in dialog.words.text(), 30)
        for scheme in ("light", "dark"):
            window.choose_scheme(scheme)
            wait(application, lambda: False, 0.3)
            dialog.grab().save(str(folder / f"backends-clean-{name}-{scheme}.png"))
        dialog.remove.click()
    dialog.reject()


def shoot_backends(application: QApplication, window: Window, folder: Path) -> None:
    """Save the panel: empty, the dialog, listed, a failed connection, removed; then where a run's setup asks."""
    page = window.backends
    window.go_to(page)
    settle(application, window)
    shoot(application, window, folder, "backends-empty")
    shoot_dialog(application, window, folder)
    with tiny_cluster() as cluster:
        _keep(window, "lab", cluster.address, shared="/mnt/models", cache="/var/cache/auditor")
        _keep(window, "gpu-box", _CLOSED)
        _keep(window, "night-shift", "https://ray.example.org")
        page.how_button.setChecked(False)
        _test(application, window, "gpu-box")
        _test(application, window, "lab")
        room = folder.resolve() / "room-of-lab"
        lie_there(cluster, room)
        shoot_clean(application, window, folder, room)
        shutil.rmtree(room)
    shoot(application, window, folder, "backends-listed")
    page.select("gpu-box")
    shoot(application, window, folder, "backends-failed")
    page.how_button.setChecked(True)
    shoot(application, window, folder, "backends-failed-how")
    page.how_button.setChecked(False)
    page.select("night-shift")
    page.remove_button.click()
    shoot(application, window, folder, "backends-removed")
    shoot_run(application, window, folder)


def shoot_run(application: QApplication, window: Window, folder: Path) -> None:
    """Save a run that was given to a cluster which does not answer: its setup, what came of it, the overview."""
    panel = window.rate
    window.go_to(panel)
    panel.setup.take_file(resource("samples", "conversations.jsonl"))
    panel.setup.runs_on.box.setCurrentIndex(panel.setup.runs_on.box.findData("gpu-box"))
    wait(application, panel.setup.run.isEnabled, 60)
    panel.setup.start()
    wait(application, panel.results.resume.isVisible, 60)
    shoot(application, window, folder, "backends-run")
    window.go_to(window.overview)
    shoot(application, window, folder, "backends-overview")
