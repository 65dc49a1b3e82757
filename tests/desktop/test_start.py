import subprocess
import sys

import pytest
from PySide6.QtCore import QObject, Signal

_HEAVY = [
    "torch",
    "transformers",
    "llama_cpp",
    "matplotlib",
    "scipy",
    "pandas",
    "numpy",
    "pyarrow",
    "gguf",
    "jinja2",
    "typst",
]
_CODE = """
import sys, tempfile, pathlib
from auditor.desktop.app import make_application, make_window
application = make_application(["auditor"])
window = make_window(pathlib.Path(tempfile.mkdtemp()) / "desktop.ini")
window.show()
application.processEvents()
print(" ".join(sorted({name.partition(".")[0] for name in sys.modules})))
window.close()
"""


def test_the_window_opens_without_any_heavy_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYTHONPATH")  # pandas is hidden there
    done = subprocess.run([sys.executable, "-c", _CODE], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert "PySide6" in loaded
    assert loaded.isdisjoint(_HEAVY)


def test_signals_do_not_use_up_none_and_true(qapp: object) -> None:
    """PySide6 6.12.0 on Python 3.11 lost a reference a signal, until the process died."""

    class Sender(QObject):
        sent = Signal(object)

    sender = Sender()
    sender.sent.connect(lambda _value: None)
    before = [sys.getrefcount(value) for value in (None, True)]
    for _ in range(500):
        sender.sent.emit(None)
    after = [sys.getrefcount(value) for value in (None, True)]
    assert all(now > then - 50 for now, then in zip(after, before, strict=True))
