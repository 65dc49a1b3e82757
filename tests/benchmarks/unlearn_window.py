"""Event-loop lateness of the real window while an unlearning run trains with its live view open, and while its results come.

``python -m tests.benchmarks.unlearn_window [--rounds N] [--quick]``: the starter model learns the sample's facts once, which is
not measured; then it forgets five of them, round after round. `training` is from the first step that the live view shows to
the last, `run` from pressing Run until verdict, pictures and tables of the finished run are shown. With --quick a small model of
random weights takes many short steps, which the view has to keep up with.
"""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from auditor.desktop.lateness import LatenessProbe
from auditor.desktop.panels.unlearn import UnlearnPanel
from auditor.desktop.window import Window
from auditor.models.library import Library
from auditor.runs.directory import RunDirectory
from PySide6.QtWidgets import QApplication
from tests.audits.unlearning.files import facts, jsonl
from tests.benchmarks.harness import is_quick, option, report, summary
from tests.benchmarks.lateness import opened, wait
from tests.models import small

_PATIENCE_S = 3600
_PAINTED_S = 0.5
_SMALL: dict[str, Any] = {
    "epochs": 150,
    "batch_size": 4,
    "learning_rate": 1e-3,
    "probe_steps": 10,
    "new_tokens": 4,
    "device": "cpu",
    "dtype": "float32",
    "quantised": "",
    "relearn_steps": 2,
}


def prepare_small(application: QApplication, window: Window, folder: Path) -> None:
    """A small model that knows nothing, and files of facts."""
    setup = window.unlearn.setup
    Library().add(small.write(folder / "small"), name="small")
    setup.files.take("forget", jsonl(folder / "forget.jsonl", facts(4)).path)
    setup.files.take("retain", jsonl(folder / "retain.jsonl", facts(8, first=4)).path)
    for name, value in _SMALL.items():
        setup.form.set_value(name, value)
    setup.models.select("small")
    setup.models.refresh()
    wait(application, lambda: setup.models.chosen == "small", _PATIENCE_S)


def prepare_sample(application: QApplication, window: Window) -> None:
    """The starter model once it has learnt the sample's facts, and the files of those it is to forget."""
    panel = window.unlearn
    panel.try_sample()
    press(application, window)
    wait(application, panel.results.use.isVisible, _PATIENCE_S)
    panel.use_model("artefacts/model")
    wait(application, lambda: panel.setup.models.chosen == panel.setup.learnt is not None, _PATIENCE_S)
    panel.setup.files.take_sample("forget")


def press(application: QApplication, window: Window) -> Path:
    """Press Run, and wait until the run is in view."""
    panel = window.unlearn
    wait(application, lambda: window.session.asker.is_idle, _PATIENCE_S)
    wait(application, panel.setup.run.isEnabled, _PATIENCE_S)
    before = panel.shown_run
    panel.setup.start()
    wait(application, lambda: panel.shown_run not in (None, before), _PATIENCE_S)
    path = panel.shown_run
    assert path is not None
    return path


def one_round(application: QApplication, window: Window) -> tuple[dict[str, float], RunDirectory]:
    """Unlearn through the window."""
    panel = window.unlearn
    wait(application, lambda: window.session.asker.is_idle, _PATIENCE_S)
    wait(application, panel.setup.run.isEnabled, _PATIENCE_S)
    probe = LatenessProbe(window)
    probe.start()
    run = RunDirectory(press(application, window))
    wait(application, lambda: panel.results.live.isVisible() and panel.results.live.step > 0, _PATIENCE_S)
    first, begun = len(probe.late_ms), time.perf_counter()
    wait(application, lambda: panel.results.live.step >= panel.results.live.total, _PATIENCE_S)
    last, trained = len(probe.late_ms), time.perf_counter() - begun
    wait(application, shown(window, panel, run), _PATIENCE_S)
    # What has come is painted as well.
    settled = time.monotonic() + _PAINTED_S
    wait(application, lambda: time.monotonic() > settled, _PATIENCE_S)
    probe.stop()
    training = LatenessProbe(window)
    training.late_ms = probe.late_ms[first:last]
    figures = {
        "training_seconds": trained,
        "training_lateness_p99": training.quantile_ms(0.99),
        "training_lateness_max": training.max_ms,
        "run_lateness_p99": probe.quantile_ms(0.99),
        "run_lateness_max": probe.max_ms,
    }
    return figures, run


def shown(window: Window, panel: UnlearnPanel, run: RunDirectory) -> Callable[[], bool]:
    """Whether everything that came out of a run is shown."""
    results = panel.results
    return lambda: (
        run.seal_file.is_file()
        and results.report.isVisible()
        and results.is_whole
        and window.session.asker.is_idle
        and window.session.background.is_idle
        and results.pictures.is_whole
    )


def main() -> None:
    """Measure."""
    rounds = int(option("--rounds", "1" if is_quick() else "3"))
    figures: dict[str, list[float]] = {}
    application, window = opened()
    window.session.settings.setValue("open_reports", False)
    window.go_to(window.unlearn)
    with tempfile.TemporaryDirectory() as name:
        if is_quick():
            prepare_small(application, window, Path(name))
        else:
            prepare_sample(application, window)
        for _ in range(rounds):
            found, run = one_round(application, window)
            for key, value in found.items():
                figures.setdefault(key, []).append(value)
    findings = run.findings()
    events = sum(1 for _ in run.events())
    window.close()
    units = {key: "s" if key.endswith("seconds") else "ms" for key in figures}
    report(
        {
            "model": findings["model_name"],
            "steps": findings["training"]["steps"],
            "events": events,
            "rounds": rounds,
        },
        {key: summary(values, units[key]) for key, values in figures.items()},
        {},
    )


if __name__ == "__main__":
    main()
