"""The right part of the Unlearn panel: one example in every way it was asked, or one file that was made of the model."""

from collections.abc import Mapping, Sequence
from typing import Any

from PySide6.QtWidgets import QWidget

from auditor.desktop import theme
from auditor.desktop.panels.run_detail import RunDetail
from auditor.desktop.session import Session
from auditor.desktop.widgets.detail import PlainTurns, plain_label
from auditor.runs.directory import RunDirectory

_EMPTY = (
    "Select an example under Answers, or under Other ways, to see what the model said before and says after, in every "
    "way it was asked; or a file under Files, to see where it lies."
)
_KINDS = {"forget": "To forget", "retain": "To keep", "holdout": "Never learnt", "probes": "Probe"}


class UnlearnDetail(RunDetail):
    """One example, or one file, of a finished run."""

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(session, parent)
        self._asked: tuple[str, int] | None = None
        self._shown: Sequence[Sequence[str]] = []
        self.heading = plain_label(_EMPTY, name="soft")
        self.turns = PlainTurns()
        self.turns.setAccessibleName("What is selected")
        self._layout.addWidget(self.heading)
        self._layout.addWidget(self.turns, 1)
        self._layout.addWidget(self._spring, 1)
        self.clear()

    def clear(self, words: str = _EMPTY) -> None:
        """Show no example."""
        self._session.asker.drop("unlearning_example")
        self._asked, self._shown = None, []
        theme.set_name(self.heading, "soft")
        self.heading.setText(words)
        self.turns.hide()
        self._spring.show()

    def show_example(self, run: RunDirectory, kind: str, row: int) -> None:
        """Ask for an example of a finished run."""
        self.clear(f"{_KINDS.get(kind, kind)}, row {row:,}")
        theme.set_name(self.heading, "heading")
        self._asked = (kind, row)
        asked = {"run_dir": str(run.path), "kind": kind, "row": row}
        self._session.asker.ask("unlearning_example", asked, self._show, self.clear)

    def _show(self, found: dict[str, Any]) -> None:
        if self._asked != (found["kind"], found["row"]):
            return
        self._show_parts(found["parts"])

    def show_file(self, run: RunDirectory, made: Mapping[str, Any]) -> None:
        """Show where a file lies, its whole hash, and how it was compared with what was trained."""
        self.clear(str(made["kind"]))
        theme.set_name(self.heading, "heading")
        parts = [["Where", str(run.path / made["name"])], ["Hash", f"SHA-256 {made['sha256']}"]]
        parts += [["Made from", made["made_from"]]] if made.get("made_from") else []
        checked = _checked(made)
        self._show_parts([*parts, ["How it was checked", checked]] if checked else parts)

    def _show_parts(self, parts: Sequence[Sequence[str]]) -> None:
        self._shown = parts
        self.turns.show_parts(parts)
        self._spring.hide()
        self.turns.show()

    def refresh_theme(self) -> None:
        """Draw the text in the colours of the theme."""
        self.turns.show_parts(self._shown)


def _checked(made: Mapping[str, Any]) -> str:
    """How a file was compared with the model that was trained, in a sentence; empty where it was not."""
    if made["kind"].startswith("folder"):
        return "Every weight was read again and compared bit for bit with what was trained."
    if made.get("rms_difference") is None:
        return ""
    return (
        f"Its logits were compared with torch's on {made['prompts']:,} prompts: root mean square difference at most "
        f"{made['rms_difference']:.3g}, largest of a single logit {made['largest_difference']:.3g}; the same token came first on "
        f"{made['same_first']:,}."
    )
