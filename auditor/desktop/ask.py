"""Questions answered by a child process, so that the window draws and asks but never computes."""

import json
import sys
from collections.abc import Callable, Mapping
from typing import Any

from PySide6.QtCore import QObject, QProcess, Signal

_KILL_MS = 10_000


class Question(QObject):
    """One question to `auditor.tasks`.

    Signals
    -------
    answered(object), failed(str), progressed(int, int, str)
        Nothing is sent after `drop`.
    """

    answered = Signal(object)
    failed = Signal(str)
    progressed = Signal(int, int, str)

    def __init__(
        self, name: str, asked: Mapping[str, Any], parent: QObject, dropped: Callable[[], None] | None = None
    ) -> None:
        super().__init__(parent)
        self._name, self._dropped = name, dropped
        self._said = b""
        self._result: dict[str, Any] | None = None
        self._process = QProcess(self)
        self._process.setStandardErrorFile(QProcess.nullDevice())
        self._process.readyReadStandardOutput.connect(self._read)
        self._process.finished.connect(self._finished)
        self._process.errorOccurred.connect(self._not_started)
        self._process.start(sys.executable, ["-m", "auditor.tasks", name])
        self._process.write(json.dumps(asked).encode())
        self._process.closeWriteChannel()

    def _read(self) -> None:
        self._said += bytes(self._process.readAllStandardOutput().data())
        *lines, self._said = self._said.split(b"\n")
        for line in lines:
            message = json.loads(line)
            if "progress" in message:
                step = message["progress"]
                # Qt's int has 32 bits; files have more bytes than that.
                self.progressed.emit(step["done"] >> 10, step["total"] >> 10, step["message"])
            else:
                self._result = message

    def _finished(self, code: int, _status: object) -> None:
        self._read()
        result = self._result
        if result is None:
            self.failed.emit(f"The process that was asked for {self._name} ended with code {code} before it answered.")
        elif result["ok"]:
            self.answered.emit(result["result"])
        else:
            self.failed.emit(result["error"])
        self.deleteLater()

    def _not_started(self, error: QProcess.ProcessError) -> None:
        if error == QProcess.ProcessError.FailedToStart:
            self.failed.emit(f"The process for {self._name} could not be started: {self._process.errorString()}.")
            self.deleteLater()

    def drop(self) -> None:
        """End it; its answer is not wanted any more."""
        for signal in (self._process.readyReadStandardOutput, self._process.finished, self._process.errorOccurred):
            signal.disconnect()
        self._process.kill()
        self._process.waitForFinished(_KILL_MS)
        if self._dropped is not None:
            self._dropped()
        self.deleteLater()


class Asker(QObject):
    """Keeps at most one question of a kind under way: a new one replaces the old one."""

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._open: dict[str, Question] = {}
        self._is_closed = False

    def ask(
        self,
        name: str,
        asked: Mapping[str, Any],
        answered: Callable[[Any], None],
        failed: Callable[[str], None],
        progressed: Callable[[int, int, str], None] | None = None,
        *,
        kind: str = "",
        dropped: Callable[[], None] | None = None,
    ) -> None:
        """Ask; `kind` tells questions of one name apart that may run beside each other.

        `dropped` is called instead of `answered` and `failed` if the answer is not wanted any more, once nobody works on it.
        """
        if self._is_closed:
            if dropped is not None:
                dropped()
            return
        key = kind or name
        self.drop(key)
        question = Question(name, asked, self, dropped)
        self._open[key] = question
        question.answered.connect(lambda result: self._done(key, question, answered, result))
        question.failed.connect(lambda sentence: self._done(key, question, failed, sentence))
        if progressed is not None:
            question.progressed.connect(progressed)

    def _done(self, key: str, question: Question, then: Callable[[Any], None], value: Any) -> None:
        if self._open.get(key) is question:
            del self._open[key]
        then(value)

    def drop(self, key: str) -> None:
        """End a question whose answer is not wanted any more."""
        question = self._open.pop(key, None)
        if question is not None:
            question.drop()

    def drop_all(self) -> None:
        """End all questions."""
        for key in list(self._open):
            self.drop(key)

    def close(self) -> None:
        """End all questions; what a timer of the closed window still asks is not begun."""
        self._is_closed = True
        self.drop_all()

    @property
    def is_idle(self) -> bool:
        """Whether nothing is under way."""
        return not self._open
