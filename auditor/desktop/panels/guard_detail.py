"""The right part of the Guard panel: one query with its answers and its prompts word for word."""

from typing import Any

from PySide6.QtWidgets import QWidget

from auditor.desktop import theme
from auditor.desktop.panels.run_detail import RunDetail
from auditor.desktop.session import Session
from auditor.desktop.widgets.detail import PlainTurns, plain_label
from auditor.runs.directory import RunDirectory

_EMPTY = "Select a query under Flipped queries or All answers to see its answers and the prompts that were asked."


class GuardDetail(RunDetail):
    """One query under one condition."""

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(session, parent)
        self._asked: tuple[int, str] | None = None
        self._shown: list[list[str]] = []
        self.heading = plain_label(_EMPTY, name="soft")
        self.turns = PlainTurns()
        self._layout.addWidget(self.heading)
        self._layout.addWidget(self.turns, 1)
        self._layout.addWidget(self._spring, 1)
        self.clear()

    def clear(self, words: str = _EMPTY) -> None:
        """Show no query."""
        self._session.asker.drop("guard_query")
        self._asked, self._shown = None, []
        theme.set_name(self.heading, "soft")
        self.heading.setText(words)
        self.turns.hide()
        self._spring.show()

    def show_query(self, run: RunDirectory, row: int, condition: str) -> None:
        """Ask for a query of a finished run."""
        self.clear(f"Query in row {row:,}")
        theme.set_name(self.heading, "heading")
        self._asked = (row, condition)
        asked = {"run_dir": str(run.path), "row": row, "condition": condition}
        self._session.asker.ask("guard_query", asked, self._show, self.clear)

    def _show(self, found: dict[str, Any]) -> None:
        if self._asked is None or found["row"] != self._asked[0]:
            return
        self._shown = found["parts"]
        self.turns.show_parts(self._shown)
        self._spring.hide()
        self.turns.show()

    def refresh_theme(self) -> None:
        """Draw the text in the colours of the theme."""
        self.turns.show_parts(self._shown)
