"""Colour of skin in numbers: sRGB to CIELAB, individual typology angle (ITA), hue, a swatch for an angle.

CIELAB stands against the white D65 of the 2 degree observer throughout, the white of sRGB itself, so nothing is adapted.
ITA orders skin from dark to very light by lightness and yellowness alone; skin of one ITA still varies in hue, from red
to yellow, which is why `hue_angle` stands beside it [3].

References
----------
[1] IEC 61966-2-1:1999, sRGB. We derive the matrix to XYZ from the chromaticities of the standard, unrounded, as CSS Color
    Module Level 4 does, instead of taking the four digits that the standard prints.
[2] A. Chardon, I. Cretois, C. Hourseau, "Skin colour typology and suntanning pathways", International Journal of Cosmetic
    Science 13 (1991) 191-208: ITA = arctan((L* - 50) / b*) 180 / pi. S. Del Bino, F. Bernerd, "Variations in skin colour and
    the biological consequences of ultraviolet radiation exposure", British Journal of Dermatology 169 (2013) 33-40: the
    classes at 55, 41, 28, 10 and -30 degrees.
[3] W. Thong, P. Joniak, A. Xiang, "Beyond skin tone: a multidimensional measure of apparent skin color", ICCV 2023.
"""

import re
from collections.abc import Iterable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from auditor.audits.findings import Caution
from auditor.audits.parity.data import ITA_CUTOFFS, MISSING
from auditor.audits.parity.swatches import MONK_SWATCHES
from auditor.errors import InputError

_HEX = re.compile(r"#?([0-9a-fA-F]{6}|[0-9a-fA-F]{3})")

# Chromaticities x, y of the red, green and blue of sRGB and of D65 [1].
_PRIMARIES = np.array([[0.64, 0.33], [0.30, 0.60], [0.15, 0.06]])
_D65 = np.array([0.3127, 0.3290])

# CIE 15: below (6/29)^3 the cube root gives way to a straight line.
_DELTA = 6 / 29


def _xyz(xy: NDArray[np.float64]) -> NDArray[np.float64]:
    """Tristimulus values with Y = 1 of chromaticities, shape (..., 2) -> (..., 3)."""
    x, y = xy[..., 0], xy[..., 1]
    return np.stack([x / y, np.ones_like(x), (1 - x - y) / y], axis=-1)


def _matrix_to_xyz() -> NDArray[np.float64]:
    """Linear sRGB -> XYZ: the primaries, scaled so that they add up to the white."""
    primaries = _xyz(_PRIMARIES).T
    return np.asarray(primaries * np.linalg.solve(primaries, _xyz(_D65)), np.float64)


_WHITE = _xyz(_D65)
_TO_XYZ = _matrix_to_xyz()
_FROM_XYZ = np.linalg.inv(_TO_XYZ)


def rgb_from_hex(text: str) -> tuple[int, int, int]:
    """Red, green and blue, 0 to 255, of "#rrggbb" or "#rgb", with or without the #.

    Raises
    ------
    InputError
        If the text is no such colour.
    """
    found = _HEX.fullmatch(text.strip())
    if found is None:
        raise InputError("this is no colour", value=text, fix="Write six hexadecimal digits, for example #d7bd96.")
    digits = found[1] if len(found[1]) == 6 else "".join(2 * digit for digit in found[1])
    return int(digits[0:2], 16), int(digits[2:4], 16), int(digits[4:6], 16)


def hex_from_rgb(rgb: ArrayLike) -> str:
    """Colour as "#rrggbb"; values beyond 0 to 255 are cut off.

    Parameters
    ----------
    rgb : array_like, shape (3,)
        sRGB, 0 to 255.
    """
    red, green, blue = np.clip(np.rint(np.asarray(rgb, np.float64)), 0, 255).astype(int).tolist()
    return f"#{red:02x}{green:02x}{blue:02x}"


def linear_from_rgb(rgb: ArrayLike) -> NDArray[np.float64]:
    """Linear light, 0 to 1, of sRGB values from 0 to 255, same shape [1]."""
    encoded = np.asarray(rgb, np.float64) / 255
    return np.where(encoded <= 0.04045, encoded / 12.92, ((np.maximum(encoded, 0) + 0.055) / 1.055) ** 2.4)


def xyz_from_rgb(rgb: ArrayLike) -> NDArray[np.float64]:
    """CIE XYZ with Y = 1 for white, of sRGB values from 0 to 255, shape (..., 3)."""
    return np.asarray(linear_from_rgb(rgb) @ _TO_XYZ.T, np.float64)


def lab_from_rgb(rgb: ArrayLike) -> NDArray[np.float64]:
    """CIELAB (D65, 2 degrees) of sRGB colours.

    Parameters
    ----------
    rgb : array_like, shape (..., 3)
        sRGB, 0 to 255; fractions are allowed.

    Returns
    -------
    ndarray of float64, shape (..., 3)
        L* from 0 to 100, a*, b*.
    """
    ratio = xyz_from_rgb(rgb) / _WHITE
    f = np.where(ratio > _DELTA**3, np.cbrt(ratio), ratio / (3 * _DELTA**2) + 4 / 29)
    x, y, z = f[..., 0], f[..., 1], f[..., 2]
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)


