"""The evidence chain: one JSON object a line, each holding the hash of the one before. Tamper-evident.

hash = SHA-256 of the link without its hash, in canonical JSON. Who changes, removes, inserts or reorders a link
breaks every later one; who removes the newest links is found out by a head that was kept elsewhere, for
example in a printed report.
"""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from auditor.errors import CaseError
from auditor.files import canonical_json, sha256_of_json
from auditor.runs.clock import utc_now

CHAIN_VERSION = 1
FIRST_PREVIOUS = "0" * 64


@dataclass(frozen=True)
class Link:
    """One link; `n` counts from 0, `body` depends on the kind."""

    n: int
    time: str
    kind: str
    body: Mapping[str, Any]
    prev: str
    hash: str


class Chain:
    """Reads and extends a chain.

    Parameters
    ----------
    file : Path
        ``chain.jsonl``.
    repair : bool
        Cut off a torn last line, left by a crash while it was written. Only for who holds the case's lock.

    Raises
    ------
    CaseError
        If the chain is broken; it is then not extended.
    """

    def __init__(self, file: Path, *, repair: bool) -> None:
        self._file = file
        if repair and file.exists():
            _cut_torn_line(file)
        self.links, problems = read(file)
        if problems:
            raise CaseError(f"{problems[0]} Nothing was changed; `auditor verify` names everything.")

    @property
    def head(self) -> str:
        """Hash of the newest link, 64 zeros if there is none."""
        return self.links[-1].hash if self.links else FIRST_PREVIOUS

    def append(self, kind: str, body: Mapping[str, Any]) -> Link:
        """Write a link to the disk."""
        return self.extend([(kind, body)])[0]

    def extend(self, said: Sequence[tuple[str, Mapping[str, Any]]]) -> list[Link]:
        """Write a link for each (kind, body), all in one go; a failed write leaves none."""
        made: list[Link] = []
        lines = b""
        for kind, body in said:
            unhashed = {
                "v": CHAIN_VERSION,
                "n": len(self.links) + len(made),
                "time": utc_now(),
                "kind": kind,
                "body": dict(body),
                "prev": made[-1].hash if made else self.head,
            }
            link = {**unhashed, "hash": sha256_of_json(unhashed)}
            lines += canonical_json(link) + b"\n"
            made.append(_link(link))
        size = self._file.stat().st_size if self._file.exists() else 0
        with self._file.open("ab") as file:
            try:
                file.write(lines)
                file.flush()
                os.fsync(file.fileno())
            except OSError:
                file.truncate(size)
                raise
        self.links.extend(made)
        return made


def read(file: Path) -> tuple[list[Link], list[str]]:
    """Links of a chain up to the first broken one, and every problem found, as sentences.

    A torn last line is no problem: it is a link that was never finished.
    """
    links: list[Link] = []
    problems: list[str] = []
    if not file.exists():
        return links, problems
    previous = FIRST_PREVIOUS
    for number, line in enumerate(file.read_bytes().split(b"\n")[:-1]):
        try:
            raw = json.loads(line)
            link = _link(raw)
            recomputed = sha256_of_json({key: value for key, value in raw.items() if key != "hash"})
        except (ValueError, KeyError, TypeError, AttributeError):
            problems.append(f"Chain, line {number + 1}: the link is damaged.")
            return links, problems
        if recomputed != link.hash:
            problems.append(f"Chain, line {number + 1}: the link has changed since it was written.")
            return links, problems
        if link.n != number or link.prev != previous:
            problems.append(f"Chain, line {number + 1}: a link was removed, inserted or reordered here.")
            return links, problems
        previous = link.hash
        links.append(link)
    return links, problems


def _link(raw: Mapping[str, Any]) -> Link:
    if raw["v"] != CHAIN_VERSION or not isinstance(raw["body"], dict):
        raise ValueError("unknown version or body")
    return Link(int(raw["n"]), str(raw["time"]), str(raw["kind"]), raw["body"], str(raw["prev"]), str(raw["hash"]))


def _cut_torn_line(file: Path) -> None:
    with file.open("r+b") as stream:
        data = stream.read()
        whole = data.rfind(b"\n") + 1
        if whole != len(data):
            stream.truncate(whole)
