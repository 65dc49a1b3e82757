"""Cells that are angles or colours, on the scale ita."""

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from auditor.audits.parity.sentinels import HEX, NUMBER, SENTINELS, no_value
from auditor.audits.parity.settings import named
from auditor.errors import InputError

_TRIPLE = re.compile(
    r"(?:(?:rgb|lab|cielab)\s*)?[(\[]?\s*([^\s,;/()\[\]]+)[\s,;/]+([^\s,;/()\[\]]+)[\s,;/]+([^\s,;/()\[\]]+)\s*[)\]]?"
)


def degrees_of(
    texts: list[str], colour: str, live: list[int], wrong: dict[int, InputError]
) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
    """Degrees of texts, and their CIELAB where they are colours."""
    from auditor.audits.parity import colour as colours

    n = len(texts)
    degrees = np.full(n, np.nan)
    if colour == "degrees":
        for place, (number, text) in enumerate(zip(live, texts, strict=True)):
            if NUMBER.fullmatch(text) and abs(float(text)) <= 90:
                degrees[place] = float(text)
            else:
                wrong[number] = _no_degrees(text)
        return degrees, None
    good: list[int] = []
    triples: list[tuple[float, float, float]] = []
    for place, (number, text) in enumerate(zip(live, texts, strict=True)):
        try:
            triples.append(colours.rgb_from_hex(text) if colour == "hex" else _triple(text, colour))
            good.append(place)
        except (InputError, ValueError):
            wrong[number] = _no_colour(text, colour)
    lab = np.full((n, 3), np.nan)
    if good:
        values = np.array(triples, np.float64)
        lab[good] = values if colour == "lab" else colours.lab_from_rgb(values)
        degrees[good] = colours.ita_from_lab(lab[good])
    return degrees, lab


def _no_degrees(text: str) -> InputError:
    if HEX.fullmatch(text) and not NUMBER.fullmatch(text):
        return InputError(
            f"The column mixes two scales: this is a colour, but {named('colour')} says degrees",
            value=text,
            fix=f"Write degrees in every row, or set {named('colour')} to hex if all rows are colours.",
        )
    if text.casefold() in SENTINELS:
        return no_value(text)
    problem = (
        "The angle is not between -90 and 90 degrees" if NUMBER.fullmatch(text) else "This is no number of degrees"
    )
    return InputError(problem, value=text, fix="Write degrees with a decimal point, for example 41.5.")


def _no_colour(text: str, colour: str) -> InputError:
    forms = {"hex": "#d7bd96", "rgb": "215 189 150, each from 0 to 255", "lab": "78.1 4.2 23.5, L* from 0 to 100"}
    if text.casefold() in SENTINELS:
        return no_value(text)
    other = (
        NUMBER.fullmatch(text)
        or (HEX.fullmatch(text) and colour != "hex")
        or (_TRIPLE.fullmatch(text) and colour == "hex")
    )
    problem = (
        f"The column mixes two scales: this is not written as {colour}" if other else f"This is no colour as {colour}"
    )
    return InputError(problem, value=text, fix=f"Write colours as {forms[colour]}.")


def _triple(text: str, colour: str) -> tuple[float, float, float]:
    """Three numbers within their bounds; ValueError if they are not."""
    found = _TRIPLE.fullmatch(text[:200])
    if found is None or not all(NUMBER.fullmatch(part) for part in found.groups()):
        raise ValueError(text[:20])
    a, b, c = (float(part) for part in found.groups())
    if colour == "rgb" and not all(0 <= part <= 255 for part in (a, b, c)):
        raise ValueError(text[:20])
    if colour == "lab" and not (0 <= a <= 100 and abs(b) <= 150 and abs(c) <= 150):
        raise ValueError(text[:20])
    return a, b, c


def ask_about_minus_one(
    texts: Sequence[str], live: list[int], degrees: NDArray[np.float64], wrong: dict[int, InputError]
) -> None:
    """-1 is an angle like any other, but as the only negative one it looks like a mark for "no value"."""
    negative = [number for number in live if degrees[number] < 0]
    if len(negative) == 1 and texts[negative[0]] == "-1":
        wrong[negative[0]] = InputError(
            "This is the only negative angle and may stand for no value",
            value="-1",
            fix=f"If it does, add -1 to {named('sentinels')}; if it is an angle, write -1.0.",
        )
        degrees[negative[0]] = np.nan
