"""Screenshots of the Compare panel with guard runs; `tests.desktop.screens` calls it."""

from pathlib import Path
from typing import Any

from auditor.audits.guard import sample
from auditor.desktop.window import Window
from auditor.models.folder import inspect_folder
from PySide6.QtWidgets import QApplication
from tests.audits.guard.small_model import write
from tests.desktop.shooting import settle, shoot, wait

_ASKED: dict[str, Any] = {
    "attacks": ("cyclic", "cyclic:0.5", "targeted"),
    "n_demonstrations": 8,
    "splits": 0,
    "influence_queries": 0,
    "attention_queries": 0,
    "timing_queries": 0,
    "epsilon": 0.3,
    "model": "small",
}
#: What the three runs are asked otherwise.
_APART: tuple[dict[str, Any], ...] = ({}, {"n_demonstrations": 2}, {"instruction": "Is the text one of {labels}?"})


def shoot_compare_guard(application: QApplication, window: Window, folder: Path) -> None:
    """Save the Compare panel before there are runs, with two guard runs chosen, compared, and a query of them."""
    window.go_to(window.compare)
    settle(application, window)
    shoot(application, window, folder, "compare-none")
    case = window.session.case
    assert case is not None
    # Answers of random weights, which are there within seconds.
    model = inspect_folder(write(case.path.parent / "small"))
    files = {role: path for role, path in sample.files().items() if role != "corrupted"}
    for apart in _APART:
        run = case.new_run("guard", {**_ASKED, **apart}, files, {"model": model}, seed=0)
        window.session.resume(run.path)
        wait(application, lambda path=run.path: window.session.executor.status(path).sealed, 300)
        settle(application, window)
    window.go_to(window.compare)
    panel = window.compare
    wait(application, lambda: len(panel.choice.offered) == len(_APART), 60)
    for run_id in reversed(panel.choice.offered):
        panel.choice.tick(run_id)
    shoot(application, window, folder, "compare-guard-chosen")
    panel.compare()
    wait(application, lambda: panel.results.table.model.all_rows > 0, 120)
    shoot(application, window, folder, "compare-guard-differences")
    panel.results.tabs.setCurrentIndex(1)
    shoot(application, window, folder, "compare-guard-answers")
    panel.results.table.view.selectRow(2)
    wait(application, panel.detail.parts.isVisible, 60)
    shoot(application, window, folder, "compare-guard-query")