def rgb_from_lab(lab: ArrayLike) -> NDArray[np.float64]:
    """sRGB, 0 to 255 (beyond it where sRGB lacks the colour), of CIELAB colours, shape (..., 3)."""
    values = np.asarray(lab, np.float64)
    y = (values[..., 0] + 16) / 116
    f = np.stack([y + values[..., 1] / 500, y, y - values[..., 2] / 200], axis=-1)
    xyz = np.where(f > _DELTA, f**3, 3 * _DELTA**2 * (f - 4 / 29)) * _WHITE
    linear = xyz @ _FROM_XYZ.T
    curved = 1.055 * np.maximum(linear, 0.0031308) ** (1 / 2.4) - 0.055
    return np.asarray(255 * np.where(linear <= 0.0031308, 12.92 * linear, curved), np.float64)


def lab_from_hex(colours: Iterable[str]) -> NDArray[np.float64]:
    """CIELAB of many "#rrggbb", shape (n, 3); each distinct colour is read once.

    Raises
    ------
    InputError
        If one of them is no colour.
    """
    number: dict[str, int] = {}
    codes = [number.setdefault(colour, len(number)) for colour in colours]
    distinct = np.array([rgb_from_hex(colour) for colour in number], np.float64).reshape(-1, 3)
    return lab_from_rgb(distinct)[codes]


def ita_from_lab(lab: ArrayLike) -> NDArray[np.float64]:
    """Individual typology angle arctan((L* - 50) / |b*|) 180 / pi, in degrees from -90 to 90 [2].

    |b*| and the plain arctangent keep L* > 50 above and L* < 50 below 0 for bluish colours too, for which the angle means
    little: count them with `caution_of_blue`. For b* = 0 it is +90 or -90, the limit, and 0 where L* = 50 as well (ours).

    Parameters
    ----------
    lab : array_like, shape (..., 3)
        CIELAB, D65; nan where nothing is known.

    Returns
    -------
    ndarray of float64, shape (...)
    """
    values = np.asarray(lab, np.float64)
    height, width = values[..., 0] - 50, np.abs(values[..., 2])
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where((height == 0) & (width == 0), 0.0, height / width)
    return np.asarray(np.degrees(np.arctan(ratio)), np.float64)


def ita_from_rgb(rgb: ArrayLike) -> NDArray[np.float64]:
    """Individual typology angle, degrees, of sRGB values from 0 to 255, shape (..., 3) -> (...)."""
    return ita_from_lab(lab_from_rgb(rgb))


def ita_from_hex(colours: Iterable[str]) -> NDArray[np.float64]:
    """Individual typology angle, degrees, of many "#rrggbb", shape (n,)."""
    return ita_from_lab(lab_from_hex(colours))


def hue_angle(lab: ArrayLike) -> NDArray[np.float64]:
    """Hue angle h_ab, degrees from 0 (red) over 90 (yellow) to 360, shape (..., 3) -> (...)."""
    values = np.asarray(lab, np.float64)
    return np.asarray(np.degrees(np.arctan2(values[..., 2], values[..., 1])) % 360, np.float64)


def chroma(lab: ArrayLike) -> NDArray[np.float64]:
    """Chroma C*_ab, the distance from grey, shape (..., 3) -> (...)."""
    values = np.asarray(lab, np.float64)
    return np.asarray(np.hypot(values[..., 1], values[..., 2]), np.float64)


def ita_level(ita: ArrayLike) -> NDArray[np.int16]:
    """Number of the class of `data.ITA_CLASSES`, from 0 (dark) to 5 (very light); `data.MISSING` for nan.

    A cut-off belongs to the darker class: "light" is 41 < ITA <= 55 [2].
    """
    degrees = np.asarray(ita, np.float64)
    level = np.searchsorted(ITA_CUTOFFS, degrees, side="left")
    return np.where(np.isnan(degrees), MISSING, level).astype(np.int16)


def nearest_monk(lab: ArrayLike) -> NDArray[np.int16]:
    """Monk tone, 1 to 10, whose swatch is nearest in CIELAB (Euclidean distance, ours), shape (..., 3) -> (...).

    People choose tones in context; the nearest swatch is a proposal. The three lightest swatches lie within 10 units of
    each other: a small change of light moves a face across all of them.
    """
    values = np.asarray(lab, np.float64)
    distance = np.linalg.norm(values[..., None, :] - lab_from_hex(MONK_SWATCHES), axis=-1)
    return np.asarray(distance.argmin(axis=-1) + 1, np.int16)


def caution_of_blue(lab: ArrayLike) -> Caution | None:
    """Warning that counts colours with b* <= 0, where ITA is not meant for skin; None without any."""
    count = int(np.count_nonzero(np.asarray(lab, np.float64)[..., 2] <= 0))
    if not count:
        return None
    verb = "colour has" if count == 1 else "colours have"
    message = (
        f"{count:,} {verb} b* of 0 or below (grey or bluish): skin seldom has, so the light or the pixels may be wrong. "
        "ITA was computed with |b*|."
    )
    return Caution(code="blue-skin", message=message, count=count)


def swatch_of_ita(ita: float) -> str:
    """A skin colour of this ITA as "#rrggbb", for axes and swatches; nothing is measured with it (ours).

    a* and b* are interpolated between the Monk swatches by their ITA, and L* follows from the formula, so the colour has
    the very ITA that it stands for, up to rounding to 8 bits. Beyond the lightest and the darkest swatch it is that swatch.
    """
    anchors = lab_from_hex(MONK_SWATCHES)[::-1]  # from dark to light: np.interp wants ascending angles
    angles = ita_from_lab(anchors)
    if not angles[0] < ita < angles[-1]:
        return MONK_SWATCHES[-1] if ita <= angles[0] else MONK_SWATCHES[0]
    a, b = (float(np.interp(ita, angles, anchors[:, column])) for column in (1, 2))
    return hex_from_rgb(rgb_from_lab([50 + b * np.tan(np.radians(ita)), a, b]))
