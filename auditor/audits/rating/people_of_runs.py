"""People's ratings of a finished run: those given in its case, else those in the file that a run was made with."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from auditor.audits import InputFile
from auditor.audits.findings import Caution
from auditor.audits.rating.labels import HumanRating, PeopleScale, UnitIndex, declared_scales
from auditor.audits.rating.people import below_the_top, read_humans
from auditor.errors import InputError
from auditor.files import sha256_of


class CaseRecord(Protocol):
    """A human rating as a case keeps it; see `auditor.case.records`."""

    @property
    def body(self) -> Mapping[str, Any]:
        """The fields unit, axis, score and rater; scale and mapping where the scale is not 1 to 5."""


@dataclass(frozen=True)
class People:
    """Ratings that were given in a case, with the scale of each axis."""

    ratings: list[HumanRating]
    scales: Mapping[str, PeopleScale]
    cautions: list[Caution] = field(default_factory=list)


def from_case(records: Iterable[CaseRecord]) -> list[HumanRating]:
    """Ratings that people gave in a case, oldest first; of a rater's ratings of one unit and axis the newest counts.

    Records that name no row are left out; `people_of_case` counts them and tells the scales.
    """
    return _case_ratings(records)[0]


def people_of_case(records: Sequence[CaseRecord], units: UnitIndex, axes: Sequence[str]) -> People:
    """Ratings that people gave in a case, as far as they concern a run.

    Where an axis was rated on several scales that all map onto 1 to 5, its scores are mapped.

    Raises
    ------
    InputError
        If an axis was rated on several scales and one of them has no declared mapping.
    """
    ratings, scales = _case_ratings(records)
    known = [(r, s) for r, s in zip(ratings, scales, strict=True) if r.row in units.rows and r.axis in axes]
    found: dict[str, set[PeopleScale]] = {}
    for rating, scale in known:
        found.setdefault(rating.axis, set()).add(scale)
    made = {axis: _one_scale(axis, used) for axis, used in found.items()}
    mapped = [
        rating
        if scale == made[rating.axis]
        else HumanRating(rating.row, rating.axis, rating.rater, scale.to_five(rating.score))
        for rating, scale in known
    ]
    lost = len(_newest(records)) - len(known)
    message = (
        f"{lost:,} ratings given in the case concern a conversation or an axis that the run lacks and were left out."
    )
    cautions = [Caution(code="humans_unknown_unit", message=message, count=lost)] if lost else []
    return People(mapped, made, [*cautions, *below_the_top(known)])


def people_of_files(
    made_with: Iterable[tuple[InputFile, Mapping[str, Any]]], units: UnitIndex, axes: Sequence[str]
) -> People | None:
    """Ratings of the first of the files that runs were made with which is still there and concerns a run.

    Parameters
    ----------
    made_with : iterable of (InputFile, mapping)
        Files of human ratings, and the specs of the runs that read them; that of the run itself first.
    units, axes
        What the run rated.

    Raises
    ------
    InputError
        If a file has changed since its run was asked for.
    """
    for file, options in made_with:
        if not file.path.is_file():
            continue
        if sha256_of(file.path) != file.sha256:
            raise InputError(
                "The file of human ratings has changed since the run was asked for",
                file=file.name,
                fix="Verify the case: it names what changed.",
            )
        # Another run's file may speak of axes and conversations that this one did not rate.
        declared = [text for text in options.get("people_scale") or () if text.rpartition("=")[0] in ("", *axes)]
        scales = declared_scales(declared, axes, linear=options.get("people_mapping") == "linear")
        try:
            ratings, cautions = read_humans(file.path, file.name, units, axes, scales)
        except InputError:
            continue
        return People(ratings, scales, cautions)
    return None


def _one_scale(axis: str, used: set[PeopleScale]) -> PeopleScale:
    if len(used) == 1:
        return next(iter(used))
    for scale in sorted(used, key=lambda scale: (scale.low, scale.high)):
        if not scale.is_comparable:
            raise InputError(
                f"People rated it on several scales, and none was declared for mapping the one from {scale.words()}",
                column=axis,
                fix="Import those ratings with a linear mapping, or compare with one file at a time.",
            )
    return PeopleScale()


def _newest(records: Iterable[CaseRecord]) -> list[CaseRecord]:
    return list({(r.body["unit"], r.body["axis"], r.body["rater"]): r for r in records}.values())


def _case_ratings(records: Iterable[CaseRecord]) -> tuple[list[HumanRating], list[PeopleScale]]:
    ratings, scales = [], []
    for record in _newest(records):
        body = record.body
        unit = str(body["unit"])
        if not (unit.isascii() and unit.isdigit()):
            continue
        low, high = body.get("scale") or (1, 5)
        ratings.append(HumanRating(int(unit), str(body["axis"]), str(body["rater"]), float(body["score"])))
        scales.append(PeopleScale(float(low), float(high), "linear" if body.get("mapping") == "linear" else "none"))
    return ratings, scales
