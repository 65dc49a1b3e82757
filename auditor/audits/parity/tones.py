"""Scales of skin tone that a person can press on a keyboard, and the colours that they are shown in. No numpy."""

from typing import Literal

from auditor.audits.parity.swatches import FITZPATRICK_SWATCHES, MONK_SWATCHES

ToneScale = Literal["monk", "fitzpatrick"]

#: A value that a rater may give and that is never a tone.
UNCERTAIN = "uncertain"
#: Levels of each scale, in order from light to dark.
LEVELS: dict[ToneScale, tuple[str, ...]] = {
    "monk": ("1", "2", "3", "4", "5", "6", "7", "8", "9", "10"),
    "fitzpatrick": ("I", "II", "III", "IV", "V", "VI"),
}
TITLES: dict[ToneScale, str] = {"monk": "Monk 1 to 10", "fitzpatrick": "Fitzpatrick I to VI"}
_COLOURS: dict[ToneScale, tuple[str, ...]] = {"monk": MONK_SWATCHES, "fitzpatrick": FITZPATRICK_SWATCHES}


def swatch(scale: ToneScale, value: str) -> str | None:
    """Colour in which a tone is shown, '#rrggbb'; None for what is no tone of the scale, such as "uncertain"."""
    return _COLOURS[scale][LEVELS[scale].index(value)] if value in LEVELS[scale] else None


def scale_of(levels: tuple[str, ...]) -> ToneScale | None:
    """Which of the two scales has these levels; None if neither."""
    return next((scale for scale, names in LEVELS.items() if names == levels), None)
