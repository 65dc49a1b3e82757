"""What people said in a case, and what a judge was asked to say: each committed at once and linked into the chain."""

import threading
from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from auditor.case.chain import Chain
from auditor.case.store import Record, Store
from auditor.errors import CaseError
from auditor.runs.directory import RunDirectory

RATING, WITHDRAWN, EXPLANATION = "human rating", "human rating withdrawn", "explanation"
NOTE, SIGN_OFF = "note", "sign-off"
_MAX_TEXT = 100_000


@dataclass(frozen=True)
class GivenRating:
    """A person's rating on its way into a case.

    Attributes
    ----------
    unit : str
        What was rated, as the audit names it.
    score : float
        On the scale that people used: from 1 to 5 in whole numbers unless `scale` says otherwise.
    blind : bool or None
        Whether the judge's scores were hidden from the rater; None where nobody knows, as in a file.
    scale : tuple of float, optional
        Lowest and highest score of another scale than 1 to 5.
    mapping : str
        "linear" where it was declared that the scale maps onto 1 to 5 by a straight line, else "none".
    source : str
        Name of the file it was imported from; empty for one given in the window.
    """

    unit: str
    axis: str
    rater: str
    score: float
    note: str = ""
    blind: bool | None = None
    scale: tuple[float, float] | None = None
    mapping: str = "none"
    source: str = ""

    def body(self) -> dict[str, Any]:
        """What is kept of it; what nobody said is left out.

        Raises
        ------
        CaseError
            If the score is not on its scale, or the rater has no name.
        """
        made: dict[str, Any] = {
            "unit": self.unit,
            "axis": self.axis,
            "score": self._checked_score(),
            "rater": text_of(self.rater, "rater"),
            "note": text_of(self.note, "note") if self.note.strip() else "",
        }
        if self.blind is not None:
            made["blind"] = self.blind
        if self.scale is not None:
            made |= {"scale": list(self.scale), "mapping": self.mapping}
        return made | ({"source": self.source} if self.source else {})

    def _checked_score(self) -> float:
        if self.scale is None:
            if isinstance(self.score, bool) or self.score not in (1, 2, 3, 4, 5):
                raise CaseError(f"A rating is a whole number from 1 to 5, not {self.score!r}.")
            return int(self.score)
        low, high = self.scale
        if isinstance(self.score, bool) or not low <= self.score <= high:
            raise CaseError(f"A rating on the scale from {low:g} to {high:g} cannot be {self.score!r}.")
        return self.score


