"""What people said in a case, and what a judge was asked to say: each committed at once and linked into the chain."""

import math
import re
import threading
from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

from auditor.audits.parity.tones import LEVELS, UNCERTAIN
from auditor.case.chain import Chain
from auditor.case.store import Record, Store
from auditor.errors import CaseError
from auditor.runs.directory import RunDirectory

RATING, WITHDRAWN, EXPLANATION = "human rating", "human rating withdrawn", "explanation"
NOTE, SIGN_OFF = "note", "sign-off"
ANNOTATION, ANNOTATION_WITHDRAWN = "annotation", "annotation withdrawn"
AnnotationSource = Literal["by eye", "measurement confirmed"]
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

    @classmethod
    def of(cls, body: Mapping[str, Any]) -> "GivenRating":
        """A rating that was kept, as it would be given once more."""
        scale = body.get("scale")
        return cls(
            unit=str(body["unit"]),
            axis=str(body["axis"]),
            rater=str(body["rater"]),
            score=body["score"],
            note=body["note"],
            blind=body.get("blind"),
            scale=(scale[0], scale[1]) if scale else None,
            mapping=body.get("mapping", "none"),
            source=body.get("source", ""),
        )

    @property
    def is_on_five(self) -> bool:
        """Whether its score is one from 1 to 5, as the keyboard gives it."""
        return self.scale in (None, (1, 5))

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


