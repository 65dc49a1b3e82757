"""What of the runs lies on a backend, and removing there what is fetched, whole and sealed in the open case."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from PySide6.QtWidgets import QDialog, QDialogButtonBox, QPushButton, QVBoxLayout, QWidget

from auditor.desktop.session import Session
from auditor.desktop.widgets.detail import plain_label
from auditor.desktop.widgets.listing import Listing
from auditor.sizes import size_words

if TYPE_CHECKING:
    from auditor.runs.ray.backend import Backend

_SIZE = (760, 420)
_COLUMNS = ("Run", "Size", "Last written", "What of it")
_ABOUT = (
    "Runs leave their folders on the cluster: checkpoints, files of models, inputs. What has arrived here, is whole and is "
    "sealed in the open case may go. Everything else stays: runs that were cancelled or interrupted go on from there."
)
_DAY_SECONDS = 86400


class CleanBackend(QDialog):
    """Lists and removes.

    Parameters
    ----------
    backend : Backend
    """

    def __init__(self, session: Session, backend: "Backend", parent: QWidget) -> None:
        super().__init__(parent)
        self._session, self._name = session, backend.name
        #: Run -> SHA-256 of its seal, of those that were listed as such that may go.
        self._going: dict[str, str] = {}
        self.setWindowTitle(f"Clear up on {backend.name}")
        self.resize(*_SIZE)
        self.words = plain_label()
        self.table = Listing("Runs that lie there", _COLUMNS)
        self.remove = QPushButton("Remove there")
        self.remove.setObjectName("primary")
        self.remove.clicked.connect(self._remove)
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        buttons.addButton(self.remove, QDialogButtonBox.ButtonRole.ActionRole)
        buttons.rejected.connect(self.reject)
        layout = QVBoxLayout(self)
        for widget in (plain_label(_ABOUT, name="help"), self.words, self.table, buttons):
            layout.addWidget(widget)
        self.finished.connect(lambda _result: self.deleteLater())
        self._ask({}, f"Asking {backend.name} what lies there …")

    def done(self, result: int) -> None:
        """Closing it gives the question up; what the cluster removes meanwhile is removed."""
        self._session.asker.drop(self._kind)
        super().done(result)

    @property
    def _kind(self) -> str:
        return f"backends clean {self._name}"

    def _ask(self, remove: Mapping[str, str], words: str) -> None:
        self.words.setText(words)
        self.remove.setEnabled(False)
        case = self._session.case
        asked = {"name": self._name, "cases": [str(case.path)] if case else [], "remove": dict(remove)}
        self._session.asker.ask("backends_clean", asked, self._show, self._miss, kind=self._kind)

    def _miss(self, sentence: str) -> None:
        """Say why nothing came back; what was listed before can be tried once more, since it goes by its seal."""
        self.words.setText(sentence)
        self.remove.setEnabled(bool(self._going))

    def _remove(self) -> None:
        self._ask(self._going, f"Removing {_runs(len(self._going))} on {self._name} …")

    def _show(self, found: Mapping[str, Any]) -> None:
        runs = found["runs"]
        self._going = {run["run"]: run["seal"] for run in runs if not run["stays"]}
        rows = [(run["run"], size_words(run["bytes"], 1), _age(run["age_s"]), run["stays"] or "may go") for run in runs]
        self.table.show_rows(rows, 0)
        done = (
            f"{_runs(found['n_removed'])} removed, {size_words(found['freed_bytes'], 1)}. "
            if found["n_removed"]
            else ""
        )
        size = size_words(sum(run["bytes"] for run in runs if not run["stays"]), 1)
        going = f"{_runs(len(self._going))} of {len(runs)} may go: {size}." if self._going else "Nothing there may go."
        self.words.setText(f"{done}{going}" if runs else f"{done}No run lies on {self._name}.")
        self.remove.setEnabled(bool(self._going))


def _runs(n: int) -> str:
    return f"{n:,} run{'s' if n != 1 else ''}"


def _age(seconds: float) -> str:
    days = int(seconds // _DAY_SECONDS)
    return "today" if not days else f"{days:,} day{'s' if days != 1 else ''} ago"
