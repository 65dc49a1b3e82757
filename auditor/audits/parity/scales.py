"""What the cells of an attribute mean: levels by name, Monk and Fitzpatrick tones, degrees, colours.

Only distinct texts are looked at. A text that fits no level, or that belongs to another scale than the others, is
refused by name with the nearest level; what may stand for "no value" is asked about, never taken for it silently.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from auditor.audits.parity import degrees
from auditor.audits.parity.data import ITA_CLASSES, MISSING, Scale, ScaleKind
from auditor.audits.parity.sentinels import HEX, NUMBER, SENTINELS, is_sentinel, no_value
from auditor.audits.parity.settings import named
from auditor.audits.parity.tones import LEVELS, UNCERTAIN, ToneScale, scale_of
from auditor.audits.reading.names import did_you_mean
from auditor.errors import InputError, printable

if TYPE_CHECKING:
    from auditor.audits.parity.spec import ParitySpec

#: Stands for the whole column among the numbers of texts.
WHOLE = -1
#: More levels than these are ids, not levels (ours).
MOST_LEVELS = 200
_MONK = re.compile(r"(?:(mst|monk(?: skin tone)?(?: scale)?)[\s_:#-]*)?0*(10|[1-9])(?:\.0+)?", re.IGNORECASE)
_TYPE = re.compile(
    r"(?:(fitzpatrick(?: skin)?(?: type)?|fst|skin type|type)[\s_:#-]*)?(?:(i{1,3}|iv|vi?)|([1-6])(?:\.0+)?)",
    re.IGNORECASE,
)
_ROMAN = {"i": 0, "ii": 1, "iii": 2, "iv": 3, "v": 4, "vi": 5}


@dataclass(frozen=True)
class Mixture:
    """Spellings of one column that are, or may be, of different tone scales.

    Attributes
    ----------
    problem, fix : str
    parts : dict of str to list of int
        How the texts are written, in words -> their numbers.
    """

    problem: str
    fix: str
    parts: dict[str, list[int]]


@dataclass(frozen=True)
class Meaning:
    """What the distinct texts of an attribute mean.

    Attributes
    ----------
    level : ndarray of int16, shape (n_texts,)
        `MISSING` for what is no level.
    value : ndarray of float64, shape (n_texts,), or None
        Degrees, on the scale ita.
    wrong : dict of int to InputError
        Number of a text -> what is wrong with it, without the place; `WHOLE` -> what is wrong with the column.
    uncertain, sentinel : ndarray of bool, shape (n_texts,)
        Texts that say that a rater was uncertain, and declared sentinels; both have no level.
    lab : ndarray of float64, shape (n_texts, 3), or None
        CIELAB of texts that are colours.
    notes : tuple of str
        What was decided, as sentences.
    mixture : Mixture or None
        Spellings that are, or may be, of different scales.
    """

    scale: Scale
    level: NDArray[np.int16]
    value: NDArray[np.float64] | None
    wrong: dict[int, InputError]
    uncertain: NDArray[np.bool_]
    sentinel: NDArray[np.bool_]
    lab: NDArray[np.float64] | None = None
    notes: tuple[str, ...] = field(default=())
    mixture: Mixture | None = None


def kind_of(texts: Sequence[str], spec: "ParitySpec", *, is_primary: bool) -> ScaleKind:
    """Scale of an attribute: the declared one for the primary attribute; others are ordinal if all texts are tones."""
    if is_primary:
        return spec.scale
    plain = [text for text in texts if not is_sentinel(text, spec.sentinels) and text.casefold() != UNCERTAIN]
    is_tone = plain and (all(_monk(text) for text in plain) or all(_type(text, roman=True) for text in plain))
    return "ordinal" if is_tone else "nominal"


def meaning(
    texts: Sequence[str],
    counts: NDArray[np.int64],
    kind: ScaleKind,
    spec: "ParitySpec",
    *,
    is_primary: bool,
    more_levels: Sequence[str] = (),
) -> Meaning:
    """What the texts of an attribute mean.

    Parameters
    ----------
    texts : sequence of str
        Distinct texts, none of them empty.
    counts : ndarray of int64, shape (n_texts,)
        How often each occurs; texts that never do are passed over.
    more_levels : sequence of str
        Levels that the target shares name.
    """
    declared = spec.levels if is_primary and kind != "ita" else ()
    by_name = {name.casefold() for name in declared}
    sentinel = np.array([is_sentinel(text, spec.sentinels) for text in texts], np.bool_)
    uncertain = np.array([text.casefold() == UNCERTAIN and text.casefold() not in by_name for text in texts], np.bool_)
    if kind == "nominal":
        uncertain[:] = False  # a level like any other
    wrong: dict[int, InputError] = {}
    live: list[int] = np.flatnonzero((counts > 0) & ~sentinel & ~uncertain).tolist()
    if kind == "ita":
        value, lab = degrees.degrees_of([texts[number] for number in live], spec.colour, live, wrong)
        full = np.full(len(texts), np.nan)
        full[live] = value
        full_lab = None
        if lab is not None:
            full_lab = np.full((len(texts), 3), np.nan)
            full_lab[live] = lab
        degrees.ask_about_minus_one(texts, live, full, wrong)
        from auditor.audits.parity.colour import ita_level

        return Meaning(Scale("ita", ITA_CLASSES), ita_level(full), full, wrong, uncertain, sentinel, full_lab)
    asking = [
        number for number in live if texts[number].casefold() in SENTINELS and texts[number].casefold() not in by_name
    ]
    for number in asking:
        wrong[number] = no_value(texts[number], f"name it under {named('levels')}")
    live = [number for number in live if number not in wrong]
    names = [texts[number] for number in live]
    mixture = None if declared else mixture_of(names, live)
    if kind == "ordinal":
        levels, found, notes = _ordinal(names, counts[live], declared, live, wrong, is_mixed=mixture is not None)
    else:
        levels, found, notes = _nominal(names, declared, more_levels, live, wrong)
    level = np.full(len(texts), MISSING, np.int16)
    for number, place in zip(live, found, strict=True):
        level[number] = MISSING if place is None else place
    return Meaning(Scale(kind, levels), level, None, wrong, uncertain, sentinel, None, notes, mixture)


# ---- names and orders

_Found = tuple[tuple[str, ...], list[int | None], tuple[str, ...]]


def _nominal(
    names: list[str],
    declared: Sequence[str],
    more: Sequence[str],
    live: list[int],
    wrong: dict[int, InputError],
) -> _Found:
    if declared:
        return tuple(declared), _declared(names, declared, live, wrong), ()
    levels = tuple(sorted({*names, *more}, key=by_number_then_name))
    if len(levels) > MOST_LEVELS:
        problem = f"The column has {len(levels):,} different values: these are no levels"
        wrong[WHOLE] = InputError(problem, value=names[0], fix="Name another column, or the scale ita for degrees.")
        return levels[:MOST_LEVELS], [None] * len(names), ()
    same = [" and ".join(printable(name, 40) for name in variants) for variants in alike(levels)]
    notes = (
        (f"Levels that differ in case or blanks only are counted apart: {'; '.join(same[:5])}. Write them alike.",)
        if same
        else ()
    )
    place = {name: number for number, name in enumerate(levels)}
    return levels, [place[name] for name in names], notes


def alike(names: Sequence[str]) -> list[list[str]]:
    """Names that differ in capitals or blanks only, together."""
    folded: dict[str, list[str]] = {}
    for name in names:
        folded.setdefault("".join(name.casefold().split()), []).append(name)
    return [same for same in folded.values() if len(same) > 1]


def by_number_then_name(name: str) -> tuple[int, float, str]:
    """Key that sorts numbers by value and names after them."""
    return (0, float(name), name) if NUMBER.fullmatch(name) else (1, 0.0, name)


def _declared(
    names: list[str], declared: Sequence[str], live: list[int], wrong: dict[int, InputError]
) -> list[int | None]:
    place = {name.strip().casefold(): number for number, name in reversed(list(enumerate(declared)))}
    tone = scale_of(tuple(declared))
    found: list[int | None] = []
    for number, name in zip(live, names, strict=True):
        level = place.get(name.casefold())
        if level is None and tone is not None:
            level = _tone(name, tone, digits=True)
        if level is None:
            wrong[number] = unknown(name, declared)
        found.append(level)
    return found


def unknown(name: str, levels: Sequence[str]) -> InputError:
    """A label that is no level, with the nearest one, without the place."""
    shown = ", ".join(printable(level, 30) for level in levels[:20]) + (" ..." if len(levels) > 20 else "")
    return InputError("The label is unknown", value=name, fix=f"Allowed: {shown}.{did_you_mean(name, levels)}")


def _monk(text: str) -> int | None:
    """Place on the Monk scale + 1, so that it is true, or None."""
    found = _MONK.fullmatch(text)
    return int(found[2]) if found else None


def _type(text: str, *, roman: bool) -> int | None:
    """Fitzpatrick type, from 1; plain digits only where they cannot be Monk tones."""
    found = _TYPE.fullmatch(text)
    if found is None or (roman and not found[1] and not found[2]):
        return None
    return _ROMAN[found[2].lower()] + 1 if found[2] else int(found[3])


def _tone(text: str, scale: ToneScale, *, digits: bool) -> int | None:
    place = _monk(text) if scale == "monk" else _type(text, roman=not digits)
    return None if place is None else place - 1


def mixture_of(names: Sequence[str], live: Sequence[int]) -> Mixture | None:
    """Spellings of different tone scales in one column; None where all are, or can only be, of one scale.

    "MST 4" is a Monk tone and so are 7 to 10; "IV" and "type 4" are Fitzpatrick types; 1 to 6 alone may be either. A
    column that also holds what is no tone is one of names.

    Parameters
    ----------
    names : sequence of str
        Distinct texts of the column.
    live : sequence of int
        Number of each.
    """
    by_name, types, high, low = _sorted_by_spelling(names, live)
    if not types and not (by_name and low and not high):
        return None
    numbers = [*high, *low]
    apart = "give each scale a column of its own"
    if types and (by_name or high):
        parts = {"Monk tones": [*by_name, *numbers], "Fitzpatrick types": types}
        return Mixture("The column mixes two scales", f"Write all labels on one scale, or {apart}.", parts)
    problem = "The column mixes two scales, or two ways of writing one"
    if types and low:
        parts = {"Fitzpatrick types": types, "whole numbers, which may be Monk tones or types": low}
        fix = (
            f"If the numbers are types, name the levels I to VI in {named('levels')}; if they are Monk tones, {apart}."
        )
        return Mixture(problem, fix, parts)
    if types:
        return None
    parts = {"Monk tones by name": by_name, "whole numbers up to 6, which may be Fitzpatrick types": low}
    fix = f"If the numbers are Monk tones, name the levels 1 to 10 in {named('levels')}; if they are types, {apart}."
    return Mixture(problem, fix, parts)


def _sorted_by_spelling(names: Sequence[str], live: Sequence[int]) -> tuple[list[int], ...]:
    """Numbers of Monk tones by name, Fitzpatrick types, whole numbers over 6 and up to 6; none where something is no tone."""
    by_name: list[int] = []
    types: list[int] = []
    high: list[int] = []
    low: list[int] = []
    for number, name in zip(live, names, strict=True):
        monk = _MONK.fullmatch(name)
        if _type(name, roman=True):
            types.append(number)
        elif monk is not None:
            (by_name if monk[1] else high if int(monk[2]) > len(LEVELS["fitzpatrick"]) else low).append(number)
        elif name.casefold() != UNCERTAIN:
            return [], [], [], []
    return by_name, types, high, low


def _ordinal(
    names: list[str],
    often: NDArray[np.int64],
    declared: Sequence[str],
    live: list[int],
    wrong: dict[int, InputError],
    *,
    is_mixed: bool,
) -> _Found:
    if declared:
        return tuple(declared), _declared(names, declared, live, wrong), ()
    monk = [_tone(name, "monk", digits=True) for name in names]
    types = [_tone(name, "fitzpatrick", digits=False) for name in names]
    n_monk, n_types = (int(often[[place is not None for place in places]].sum()) for places in (monk, types))
    if names and not is_mixed and n_monk + n_types <= often.sum() / 2:
        # Most labels are on neither scale: one problem, not one a row.
        wrong[WHOLE] = InputError(
            "The order of the levels is not known",
            value=names[0],
            fix=f"Name the levels in order under {named('levels')}; only Monk 1 to 10 and Fitzpatrick I to VI are recognised.",
        )
        return tuple(names[:MOST_LEVELS]), [None] * len(names), ()
    scale: ToneScale = "monk" if n_monk >= n_types else "fitzpatrick"
    levels = LEVELS[scale]
    places = monk if scale == "monk" else types
    for number, name, place in zip(live, names, places, strict=True):
        if place is None and not (is_mixed and (_monk(name) or _type(name, roman=True))):
            wrong[number] = unknown(name, levels)
    notes: tuple[str, ...] = ()
    if (
        scale == "monk"
        and names
        and all(name.isdigit() for name in names)
        and all(place in range(6) for place in places)
    ):
        note = "Whole numbers were read as Monk tones 1 to 10, and none is above 6"
        notes = (f"{note}: if they are Fitzpatrick types, name the levels I, II, III, IV, V, VI.",)
    return levels, places, notes


def fits(texts: Sequence[str], spec: "ParitySpec") -> tuple[ScaleKind, str] | None:
    """The scale that the texts themselves show, with what they look like; None where they could be anything."""
    plain = [
        text
        for text in texts
        if text.casefold() not in (*SENTINELS, UNCERTAIN) and not is_sentinel(text, spec.sentinels)
    ]
    if len(plain) < 2:
        return None
    if all(_type(text, roman=True) for text in plain):
        return "ordinal", "Fitzpatrick types"
    if all(_monk(text) for text in plain):
        return "ordinal", "Monk tones"
    if all(HEX.fullmatch(text) and text.startswith("#") for text in plain):
        return "ita", "colours (hex)"
    if all(NUMBER.fullmatch(text) and abs(float(text)) <= 90 for text in plain) and any("." in text for text in plain):
        return "ita", "degrees"
    return None
