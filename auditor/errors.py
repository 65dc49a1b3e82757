"""Errors that people read: every message is a sentence that says what to do."""

#: What the end of a process by a signal usually means to the person in front of it.
SIGNALS = {
    "SIGKILL": "it was killed, often because memory ran out",
    "SIGSEGV": "it crashed in native code, often because of the model file",
    "SIGBUS": "it crashed while reading memory-mapped data: the disk may be full or the model file was cut short",
    "SIGILL": "this build of llama.cpp uses instructions that this processor lacks",
    "SIGABRT": "native code gave up, often because of the model file",
    "SIGFPE": "native code divided by zero, often because of the model file",
    "SIGTERM": "it was asked to end",
}


class AuditorError(Exception):
    """Base of every error whose message is meant for the person at the desk or the terminal."""


class InputError(AuditorError):
    """A file that cannot be used as it is.

    Parameters
    ----------
    problem : str
        What is wrong, without the place and without the fix.
    file : str, optional
        Name of the file as the person knows it.
    row : int, optional
        1-based line or record number.
    column : str, optional
        Column or field.
    value : object, optional
        The offending value; shown shortened.
    fix : str, optional
        What would make it right.
    """

    def __init__(
        self,
        problem: str,
        *,
        file: str | None = None,
        row: int | None = None,
        column: str | None = None,
        value: object = None,
        fix: str | None = None,
    ) -> None:
        self.problem, self.file, self.row, self.column, self.value, self.fix = problem, file, row, column, value, fix
        super().__init__(self._sentence())

    def _sentence(self) -> str:
        place = [part for part in (self.file, f"row {self.row}" if self.row is not None else None) if part]
        if self.column is not None:
            place.append(f"column {printable(self.column)}")
        text = f"{', '.join(place)}: {self.problem}" if place else self.problem
        if self.value is not None:
            text += f" (found {printable(self.value)})"
        text = text.rstrip(".") + "."
        return f"{text} {self.fix}" if self.fix else text


class ModelError(AuditorError):
    """A model file that cannot be read, does not fit, has changed, or failed while running."""


class RunError(AuditorError):
    """A run that cannot start, failed, or cannot be resumed."""


class BackendError(AuditorError):
    """Another machine that cannot be used: unknown, unreachable, refused, or unlike this one."""


class CaseError(AuditorError):
    """A case folder that cannot be opened or changed."""


class Cancelled(AuditorError):
    """Raised inside a run when a person cancelled it; what was flushed stays."""


def printable(value: object, limit: int = 80) -> str:
    """A value as one short printable line, safe for terminals, JSON and reports.

    Control characters, lone surrogates and NULs are shown as escapes, never sent as they are.
    """
    text = value if isinstance(value, str) else repr(value)
    cut = text[: limit + 1]
    shown = "".join(
        c if c.isprintable() else c.encode("unicode_escape", "backslashreplace").decode("ascii") for c in cut
    )
    return f"'{shown}'" if len(shown) <= limit else f"'{shown[: limit - 1]}…'"
