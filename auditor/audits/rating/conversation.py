"""What is rated: a conversation of turns."""

from dataclasses import dataclass

from auditor.errors import InputError


@dataclass(frozen=True)
class Turn:
    """One turn; role is 'system', 'user', 'assistant' or 'tool'."""

    role: str
    text: str


@dataclass(frozen=True)
class Conversation:
    """A conversation as it stands in an input.

    Attributes
    ----------
    id : str
        The file's own id, else ``row-<n>``.
    turns : tuple of Turn
        At least one of the assistant's.
    row : int
        1-based record number in the file.
    group : str or None
        Conversations that belong together (for example, replies to one context); intervals are by group.
    """

    id: str
    turns: tuple[Turn, ...]
    row: int
    group: str | None = None


@dataclass(frozen=True)
class BadRow:
    """A record that cannot be rated; listed, counted, never dropped silently."""

    row: int
    problem: str
    column: str | None = None
    value: object = None
    fix: str | None = None

    def sentence(self, file: str) -> str:
        """The same as one sentence for people."""
        return str(
            InputError(self.problem, file=file, row=self.row, column=self.column, value=self.value, fix=self.fix)
        )