@dataclass(frozen=True)
class GivenAnnotation:
    """What a person says of an item, on its way into a case.

    Attributes
    ----------
    item : str
        Id of the item.
    attribute : str
        What is annotated, for example "skin tone".
    scale : str
        "monk" or "fitzpatrick".
    value : str
        A tone of the scale, or "uncertain".
    source : {"by eye", "measurement confirmed"}
        Whether the rater looked, or confirmed what had been measured from the image.
    blind : bool or None
        Whether other raters' tones of the item were hidden from the rater.
    image_sha256 : str
        Hash of the image that was looked at; empty if there is none.
    ita_degrees : float or None
        What had been measured from the image, where the rater saw it.
    """

    item: str
    attribute: str
    scale: str
    value: str
    rater: str
    source: AnnotationSource = "by eye"
    blind: bool | None = None
    image_sha256: str = ""
    ita_degrees: float | None = None

    def body(self) -> dict[str, Any]:
        """What is kept of it; what nobody said is left out.

        Raises
        ------
        CaseError
            If the value is not on the scale, the rater has no name, or the hash is none.
        """
        tones = next((levels for scale, levels in LEVELS.items() if scale == self.scale), None)
        if tones is None:
            raise CaseError(f"There is no scale {self.scale!r}. Scales are {', '.join(LEVELS)}.")
        if self.value not in (*tones, UNCERTAIN):
            low, *_, high = tones
            raise CaseError(f"An annotation on this scale is {low} to {high} or {UNCERTAIN}, not {self.value!r}.")
        if self.source not in get_args(AnnotationSource):
            raise CaseError(f"An annotation is made by eye or by confirming a measurement, not {self.source!r}.")
        if self.image_sha256 and _SHA256.fullmatch(self.image_sha256) is None:
            raise CaseError("The hash of the image is no SHA-256.")
        if self.ita_degrees is not None and not math.isfinite(self.ita_degrees):
            raise CaseError("What was measured from the image is no number.")
        text_of(self.item, "item's id")
        made: dict[str, Any] = {
            "item": self.item,  # as it is, blanks and all: it must be found again in the results
            "attribute": text_of(self.attribute, "attribute"),
            "scale": self.scale,
            "value": self.value,
            "rater": text_of(self.rater, "rater"),
            "source": self.source,
        }
        made |= {"blind": self.blind} if self.blind is not None else {}
        made |= {"image_sha256": self.image_sha256} if self.image_sha256 else {}
        return made | ({"ita_degrees": float(self.ita_degrees)} if self.ita_degrees is not None else {})


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
        # Annotations that hold; looked for with every key that is pressed, among as many as there are items and raters.
        self._annotated: dict[_Annotated, Record] | None = None

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

    def add_annotation(self, annotation: GivenAnnotation) -> str:
        """Commit what a person says of an item and link it; returns the record's id, by which it can be withdrawn."""
        return self.add_annotations([annotation])[0]

    def add_annotations(self, annotations: Sequence[GivenAnnotation]) -> list[str]:
        """Commit annotations, all or none, and link each; returns their records' ids.

        Of a person's annotations of one item, attribute and scale one holds: an earlier one is withdrawn, and stays in
        the chain. They belong to the case, not to a run: they are made before there is one.

        Raises
        ------
        CaseError
            If one of them cannot be kept, or two are of the same person, item, attribute and scale; then none is kept.
        """
        with self._guard:
            self._need_write()
            held = self._held_annotations()
            said: list[tuple[str, dict[str, Any]]] = []
            given = set()
            for body in (annotation.body() for annotation in annotations):
                key = _annotated(body)
                if key in given:
                    raise CaseError(f"{body['rater']} annotates item {body['item']} twice.")
                given.add(key)
                if key in held:
                    said.append((ANNOTATION_WITHDRAWN, {"of": held[key].id, "rater": body["rater"]}))
                said.append((ANNOTATION, body))
            self._annotated = None  # what holds is read anew if writing fails half-way
            added = [record for record in self._link(self._store.add_records(said)) if record.kind == ANNOTATION]
            for record in added:
                # The newest stands last.
                held.pop(_annotated(record.body), None)
                held[_annotated(record.body)] = record
            self._annotated = held
        return [record.id for record in added]

    def withdraw_annotation(self, record: str, *, rater: str) -> None:
        """Commit that an annotation no longer holds. Both stay in the chain.

        Raises
        ------
        CaseError
            If there is no such annotation, or it was withdrawn before.
        """
        with self._guard:
            self._need_write()
            held = self._held_annotations()
            found = next((key for key in reversed(held) if held[key].id == record), None)
            if found is None:
                raise CaseError("There is no such annotation to withdraw.")
            body = {"of": record, "rater": text_of(rater, "rater")}
            self._annotated = None
            self._say(ANNOTATION_WITHDRAWN, body, None)
            del held[found]
            self._annotated = held

    def annotations(self, attribute: str | None = None, scale: str | None = None) -> list[Record]:
        """Annotations that hold, oldest first; of one attribute or scale if given."""
        with self._guard:
            held = list(self._held_annotations().values())
        return [
            record
            for record in held
            if attribute in (None, record.body["attribute"]) and scale in (None, record.body["scale"])
        ]

    def _held_annotations(self) -> "dict[_Annotated, Record]":
        # Only who writes knows of every change; a reader asks the index each time.
        if self._annotated is None or not self.writable:
            gone = {record.body["of"] for record in self._store.records(kind=ANNOTATION_WITHDRAWN)}
            records = self._store.records(kind=ANNOTATION)
            self._annotated = {_annotated(record.body): record for record in records if record.id not in gone}
        return self._annotated

    def records(self, kind: str, run: str | None = None) -> list[Record]:
        """Records of a kind: notes, human ratings, annotations, explanations, sign-offs, erasures; oldest first."""
        return self._store.records(kind=kind, run=run)

    def _say(self, kind: str, body: Mapping[str, Any], run: str | None) -> str:
        with self._guard:
            self._need_write()
            if run is not None:
                self.run(run)
            record = self._store.add_record(kind, body, run=run)
            self._link([record])
            return record.id

    def _link(self, records: Sequence[Record]) -> list[Record]:
        links = self._chain.extend([(record.kind, record.linked_body()) for record in records])
        self._store.set_links({record.id: link.n for record, link in zip(records, links, strict=True)})
        return [replace(record, link=link.n) for record, link in zip(records, links, strict=True)]

    def _need_write(self) -> None:
        if not self.writable:
            raise CaseError(f"The case {self._name} is open for reading only.")


def _who_what(body: Mapping[str, Any]) -> tuple[str, str, str]:
    return str(body["unit"]), str(body["axis"]), str(body["rater"])


_Annotated = tuple[str, str, str, str]
_SHA256 = re.compile(r"[0-9a-f]{64}")


def _annotated(body: Mapping[str, Any]) -> _Annotated:
    return str(body["item"]), str(body["attribute"]), str(body["scale"]), str(body["rater"])


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