class Records(ABC):
    """The records of a case. `Case` adds runs and inputs to it.

    Parameters
    ----------
    store, chain
        Index and evidence chain, made by the case.
    """

    def __init__(self, store: Store, chain: Chain, *, name: str, write: bool) -> None:
        self.writable = write
        self._store, self._chain, self._name = store, chain, name
        self._guard = threading.RLock()

    @abstractmethod
    def run(self, run_id: str) -> RunDirectory:
        """One run's directory; the case says which there are."""

    def add_note(self, text: str, *, author: str, run: str | None = None) -> None:
        """Commit a note and link it."""
        self._say(NOTE, {"text": text_of(text, "note"), "author": text_of(author, "author")}, run)

    def add_human_rating(self, run: str, unit: str, axis: str, score: int, *, rater: str, note: str = "") -> str:
        """Commit a person's rating of a unit (as the audit names it) and link it. It never replaces the model's.

        Returns the record's id, by which it can be withdrawn.

        Raises
        ------
        CaseError
            If the score is not a whole number from 1 to 5, or the rater has no name.
        """
        return self.add_human_ratings(run, [GivenRating(unit, axis, rater, score, note)])[0]

    def add_human_ratings(self, run: str, ratings: Sequence[GivenRating]) -> list[str]:
        """Commit ratings, all or none, and link each; returns their records' ids.

        Of a person's ratings of one unit on one axis one holds: an earlier one is withdrawn, and stays in the chain.

        Raises
        ------
        CaseError
            If one of them cannot be kept, or two are of the same person, unit and axis; then none is kept.
        """
        with self._guard:
            self._need_write()
            self.run(run)
            held = {_who_what(record.body): record.id for record in self.human_ratings(run)}
            said: list[tuple[str, dict[str, Any]]] = []
            given = set()
            for body in (rating.body() for rating in ratings):
                key = _who_what(body)
                if key in given:
                    raise CaseError(f"{body['rater']} rates unit {body['unit']} twice on {body['axis']}.")
                given.add(key)
                if key in held:
                    said.append((WITHDRAWN, {"of": held[key], "rater": body["rater"]}))
                said.append((RATING, body))
            records = self._store.add_records(said, run=run)
            self._link(records)
        return [record.id for record in records if record.kind == RATING]

    def withdraw_human_rating(self, record: str, *, rater: str) -> None:
        """Commit that a rating no longer holds. Both stay in the chain: nothing is ever taken out of it.

        Raises
        ------
        CaseError
            If there is no such rating, or it was withdrawn before.
        """
        found = self._rating(record)
        self._say(WITHDRAWN, {"of": record, "rater": text_of(rater, "rater")}, found.run)

    def _rating(self, record: str) -> Record:
        for rating in self.human_ratings():
            if rating.id == record:
                return rating
        raise CaseError("There is no such rating to withdraw.")

    def human_ratings(self, run: str | None = None) -> list[Record]:
        """Human ratings that hold, oldest first."""
        gone = {record.body["of"] for record in self.records(WITHDRAWN, run)}
        return [record for record in self.records(RATING, run) if record.id not in gone]

    def human_ratings_of(self, runs: Collection[str]) -> list[Record]:
        """Human ratings of several runs that hold, oldest first whichever run they were given for."""
        return [record for record in self.human_ratings() if record.run in runs]

    def add_explanation(self, run: str, unit: str, axis: str, text: str, *, model: str) -> str:
        """Keep the sentence that a judge model gave when it was asked for one; the run stays as it was sealed.

        Returns the record's id.
        """
        body = {"unit": unit, "axis": axis, "text": text_of(text, "explanation"), "model": text_of(model, "model")}
        return self._say(EXPLANATION, body, run)

    def explanations(self, run: str) -> dict[tuple[str, str], str]:
        """Sentences asked for after a run, (unit, axis) -> text; the newest counts."""
        return {
            (record.body["unit"], record.body["axis"]): str(record.body["text"])
            for record in self.records(EXPLANATION, run)
        }

    def records(self, kind: str, run: str | None = None) -> list[Record]:
        """Records of a kind: notes, human ratings, explanations, sign-offs, erasures; oldest first."""
        with self._guard:
            return self._store.records(kind=kind, run=run)

    def _say(self, kind: str, body: Mapping[str, Any], run: str | None) -> str:
        with self._guard:
            self._need_write()
            if run is not None:
                self.run(run)
            record = self._store.add_record(kind, body, run=run)
            self._link([record])
            return record.id

    def _link(self, records: Sequence[Record]) -> None:
        links = self._chain.extend([(record.kind, record.linked_body()) for record in records])
        self._store.set_links({record.id: link.n for record, link in zip(records, links, strict=True)})

    def _need_write(self) -> None:
        if not self.writable:
            raise CaseError(f"The case {self._name} is open for reading only.")


def _who_what(body: Mapping[str, Any]) -> tuple[str, str, str]:
    return str(body["unit"]), str(body["axis"]), str(body["rater"])


def text_of(text: str, what: str) -> str:
    """A text that a person gave, without blanks around it.

    Raises
    ------
    CaseError
        If it is empty, too long, or holds half a character; `what` names it.
    """
    stripped = text.strip()
    if not stripped:
        raise CaseError(f"The {what} is empty.")
    if len(stripped) > _MAX_TEXT:
        raise CaseError(f"The {what} has more than {_MAX_TEXT:,} characters.")
    try:
        stripped.encode()
    except UnicodeEncodeError:
        raise CaseError(f"The {what} holds half a character (a lone surrogate).") from None
    return stripped
