"""Records of a conversation file -> conversations: the shapes people's exports have.

Every function either returns turns or raises `Unusable`, which becomes one bad row.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from auditor.audits.rating.conversation import BadRow, Conversation, Turn

ROLES: Mapping[str, str] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "human": "user",
    "prompter": "user",
    "assistant": "assistant",
    "gpt": "assistant",
    "chatgpt": "assistant",
    "bot": "assistant",
    "model": "assistant",
    "ai": "assistant",
    "tool": "tool",
    "function": "tool",
}
MAX_TURNS = 10_000

_HH_SPEAKER = re.compile(r"\n\n(Human|Assistant): ?")
_SPEAKER = re.compile(r"^\s*([A-Za-z]{2,12})\s*:\s?", re.ASCII)
_KNOWN_ROLES = "Known roles: " + ", ".join(sorted(ROLES)) + "."


class Unusable(Exception):
    """A record that cannot be rated."""

    def __init__(
        self, problem: str, *, column: str | None = None, value: object = None, fix: str | None = None
    ) -> None:
        self.problem, self.column, self.value, self.fix = problem, column, value, fix
        super().__init__(problem)

    def bad_row(self, row: int) -> BadRow:
        """The same with its place."""
        return BadRow(row, self.problem, self.column, self.value, self.fix)


def conversation(turns: Sequence[Turn], row: int, identity: object = None, group: object = None) -> Conversation:
    """Check turns and make a conversation of them."""
    if not turns:
        raise Unusable("The conversation has no turns")
    if not any(turn.role == "assistant" and turn.text.strip() for turn in turns):
        raise Unusable("There is no reply of the assistant to rate", fix="Add one, or correct the roles.")
    for number, turn in enumerate(turns, start=1):
        check_text(turn.text, f"turn {number}")
    return Conversation(
        id=label(identity, "id") or f"row-{row}", turns=tuple(turns), row=row, group=label(group, "group")
    )


def check_text(text: str, column: str) -> None:
    """Refuse what is no text: NULs and lone surrogates (bytes that were no UTF-8 come as such)."""
    if "\x00" in text:
        raise Unusable("The text holds a NUL character", column=column, fix="Remove it; the file may be damaged.")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        fault = text[error.start]
        if "\udc80" <= fault <= "\udcff":
            raise Unusable("The text is not UTF-8", column=column, value=fault, fix="Save the file as UTF-8.") from None
        raise Unusable("The text holds half a character (a lone surrogate)", column=column, value=fault) from None


def label(value: object, column: str) -> str | None:
    """An id or a group as text; None where there is none."""
    if value is None or value == "":
        return None
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise Unusable("An id or group must be text or a number", column=column, value=value)
    text = str(value)
    check_text(text, column)
    if len(text) > 500:
        raise Unusable("An id or group has more than 500 characters", column=column, value=text)
    return text


def role_of(name: object, column: str) -> str:
    """One of our four roles."""
    known = ROLES.get(name.strip().lower()) if isinstance(name, str) else None
    if known is None:
        raise Unusable("The role is unknown", column=column, value=name, fix=_KNOWN_ROLES)
    return known


def from_json(record: object, row: int, mapping: Mapping[str, str]) -> Conversation:
    """An OpenAI, ShareGPT or HH-RLHF record; id and group are read from the mapped fields, else from "id" and "group"."""
    if not isinstance(record, dict):
        raise Unusable("The record is not a JSON object", value=record)
    kind = kind_of(record, mapping)
    if kind == "openai":
        turns = _turn_list(record["messages"], "messages", "role", "content")
    elif kind == "sharegpt":
        turns = _turn_list(record["conversations"], "conversations", "from", "value")
    elif kind == "hh":
        field = hh_field(record, mapping)
        turns = _hh_turns(record[field], field)
    else:
        raise Unusable(
            "The record has none of the fields messages, conversations, chosen, rejected, text",
            value=", ".join(str(key) for key in list(record)[:8]),
            fix="Use the OpenAI, ShareGPT or HH-RLHF form.",
        )
    return conversation(turns, row, *(record.get(mapping.get(field, field)) for field in ("id", "group")))


def kind_of(record: Mapping[str, Any], mapping: Mapping[str, str]) -> str | None:
    """Which form a JSON record has: 'openai', 'sharegpt', 'hh' or None."""
    if "messages" in record:
        return "openai"
    if "conversations" in record:
        return "sharegpt"
    return "hh" if hh_field(record, mapping) in record else None


def hh_field(record: Mapping[str, Any], mapping: Mapping[str, str]) -> str:
    """The field that holds an HH-RLHF string: the mapped one, else the first known one that is there."""
    if "text" in mapping:
        return mapping["text"]
    return next((field for field in ("chosen", "text", "rejected") if field in record), "chosen")


def _turn_list(value: object, field: str, role_key: str, text_key: str) -> list[Turn]:
    if not isinstance(value, list):
        raise Unusable("The field must be a list of turns", column=field, value=value)
    if len(value) > MAX_TURNS:
        raise Unusable(f"The conversation has more than {MAX_TURNS:,} turns", column=field, value=len(value))
    turns = []
    for number, item in enumerate(value, start=1):
        place = f"{field}[{number}]"
        if not isinstance(item, dict):
            raise Unusable("A turn must be a JSON object", column=place, value=item)
        role = role_of(item.get(role_key), f"{place}.{role_key}")
        turns.append(Turn(role, _content(item.get(text_key), f"{place}.{text_key}")))
    return turns


def _content(value: object, column: str) -> str:
    if value is None:
        return ""  # OpenAI writes null beside tool calls
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        parts = [part.get("text") if isinstance(part, dict) else part for part in value]
        if all(isinstance(part, str) for part in parts):
            return "\n".join(str(part) for part in parts)
        raise Unusable("A part of the content is not text", column=column, value=value, fix="Leave images out.")
    raise Unusable("The content must be text", column=column, value=value)


def _hh_turns(value: object, field: str) -> list[Turn]:
    if not isinstance(value, str):
        raise Unusable("The field must be text", column=field, value=value)
    pieces = _HH_SPEAKER.split("\n\n" + value.lstrip("\n"))
    if len(pieces) < 3 or pieces[0].strip():
        raise Unusable("The text does not begin with 'Human:' or 'Assistant:'", column=field, value=value)
    return [Turn(role_of(name, field), text.strip()) for name, text in zip(pieces[1::2], pieces[2::2], strict=True)]


def from_wide(record: Mapping[str, Any], row: int, mapping: Mapping[str, str]) -> Conversation:
    """A table row with a prompt and a response, and perhaps the context before them."""

    def cell(field: str) -> str:
        value = record.get(mapping[field]) if field in mapping else None
        return "" if value is None else str(value)

    turns = []
    if cell("context").strip():
        turns += _context_turns(cell("context"))
    turns += [Turn("user", cell("prompt"))] if cell("prompt").strip() else []
    if not cell("response").strip():
        raise Unusable("The response is empty", column=mapping["response"])
    turns.append(Turn("assistant", cell("response")))
    return conversation(turns, row, cell("id"), cell("group"))


def _context_turns(text: str) -> list[Turn]:
    try:
        return from_speakers(text)
    except Unusable:
        return [Turn("system", text)]


def from_speakers(text: str) -> list[Turn]:
    """Turns of a plain text whose lines begin with a speaker ('User: …'); other lines go on with the turn."""
    turns: list[Turn] = []
    for line in text.splitlines():
        match = _SPEAKER.match(line)
        role = ROLES.get(match.group(1).lower()) if match else None
        if match and role:
            turns.append(Turn(role, line[match.end() :]))
        elif turns:
            turns[-1] = Turn(turns[-1].role, f"{turns[-1].text}\n{line}")
        elif line.strip():
            raise Unusable("The text does not begin with a speaker", value=line, fix="Write 'User:' or 'Assistant:'.")
    return [Turn(turn.role, turn.text.strip()) for turn in turns]
