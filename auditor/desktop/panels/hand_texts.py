"""Texts for rating by hand: some conversations are read ahead, so that the next one is there when a key is pressed."""

from collections.abc import Sequence
from typing import Any

from PySide6.QtCore import QObject, Signal

from auditor.desktop.session import Session
from auditor.runs.directory import RunDirectory

#: Conversations that are read at a time, how few may lie ready before more are asked for, and how many are held.
_AHEAD, _FEW, _MOST = 32, 10, 400


class HandTexts(QObject):
    """Reads a run's conversations in a process of its own.

    Signals
    -------
    arrived(int, object)
        Row, and its (heading, text) pairs: what is to be shown now.
    """

    arrived = Signal(int, object)

    def __init__(self, session: Session, parent: QObject) -> None:
        super().__init__(parent)
        self._session = session
        self._run: RunDirectory | None = None
        self._mark_last_reply = False
        self._held: dict[int, list[tuple[str, str]]] = {}
        self._asked: set[int] = set()
        self._wanted = 0

    def begin(self, run: RunDirectory, *, mark_last_reply: bool) -> None:
        """Begin with a run; `mark_last_reply` where only that is rated."""
        self._run, self._mark_last_reply = run, mark_last_reply
        self._held.clear()
        self._asked.clear()

    def show(self, row: int, upcoming: Sequence[int]) -> None:
        """Show a row, at once if it lies ready, and see to it that those that follow will."""
        self._wanted = row
        if row in self._held:
            self.arrived.emit(row, self._held[row])
        else:
            self.arrived.emit(row, [("Reading", "…")])
        ready = sum(ahead in self._held for ahead in upcoming[:_AHEAD])
        missing = [ahead for ahead in (row, *upcoming) if ahead not in self._held][:_AHEAD]
        is_late = row not in self._held and row not in self._asked
        if missing and self._run is not None and (is_late or (ready < _FEW and not self._asked)):
            self._asked = set(missing)
            asked = {"run_dir": str(self._run.path), "rows": sorted(self._asked)}
            self._session.asker.ask("units", asked, self._take, self._fail)

    def _take(self, found: dict[str, Any]) -> None:
        if len(self._held) > _MOST:
            self._held.clear()
        self._asked.clear()
        for unit in found["units"]:
            self._held[unit["row"]] = self._marked([(role, text) for role, text in unit["parts"]])
        if self._wanted in self._held:
            self.arrived.emit(self._wanted, self._held[self._wanted])

    def _marked(self, parts: list[tuple[str, str]]) -> list[tuple[str, str]]:
        replies = [place for place, (role, _text) in enumerate(parts) if role == "assistant"]
        if self._mark_last_reply and replies:
            parts[replies[-1]] = ("assistant: the reply to rate", parts[replies[-1]][1])
        return parts

    def _fail(self, sentence: str) -> None:
        self._asked.clear()
        self.arrived.emit(self._wanted, [("Not shown", sentence)])
