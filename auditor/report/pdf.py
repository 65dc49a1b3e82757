"""A report as a tagged PDF (PDF/UA-1) through typst; the same content gives the same bytes."""

import json
import re
from dataclasses import asdict
from datetime import datetime

from auditor.errors import AuditorError
from auditor.report.blocks import Content
from auditor.resources import resource

#: How typst names a text that none of its fonts can show.
_NO_GLYPH = re.compile(r"the text `\"(.+?)\"` could not be displayed")
_ESCAPED = re.compile(r"\\u\{([0-9a-f]+)\}")
#: From here on characters are those of East Asian and rarer scripts, and signs, which the fonts lack as a rule.
_RARE = 0x2E80
_BLOCK = 128
#: Blocks of characters after which setting is given up.
_MOST_ATTEMPTS = 40


def pdf(content: Content) -> bytes:
    r"""The report as PDF bytes. Texts go in as data, so that none of them is taken for typst markup.

    A tagged PDF must not hold characters without a glyph: those that the fonts lack are written as escapes, \ud55c.

    Raises
    ------
    AuditorError
        If typst cannot set it.
    """
    import typst

    text = json.dumps(asdict(content), ensure_ascii=False)
    time = datetime.fromisoformat(content.time).replace(microsecond=0)
    for _ in range(_MOST_ATTEMPTS):
        try:
            return _set(text, time)
        except typst.TypstError as error:
            lacking = _lacking(error.message, text)
            if not lacking:
                raise AuditorError(f"The PDF could not be set: {error.message}.") from error
        # Within the JSON text a backslash is written twice.
        text = text.translate({ord(c): f"\\\\u{ord(c):04x}" for c in lacking})
    raise AuditorError("The PDF could not be set: the fonts lack too many of its characters.")


def _set(text: str, time: datetime) -> bytes:
    import typst

    made = typst.compile(
        resource("report", "report.typ"),
        root=resource("report"),
        ignore_system_fonts=True,
        format="pdf",
        pdf_standards="ua-1",
        timestamp=time,
        sys_inputs={"content": text},
    )
    if not isinstance(made, bytes):
        raise AuditorError("The PDF could not be set: typst gave no document.")
    return made


def _lacking(message: str, text: str) -> set[str]:
    """Characters of a text that the fonts lack, as far as typst's message tells: the one named and those of its block."""
    found = _NO_GLYPH.search(message)
    if found is None:
        return set()
    named = {ord(c) for c in _ESCAPED.sub(lambda code: chr(int(code[1], 16)), found[1]) if not c.isascii()}
    blocks = {code // _BLOCK for code in named}
    is_rare = any(code >= _RARE for code in named)
    return {
        c for c in set(text) if ord(c) in named or ord(c) // _BLOCK in blocks - {0} or (is_rare and ord(c) >= _RARE)
    }
