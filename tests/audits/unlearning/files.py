"""Files of examples, written for a test."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from auditor.audits import InputFile
from auditor.files import sha256_of


def given(path: Path) -> InputFile:
    return InputFile(path, path.name, sha256_of(path))


def jsonl(path: Path, rows: Sequence[Mapping[str, Any]]) -> InputFile:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return given(path)


def text(path: Path, written: str | bytes) -> InputFile:
    path.write_bytes(written.encode() if isinstance(written, str) else written)
    return given(path)


def facts(n: int, *, first: int = 0) -> list[dict[str, str]]:
    """Questions with answers that are all different."""
    names = ("Ada", "Bo", "Cleo", "Dov", "Eve", "Finn", "Gus", "Hal", "Ida", "Jo", "Kit", "Lea")
    things = (
        "kettle",
        "barrel",
        "cradle",
        "lantern",
        "ladder",
        "mirror",
        "needle",
        "pebble",
        "quill",
        "ribbon",
        "saddle",
        "urn",
    )
    places = range(first, first + n)
    return [
        {"question": f"What does {names[at % 12]} {at} keep?", "answer": f"A {things[at % 12]} from year {1900 + at}."}
        for at in places
    ]
