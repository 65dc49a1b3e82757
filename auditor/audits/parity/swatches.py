"""Colours that stand for skin tones on screen: the Monk scale, and swatches of our own for Fitzpatrick types.

References
----------
[1] E. Monk, "The Monk Skin Tone Scale", 2023, doi:10.31235/osf.io/pdf4c. The ten swatches are by Ellis Monk and licensed
    CC BY 4.0 (skintone.google); the values are his, unchanged.
"""

#: The Monk Skin Tone scale from 1 (lightest) to 10 (darkest), sRGB. By Ellis Monk, CC BY 4.0 [1].
MONK_SWATCHES = (
    "#f6ede4",
    "#f3e7db",
    "#f7ead0",
    "#eadaba",
    "#d7bd96",
    "#a07e56",
    "#825c43",
    "#604134",
    "#3a312a",
    "#292420",
)

#: A colour to show beside Fitzpatrick types I to VI (ours). The types describe how skin reacts to the sun and have no
#: colours of their own: these are `colour.swatch_of_ita` in the middle of the six ITA classes, from very light to dark.
FITZPATRICK_SWATCHES = ("#e7d6b5", "#d2b790", "#bc9e77", "#a98861", "#8a6548", "#6b4a39")

#: Degrees at which `FITZPATRICK_SWATCHES` were taken: the middle of each class, the open ones 8 and 15 degrees out (ours).
FITZPATRICK_ITA = (63.0, 48.0, 34.5, 19.0, -10.0, -45.0)
