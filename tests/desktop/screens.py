"""Screenshots of the real window: ``python -m tests.desktop.screens OUT_DIR`` (on a screen, or under Xvfb).

Empty, running, failed and finished states at 1440x900 and 1024x700, light and dark; ``rate``, ``parity``, ``guard``,
``unlearn``, ``backends``, ``compare`` (with guard runs) or ``compare-unlearning`` as a second argument walks through that panel
alone.
"""

import os
import sys
import tempfile
from pathlib import Path

from auditor.desktop.app import make_application, make_window
from auditor.desktop.panels.models_optimise import OptimiseModel
from auditor.desktop.window import Window
from auditor.models.starter import starter
from auditor.resources import resource
from PySide6.QtWidgets import QApplication
from tests.desktop.screens_backends import shoot_backends
from tests.desktop.screens_compare import shoot_compare_guard
from tests.desktop.screens_compare_unlearning import shoot_compare_unlearning
from tests.desktop.screens_guard import shoot_guard
from tests.desktop.screens_parity import shoot_parity
from tests.desktop.screens_rate import shoot_rate, shoot_rubric_editor
from tests.desktop.screens_unlearn import shoot_unlearn
from tests.desktop.shooting import settle, shoot, wait


def shoot_optimise(application: QApplication, window: Window, folder: Path) -> None:
    """Save the dialog that optimises a model: asked, running, finished."""
    window.models.table.selectRow(0)
    window.models.optimise_button.click()
    (dialog,) = window.models.findChildren(OptimiseModel)

    def save(name: str) -> None:
        for scheme in ("light", "dark"):
            window.choose_scheme(scheme)
            wait(application, lambda: False, 0.3)
            dialog.grab().save(str(folder / f"{name}-{scheme}.png"))

    save("optimise")
    dialog.start.click()
    wait(application, lambda: "Measuring" in dialog.progress.format(), 120)
    save("optimise-running")
    wait(application, dialog.table.isVisible, 600)
    save("optimise-finished")
    dialog.reject()


def shoot_compare(application: QApplication, window: Window, folder: Path, first: Path) -> None:
    """Save the Compare panel with a finished run beside one that was asked otherwise."""
    case, judge = window.session.case, starter()
    assert case is not None
    assert judge is not None
    sample = {"conversations": resource("samples", "conversations.jsonl")}
    other = case.new_run("rating", {"scope": "conversation"}, sample, {"judge": judge}, seed=0)
    for row in range(1, 13):
        case.add_human_rating(first.name, str(row), "naturalness", 1 + row % 5, rater="Ada")
    window.session.resume(other.path)
    wait(application, lambda: window.session.executor.status(other.path).sealed, 300)
    settle(application, window)
    window.go_to(window.compare)
    panel = window.compare
    wait(application, lambda: len(panel.choice.offered) == 2, 30)
    for run in (first, other.path):
        panel.choice.tick(run.name)
    panel.compare()
    wait(application, lambda: panel.results.table.model.all_rows > 0, 60)
    shoot(application, window, folder, "compare-differences")
    panel.results.tabs.setCurrentIndex(1)
    panel.results.table.view.selectRow(4)
    shoot(application, window, folder, "compare-ratings")
    (other.tables / "ratings.parquet").unlink()
    panel.compare()
    shoot(application, window, folder, "compare-failed")


def shoot_rate_alone(application: QApplication, window: Window, folder: Path) -> None:
    """Save the Rate panel before there is a run, then in its other states, then the runs compared."""
    window.go_to(window.rate)
    shoot(application, window, folder, "rate-empty")
    shoot_rubric_editor(application, window, folder)
    shoot_compare(application, window, folder, shoot_rate(application, window, folder))


#: Panels that can be walked through alone, with the title of the case.
_ALONE = {
    "rate": (shoot_rate_alone, "Assistant review, November"),
    "parity": (shoot_parity, "Fashion search"),
    "guard": (shoot_guard, "Shop remarks, November"),
    "unlearn": (shoot_unlearn, "Facts to forget, November"),
    "compare": (shoot_compare_guard, "Shop remarks, November"),
    "compare-unlearning": (shoot_compare_unlearning, "Facts to forget, November"),
    "backends": (shoot_backends, "Assistant review, November"),
}


def main(folder: Path, *, only: str = "") -> None:
    """Walk through the states."""
    folder.mkdir(parents=True, exist_ok=True)
    os.environ["AUDITOR_HOME"] = tempfile.mkdtemp()
    application = make_application(["auditor"])
    window = make_window(Path(os.environ["AUDITOR_HOME"]) / "desktop.ini")
    window.show()
    settle(application, window)
    if only:
        shoot_panel, title = _ALONE[only]
        window.session.open_case(Path(os.environ["AUDITOR_HOME"]) / "case", create=True, title=title)
        shoot_panel(application, window, folder)
        window.close()
        return
    shoot(application, window, folder, "overview-empty")
    window.go_to(window.rate)
    shoot(application, window, folder, "rate-empty")
    shoot_rubric_editor(application, window, folder)
    window.go_to(window.compare)
    shoot(application, window, folder, "compare-empty")
    window.go_to(window.models)
    shoot(application, window, folder, "models")
    shoot_optimise(application, window, folder)
    case = Path(os.environ["AUDITOR_HOME"]) / "cases" / "assistant-review"
    window.session.open_case(case, create=True, title="Assistant review, November")
    run = shoot_rate(application, window, folder)
    shoot_compare(application, window, folder, run)
    shoot_parity(application, window, folder)
    shoot_guard(application, window, folder)
    shoot_unlearn(application, window, folder)
    window.go_to(window.overview)
    shoot(application, window, folder, "overview")
    # Last, since every setup asks where to run once a backend is kept.
    shoot_backends(application, window, folder)
    window.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), only=sys.argv[2] if len(sys.argv) > 2 else "")
