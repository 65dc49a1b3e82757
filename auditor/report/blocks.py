"""What a report is made of: headings and blocks of text, once for HTML and PDF.

All text passes `clean`, so that nothing from data reaches a page as control characters.
"""

import unicodedata
from dataclasses import dataclass


@dataclass(frozen=True)
class Text:
    """Paragraphs; line breaks are kept."""

    text: str
    kind: str = "text"


@dataclass(frozen=True)
class Bullets:
    """A list."""

    items: tuple[str, ...]
    kind: str = "bullets"


@dataclass(frozen=True)
class Facts:
    """Label and value pairs; `mono` values are hashes and names of files."""

    rows: tuple[tuple[str, str, bool], ...]
    kind: str = "facts"


@dataclass(frozen=True)
class Grid:
    """A table; numbers are aligned to the right."""

    caption: str
    headers: tuple[str, ...]
    numeric: tuple[bool, ...]
    rows: tuple[tuple[str, ...], ...]
    kind: str = "grid"


@dataclass(frozen=True)
class Drawing:
    """A figure with its description in words."""

    name: str
    title: str
    description: str
    svg: str
    kind: str = "drawing"


@dataclass(frozen=True)
class Heading:
    """A heading within a section."""

    text: str
    kind: str = "heading"


Block = Text | Bullets | Facts | Grid | Drawing | Heading


@dataclass(frozen=True)
class Section:
    """A section of the report."""

    id: str
    title: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True)
class Content:
    """Everything a report says.

    Attributes
    ----------
    alert : str
        What must stand beside the verdict, e.g. that a starter model took part; empty if nothing.
    time : str
        UTC time of the seal, or of the run's creation when it is not sealed.
    """

    title: str
    subtitle: str
    verdict: str
    alert: str
    time: str
    facts: Facts
    sections: tuple[Section, ...]


def clean(text: object) -> str:
    """A value as text in which control characters, direction overrides and lone surrogates show as escapes."""
    return "".join(
        c if c in "\n\t" or unicodedata.category(c) not in ("Cc", "Cs", "Cf", "Co", "Cn") else f"\\u{ord(c):04x}"
        for c in str(text)
    )


def number(value: object) -> str:
    """A value for a table: whole numbers with separators, others with three decimals or digits."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.3f}" if 0.001 <= abs(value) < 10_000 or value == 0 else f"{value:.3g}"
    if isinstance(value, (list, tuple)):
        return ", ".join(number(part) for part in value)
    return clean(value)
