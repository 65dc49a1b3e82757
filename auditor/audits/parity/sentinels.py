"""Cells that may stand for "no value": declared ones count as missing, others are asked about."""

import re
from collections.abc import Sequence

from auditor.audits.parity.settings import named
from auditor.errors import InputError

#: Texts that often stand for "no value": refused until somebody says what they are (ours).
SENTINELS = frozenset(
    {"-1", "-9", "-99", "-999", "-9999", "99", "999", "9999", "na", "n/a", "n.a.", "#n/a", "nan", "null", "none", "nil"}
    | {"unknown", "missing", "undefined", "unlabeled", "unlabelled", "?", "-", "--"}
)
NUMBER = re.compile(r"[+-]?(?:\d{1,15}\.?\d{0,25}|\.\d{1,25})(?:[eE][+-]?\d{1,3})?")
HEX = re.compile(r"#(?:[0-9a-fA-F]{6}|[0-9a-fA-F]{3})|[0-9a-fA-F]{6}")


def sentinel_error(text: str, otherwise: str) -> InputError | None:
    """The question whether a text stands for no value, without the place; None if it does not look so."""
    return no_value(text, otherwise) if text.casefold() in SENTINELS else None


def no_value(text: str, otherwise: str = "") -> InputError:
    """The question whether a text stands for no value, without the place."""
    fix = f"If it does, add it to {named('sentinels')}" + (f"; if it is a value, {otherwise}." if otherwise else ".")
    return InputError("This may stand for no value", value=text, fix=fix)


def is_sentinel(text: str, sentinels: Sequence[str]) -> bool:
    """Whether a text was declared to mean that there is no value, in any case or as the same number."""
    plain = text.casefold()
    return any(plain == sentinel.strip().casefold() or _same_number(plain, sentinel.strip()) for sentinel in sentinels)


def _same_number(text: str, other: str) -> bool:
    return bool(NUMBER.fullmatch(text) and NUMBER.fullmatch(other)) and float(text) == float(other)
