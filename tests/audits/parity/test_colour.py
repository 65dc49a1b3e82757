"""Colour: against an independent library, at the cut-offs, where the angle is not defined."""

import numpy as np
import pytest
from auditor.audits.parity import colour
from auditor.audits.parity.data import ITA_CLASSES, MISSING
from auditor.audits.parity.swatches import FITZPATRICK_ITA, FITZPATRICK_SWATCHES, MONK_SWATCHES
from auditor.errors import InputError
from coloraide import Color

# All corners of sRGB, greys (the straight part of both curves), the swatches, and colours from a seed.
COLOURS = np.unique(
    np.concatenate(
        [
            [[r, g, b] for r in (0, 128, 255) for g in (0, 128, 255) for b in (0, 128, 255)],
            np.repeat(np.arange(256)[:, None], 3, axis=1),
            [colour.rgb_from_hex(swatch) for swatch in (*MONK_SWATCHES, *FITZPATRICK_SWATCHES)],
            np.random.default_rng(4).integers(0, 256, (700, 3)),
        ]
    ),
    axis=0,
)


def independent(space: str) -> np.ndarray:
    return np.array([Color("srgb", (rgb / 255).tolist()).convert(space).coords() for rgb in COLOURS], np.float64)


def test_xyz_and_lab_agree_with_an_independent_library_to_a_millionth():
    np.testing.assert_allclose(colour.xyz_from_rgb(COLOURS), independent("xyz-d65"), rtol=0, atol=1e-6)
    np.testing.assert_allclose(colour.lab_from_rgb(COLOURS), independent("lab-d65"), rtol=0, atol=1e-6)


def test_hue_and_chroma_agree_with_an_independent_library():
    theirs = independent("lch-d65")
    coloured = theirs[:, 1] > 0.01  # a grey has no hue
    lab = colour.lab_from_rgb(COLOURS)
    np.testing.assert_allclose(colour.chroma(lab), theirs[:, 1], rtol=0, atol=1e-6)
    np.testing.assert_allclose(colour.hue_angle(lab)[coloured], theirs[coloured, 2], rtol=0, atol=1e-6)


def test_a_colour_comes_back_from_lab():
    np.testing.assert_allclose(colour.rgb_from_lab(colour.lab_from_rgb(COLOURS)), COLOURS, rtol=0, atol=1e-6)


def test_the_angle_of_known_colours():
    # Worked by hand: L* - 50 = |b*| is 45 degrees, and b* sqrt(3) is 60.
    lab = [[70, 10, 20], [70, 10, -20], [30, 10, 20], [50 + 10 * 3**0.5, 5, 10], [50, 5, 10]]
    np.testing.assert_allclose(colour.ita_from_lab(lab), [45, 45, -45, 60, 0], atol=1e-12)


def test_without_yellow_the_angle_is_its_limit():
    assert colour.ita_from_lab([[80, 0, 0], [20, 0, 0], [50, 0, 0]]).tolist() == [90, -90, 0]
    assert np.isnan(colour.ita_from_lab([[np.nan, np.nan, np.nan]])).all()


def test_bluish_colours_are_counted():
    caution = colour.caution_of_blue([[60, 5, 12], [60, 5, -0.1], [60, 5, 0]])
    assert caution is not None
    assert caution.count == 2
    assert "2 colours" in caution.message
    assert colour.caution_of_blue([[60, 5, 12]]) is None


def test_classes_change_just_above_the_cut_offs():
    cutoffs = np.array([-30, 10, 28, 41, 55.0])
    at = [ITA_CLASSES[level] for level in colour.ita_level(cutoffs)]
    above = [ITA_CLASSES[level] for level in colour.ita_level(cutoffs + 1e-9)]
    assert at == ["dark", "brown", "tan", "intermediate", "light"]
    assert above == ["brown", "tan", "intermediate", "light", "very light"]
    assert colour.ita_level([np.nan]).tolist() == [MISSING]


def test_the_monk_scale_runs_from_light_to_dark():
    angles = colour.ita_from_hex(MONK_SWATCHES)
    assert len(MONK_SWATCHES) == 10
    assert (np.diff(angles) < 0).all()
    assert angles.round().tolist() == [83, 80, 72, 65, 50, 11, -20, -55, -78, -84]


@pytest.mark.parametrize("ita", [-84, -60, -30, -5, 10, 28, 41, 55, 70, 82])
def test_a_swatch_has_the_angle_that_it_stands_for(ita):
    # Rounded to 8 bits: a degree near the middle, where L* hardly moves the angle, up to two where b* is small.
    assert colour.ita_from_hex([colour.swatch_of_ita(ita)])[0] == pytest.approx(ita, abs=2)


def test_swatches_beyond_the_scale_are_its_ends():
    assert (colour.swatch_of_ita(-90), colour.swatch_of_ita(90)) == (MONK_SWATCHES[-1], MONK_SWATCHES[0])


def test_fitzpatrick_swatches_are_those_of_their_angles():
    assert tuple(colour.swatch_of_ita(ita) for ita in FITZPATRICK_ITA) == FITZPATRICK_SWATCHES
    levels = colour.ita_level(colour.ita_from_hex(FITZPATRICK_SWATCHES))
    assert levels.tolist() == [5, 4, 3, 2, 1, 0]


def test_hex_in_its_ways_of_writing():
    assert colour.rgb_from_hex("#D7BD96") == colour.rgb_from_hex(" d7bd96 ") == (215, 189, 150)
    assert colour.rgb_from_hex("#fa0") == (255, 170, 0)
    assert colour.hex_from_rgb([214.6, 300, -4]) == "#d7ff00"
    assert colour.lab_from_hex([]).shape == (0, 3)


@pytest.mark.parametrize("text", ["", "#12345", "#gggggg", "rgb(1,2,3)", "#d7bd96;", "١٢٣٤٥٦"])
def test_what_is_no_colour_is_refused(text):
    with pytest.raises(InputError, match="no colour"):
        colour.rgb_from_hex(text)
