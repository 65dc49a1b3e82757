"""Proposals of a skin tone from an image, through a mask that a person sees and corrects.

What this measures is a proposal until a person confirms it: light, make-up, cameras and print change colours more than
people differ, and no rule on colours tells skin from hair, wood or a beige wall. The mask is there to be looked at.

The rule is a union of three [1, 2, ours]. The two from the literature were fitted to lighter skin: together they see 42% of
the skin of Monk tone 9 and none of tone 10. The third, ours, takes dark warm colours in, and dark brown hair with them.

Measured on the 240 drawn figures of the sample, 24 of each Monk tone (tests/audits/parity/test_skin.py): skin is found on
every figure but 2 of the lightest tone; the median error of the angle is at most 2 degrees for every tone; it is beyond 10
degrees on 29 figures, up to 6 of 24 for a tone, mostly because brown hair outweighs a little skin. Of those 29, 21 are
`doubtful`, as are 44 that are right. Light of 20% less moves the angle by up to 26 degrees for the tones 5 to 7 although the
mask is right. Drawn figures are kind, with flat light and cool backgrounds: expect photographs to be worse.

References
----------
[1] D. Chai, K. N. Ngan, "Face segmentation using skin-color map in videophone applications", IEEE Transactions on Circuits
    and Systems for Video Technology 9 (1999) 551-564: 77 <= Cb <= 127 and 133 <= Cr <= 173.
[2] J. Kovac, P. Peer, F. Solina, "Human skin colour clustering for face detection", EUROCON 2003: the rule for skin in
    flashlight. Their rule for daylight takes red cloth for skin and is left out.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from auditor.audits.parity import colour

#: Fewest masked pixels that are measured (ours).
MIN_PIXELS = 20
#: Masked pixels beyond this number are thinned out evenly before they are measured (ours).
MAX_PIXELS = 200_000
#: Connected regions smaller than this share of the largest are dropped: specks of wood, lips, buttons (ours).
SMALLEST_REGION = 0.1
#: Darkest and lightest share of the masked pixels that is left out: shadows, brows, highlights (ours).
TRIM = 0.1
#: Interquartile range of the angle, degrees, beyond which the mask must hold more than one thing (ours).
DOUBTFUL_IQR = 20.0
# Longest side of the copy on which the mask is found (ours); it is enlarged to the image afterwards.
_WORKING_SIDE = 768

Fraction = Annotated[float, Field(ge=-1, le=2, allow_inf_nan=False)]


class Correction(BaseModel):
    """What a person drew on the mask: an area or a brush stroke that adds skin or removes it.

    Points are fractions of width and height from the upper left, so that they hold at every size on screen.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    action: Literal["add", "remove"] = Field(description="Whether the pixels become skin or stop being skin.")
    shape: Literal["polygon", "stroke"] = Field(
        description="An area within corners, or a line drawn with a round brush."
    )
    points: tuple[tuple[Fraction, Fraction], ...] = Field(
        min_length=1, max_length=10_000, description="x, y of each point."
    )
    radius: float = Field(default=0.0, ge=0, le=1, description="Of the brush, as a fraction of the longer side.")

    @classmethod
    def rectangle(cls, action: Literal["add", "remove"], x0: float, y0: float, x1: float, y1: float) -> "Correction":
        """A rectangle between two corners."""
        return cls(action=action, shape="polygon", points=((x0, y0), (x1, y0), (x1, y1), (x0, y1)))

    def pixels(self, height: int, width: int) -> NDArray[np.bool_]:
        """Pixels whose centre lies within, shape (height, width)."""
        x, y = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
        points = np.array(self.points) * (width, height)
        if self.shape == "polygon":
            return _within(points, x, y)
        return _near(points, self.radius * max(height, width), x, y)


@dataclass(frozen=True)
class Measurement:
    """Skin of one image: a proposal until a person confirms it.

    Attributes
    ----------
    mask : ndarray of bool, shape (height, width)
        Pixels that were taken for skin, corrections included.
    share : float
        Share of the image that the mask covers.
    lab : tuple of float
        Median L*, a*, b* of the trimmed pixels; nan where no skin was found, as all the following.
    ita_degrees, ita_low, ita_high : float
        Individual typology angle of `lab`, and the quartiles of the angle over the trimmed pixels: how uneven the skin is
        lit and the mask chosen, not a confidence interval.
    hue_degrees : float
        Hue angle of `lab`.
    hex : str
        `lab` as a colour; empty without skin.
    monk : int
        Nearest Monk tone, 0 without skin.
    corrections : tuple of Correction
        In the order in which they were applied.
    """

    mask: NDArray[np.bool_]
    share: float
    lab: tuple[float, float, float]
    ita_degrees: float
    ita_low: float
    ita_high: float
    hue_degrees: float
    hex: str
    monk: int
    corrections: tuple[Correction, ...] = ()

    @property
    def found(self) -> bool:
        """Whether there was enough skin to measure."""
        return self.monk > 0

    @property
    def ita_iqr(self) -> float:
        """Interquartile range of the angle over the trimmed pixels, degrees."""
        return self.ita_high - self.ita_low

    @property
    def doubtful(self) -> bool:
        """Whether there is no skin, or the pixels differ more than one skin does: look at the mask first."""
        return not self.found or self.ita_iqr > DOUBTFUL_IQR

    @property
    def sentence(self) -> str:
        """The proposal in words."""
        if not self.found:
            return "No skin was found: mark it on the image."
        doubt = " The pixels differ more than one skin does: look at the mask." if self.doubtful else ""
        middle, low, high = (
            f"{value:.0f}".replace("-", "−") for value in (self.ita_degrees, self.ita_low, self.ita_high)
        )
        return (
            f"Proposal: ITA {middle} degrees (half of the pixels between {low} and {high}), hue "
            f"{self.hue_degrees:.0f} degrees, nearest Monk tone {self.monk}; "
            f"{self.share:.0%} of the image taken for skin.{doubt}"
        )


