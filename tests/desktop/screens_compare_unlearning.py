"""Screenshots of the Compare panel with unlearning runs; `tests.desktop.screens` calls it."""

from pathlib import Path
from typing import Any

from auditor.desktop.window import Window
from auditor.models.folder import inspect_folder
from PySide6.QtWidgets import QApplication
from tests.audits.unlearning import taught
from tests.audits.unlearning.files import jsonl
from tests.desktop.shooting import settle, shoot, wait

_ASKED: dict[str, Any] = {
    "batch_size": 3,
    "learning_rate": 3e-4,
    "warmup_epochs": 0.0,
    "new_tokens": 24,
    "device": "cpu",
    "dtype": "float32",
    "gguf": False,
    "relearn_steps": 0,
    "model": "small-teller",
}
#: What the runs are asked otherwise.
_APART: tuple[dict[str, Any], ...] = (
    {"method": "pdu", "epochs": 120, "lambda_start": 10.0, "dual_step": 5.0, "dual_warmup_epochs": 0},
    {"method": "npo", "epochs": 30},
    {"method": "grad_diff", "epochs": 12},
)


def shoot_compare_unlearning(application: QApplication, window: Window, folder: Path) -> None:
    """Save the Compare panel with three unlearning runs chosen, compared, an example, and a run that lost its events."""
    case = window.session.case
    assert case is not None
    home = case.path.parent
    model = inspect_folder(taught.teach(home / "small-teller"))
    files = {
        role: jsonl(
            home / f"{role}.jsonl",
            [
                {"question": one.question, "answer": one.answer, "paraphrased_question": one.paraphrased_question}
                for one in taught.facts(role)
            ],
        ).path
        for role in ("forget", "retain", "holdout")
    }
    for apart in _APART:
        run = case.new_run("unlearning", {**_ASKED, **apart}, files, {"model": model}, seed=0)
        window.session.resume(run.path)
        wait(application, lambda path=run.path: window.session.executor.status(path).sealed, 600)
        settle(application, window)
    window.go_to(window.compare)
    panel = window.compare
    wait(application, lambda: len(panel.choice.offered) == len(_APART), 60)
    for run_id in reversed(panel.choice.offered):
        panel.choice.tick(run_id)
    shoot(application, window, folder, "compare-unlearning-chosen")
    panel.compare()
    wait(application, lambda: panel.results.table.model.all_rows > 0, 120)
    shoot(application, window, folder, "compare-unlearning-differences")
    panel.results.tabs.setCurrentIndex(1)
    shoot(application, window, folder, "compare-unlearning-examples")
    panel.results.table.view.selectRow(0)
    wait(application, panel.detail.parts.isVisible, 60)
    shoot(application, window, folder, "compare-unlearning-example")
    (run.path / "events.jsonl").unlink()
    panel.compare()
    shoot(application, window, folder, "compare-unlearning-failed")
