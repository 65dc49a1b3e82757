"""1,000,000 result rows in the Parity panel of the real window: seconds until they may be run, and the event loop's lateness.

``python -m tests.benchmarks.parity_window [--rounds N] [--quick]``: a CSV of results with a catalog is taken as if it had been
dropped. `preview` is the time until the first rows and every problem are shown, `ready` until both files are read and
validated, what they hold is said, and Run can be pressed. Lateness is that of the event loop meanwhile, and again from
pressing Run until pictures and tables of the finished run are shown.
"""

import tempfile
import time
from pathlib import Path

from auditor.desktop.lateness import LatenessProbe
from auditor.desktop.window import Window
from auditor.runs.directory import RunDirectory
from PySide6.QtWidgets import QApplication
from tests.benchmarks.harness import is_quick, option, report, summary
from tests.benchmarks.lateness import opened, wait
from tests.benchmarks.parity_inputs import write

_PATIENCE_S = 3600
#: After a setting was changed the panel waits for further changes before it reads anew.
_SETTLED_S = 1.0
_PAINTED_S = 0.5


def loading(application: QApplication, window: Window, folder: Path) -> dict[str, float]:
    """Take both files, and wait until they may be run."""
    setup = window.parity.setup
    probe = LatenessProbe(window)
    probe.start()
    begun = time.perf_counter()
    window.parity.take_file(folder / "results.csv")
    setup.files.take("catalog", folder / "catalog.csv")
    wait(application, lambda: {"results", "catalog"} <= setup.files.found.keys(), _PATIENCE_S)
    previewed = time.perf_counter()
    wait(application, setup.run.isEnabled, _PATIENCE_S)
    ready = time.perf_counter()
    probe.stop()
    assert all(found["n_problems"] == 0 for found in setup.files.found.values())
    return {
        "preview_seconds": previewed - begun,
        "ready_seconds": ready - begun,
        "loading_lateness_p99": probe.quantile_ms(0.99),
        "loading_lateness_max": probe.max_ms,
    }


def running(application: QApplication, window: Window) -> tuple[dict[str, float], RunDirectory]:
    """Run the audit, and wait until what came out is shown."""
    panel = window.parity
    before = panel.shown_run
    probe = LatenessProbe(window)
    probe.start()
    begun = time.perf_counter()
    panel.setup.start()
    wait(application, lambda: panel.shown_run not in (None, before), _PATIENCE_S)
    path = panel.shown_run
    assert path is not None
    wait(application, lambda: panel.results.report.isVisible() and panel.results.is_whole, _PATIENCE_S)
    wait(application, lambda: window.session.asker.is_idle and panel.results.pictures.is_whole, _PATIENCE_S)
    panel.finish()
    # What has come is painted as well.
    settled = time.monotonic() + _PAINTED_S
    wait(application, lambda: time.monotonic() > settled, _PATIENCE_S)
    probe.stop()
    figures = {
        "run_seconds": time.perf_counter() - begun - _PAINTED_S,
        "run_lateness_p99": probe.quantile_ms(0.99),
        "run_lateness_max": probe.max_ms,
    }
    return figures, RunDirectory(path)


def main() -> None:
    """Measure."""
    n_rows, n_items, rounds = (5_000, 2_000, 1) if is_quick() else (1_000_000, 100_000, 5)
    rounds = int(option("--rounds", str(rounds)))
    figures: dict[str, list[float]] = {}
    application, window = opened()
    window.session.settings.setValue("open_reports", False)
    window.go_to(window.parity)
    window.parity.setup.form.set_value("scale", "ordinal")
    if is_quick():
        window.parity.setup.form.set_value("permutations", 499)
    settled = time.monotonic() + _SETTLED_S
    wait(application, lambda: time.monotonic() > settled, _PATIENCE_S)
    with tempfile.TemporaryDirectory() as name:
        write(Path(name), n_rows, n_items)
        for _ in range(rounds):
            of_loading = loading(application, window, Path(name))
            of_run, run = running(application, window)
            for key, value in (of_loading | of_run).items():
                figures.setdefault(key, []).append(value)
    findings = run.findings()
    window.close()
    units = {key: "s" if key.endswith("seconds") else "ms" for key in figures}
    report(
        {
            "rows": n_rows,
            "items": n_items,
            "rounds": rounds,
            "mode": findings["mode"],
            "relabellings": findings["primary"]["n_permutations"],
        },
        {key: summary(values, units[key]) for key, values in figures.items()},
        {},
    )


if __name__ == "__main__":
    main()