def measure(
    pixels: NDArray[np.uint8], mask: NDArray[np.bool_] | None = None, corrections: Sequence[Correction] = ()
) -> Measurement:
    """Measure the skin of an image.

    Parameters
    ----------
    pixels : ndarray of uint8, shape (height, width, 3)
        sRGB, as `images.open_image` gives it.
    mask : ndarray of bool, shape (height, width), optional
        Where skin is; `proposed_mask` if not given.
    corrections : sequence of Correction
        What a person drew, in order; a later one wins.

    Raises
    ------
    ValueError
        If mask and image differ in size.
    """
    mask = proposed_mask(pixels) if mask is None else mask
    if mask.shape != pixels.shape[:2]:
        raise ValueError(f"The mask is {mask.shape}, the image {pixels.shape[:2]}: they must have the same size.")
    mask = corrected(mask, corrections)
    chosen = pixels[_inside(mask)]
    share = float(mask.mean()) if mask.size else 0.0
    if len(chosen) < MIN_PIXELS:
        nothing = float("nan")
        return Measurement(
            mask,
            share,
            (nothing,) * 3,
            nothing,
            nothing,
            nothing,
            nothing,
            hex="",
            monk=0,
            corrections=tuple(corrections),
        )
    lab = colour.lab_from_rgb(chosen[:: -(-len(chosen) // MAX_PIXELS)])
    low, high = np.quantile(lab[:, 0], [TRIM, 1 - TRIM])
    lab = lab[(lab[:, 0] >= low) & (lab[:, 0] <= high)]
    middle = np.median(lab, axis=0)
    quartiles = np.quantile(colour.ita_from_lab(lab), [0.25, 0.75])
    return Measurement(
        mask=mask,
        share=share,
        lab=(float(middle[0]), float(middle[1]), float(middle[2])),
        ita_degrees=float(colour.ita_from_lab(middle)),
        ita_low=float(quartiles[0]),
        ita_high=float(quartiles[1]),
        hue_degrees=float(colour.hue_angle(middle)),
        hex=colour.hex_from_rgb(colour.rgb_from_lab(middle)),
        monk=int(colour.nearest_monk(middle)),
        corrections=tuple(corrections),
    )


def proposed_mask(pixels: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Pixels that are taken for skin, shape (height, width): `skin_coloured`, without small regions."""
    height, width = pixels.shape[:2]
    step = max(1, -(-max(height, width) // _WORKING_SIDE))
    small = _largest_regions(skin_coloured(pixels[::step, ::step]))
    return small.repeat(step, axis=0).repeat(step, axis=1)[:height, :width]


def skin_coloured(pixels: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Pixels whose colour may be skin by any of the three rules, shape (..., 3) -> (...)."""
    red, green, blue = (pixels[..., channel].astype(np.float64) for channel in range(3))
    cb = 128 - 0.168736 * red - 0.331264 * green + 0.5 * blue
    cr = 128 + 0.5 * red - 0.418688 * green - 0.081312 * blue
    chai_ngan = (cb >= 77) & (cb <= 127) & (cr >= 133) & (cr <= 173)
    flashlight = (
        (red > 220) & (green > 210) & (blue > 170) & (np.abs(red - green) <= 15) & (red > blue) & (green > blue)
    )
    dark = (red <= 110) & (red >= green) & (green >= blue) & (red - blue >= 6)
    return np.asarray(chai_ngan | flashlight | dark, np.bool_)


def corrected(mask: NDArray[np.bool_], corrections: Sequence[Correction]) -> NDArray[np.bool_]:
    """The mask after what a person drew, in order; the mask that was given stays as it is."""
    result = mask.copy()
    for correction in corrections:
        result[correction.pixels(*mask.shape)] = correction.action == "add"
    return result


def _largest_regions(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    from scipy.ndimage import label

    labels, count = label(mask, np.ones((3, 3)))
    if not count:
        return mask
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    kept = sizes >= max(SMALLEST_REGION * sizes.max(), 1)
    return np.asarray(kept[labels], np.bool_)


def _inside(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The mask without its edge, where skin mixes with what is beside it; all of it where little would be left."""
    from scipy.ndimage import binary_erosion

    inside = np.asarray(binary_erosion(mask, np.ones((3, 3)), border_value=1), np.bool_)
    return inside if np.count_nonzero(inside) >= 5 * MIN_PIXELS else mask


def _within(corners: NDArray[np.float64], x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Even-odd rule: a ray to the right crosses the outline an odd number of times."""
    inside = np.zeros(x.shape, np.bool_)
    for (x0, y0), (x1, y1) in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        crosses = (y0 > y) != (y1 > y)
        if y0 != y1:
            inside ^= crosses & (x < x0 + (y - y0) * (x1 - x0) / (y1 - y0))
    return inside


def _near(
    points: NDArray[np.float64], radius: float, x: NDArray[np.float64], y: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Pixels within a radius of the line through points."""
    near = np.zeros(x.shape, np.bool_)
    for (x0, y0), (x1, y1) in zip(points, [*points[1:], points[-1]], strict=True):
        dx, dy = x1 - x0, y1 - y0
        along = np.clip(((x - x0) * dx + (y - y0) * dy) / ((dx * dx + dy * dy) or 1.0), 0, 1)
        near |= (x - x0 - along * dx) ** 2 + (y - y0 - along * dy) ** 2 <= radius * radius
    return near
