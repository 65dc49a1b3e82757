"""Hue beside tone: where degrees were read from colours it stands in tables, picture and report, and is never tested."""

import numpy as np
import pytest
from auditor.audits import parity
from auditor.audits.parity import colour
from auditor.audits.parity.hue import GREY, hue_of, mean_hue


def test_means_of_hues_are_those_of_directions() -> None:
    assert mean_hue(np.array([350.0, 20.0])) == pytest.approx(5)
    assert mean_hue(np.array([0.0, 90.0]), np.array([3.0, 1.0])) == pytest.approx(np.degrees(np.arctan2(1, 3)))
    assert mean_hue(np.array([0.0, 180.0])) is None
    lab = np.array([[60.0, GREY / 2, 0.0], [60.0, 20.0, 20.0], [np.nan, np.nan, np.nan]])
    assert np.isnan(hue_of(lab)[[0, 2]]).all()
    assert hue_of(lab)[1] == pytest.approx(45)


def test_hue_stands_beside_degrees_that_were_read_from_colours() -> None:
    generator = np.random.default_rng(3)
    # Reddish skin for one group, yellowish for the other; one grey, which has no hue.
    lab = np.array(
        [[generator.uniform(40, 75), *((22, 10) if (i // 5) % 2 else (8, 24))] for i in range(100)], np.float64
    )
    colours = [colour.hex_from_rgb(rgb) for rgb in colour.rgb_from_lab(lab)]
    colours[0] = "#808080"
    results = {
        "query_id": [f"q{i // 5}" for i in range(100)],
        "item_id": [f"i{i}" for i in range(100)],
        "rank": [i % 5 + 1 for i in range(100)],
        "query_group": ["red" if (i // 5) % 2 else "yellow" for i in range(100)],
        "skin": colours,
    }
    asked = {"attribute": "skin", "scale": "ita", "colour": "hex", "permutations": 99, "sensitivity": False}
    found = parity.test(results, **asked)
    hue = colour.hue_angle(colour.lab_from_hex(colours))
    by_group = {row["group"]: row for row in found.tables["hue"].to_pylist()}
    assert {name: row["n"] for name, row in by_group.items()} == {"yellow": 49, "red": 50}
    assert by_group["red"]["hue"] == pytest.approx(np.mean(hue[np.array(results["query_group"]) == "red"]), abs=0.05)
    assert by_group["red"]["hue_low"] <= by_group["red"]["hue"] <= by_group["red"]["hue_high"]
    queries = {row["query_id"]: row for row in found.tables["queries"].to_pylist()}
    assert queries["q1"]["hue"] == pytest.approx(np.mean(hue[5:10]), abs=0.05)
    slots = found.tables["slots"].to_pylist()
    assert slots[0]["hue"] is None
    assert slots[7]["hue"] == pytest.approx(hue[7])
    picture = next(picture for picture in found.pictures() if picture.name == "hue")
    assert "not tested" in picture.description
    assert f"red {by_group['red']['hue']:.1f} (" in picture.description
    assert "hue angle" in dict(parity.methods(found.findings))["Scale"]


def test_degrees_without_colours_have_no_hue() -> None:
    results = {
        "query_id": [f"q{i // 2}" for i in range(48)],
        "item_id": [f"i{i}" for i in range(48)],
        "rank": [i % 2 + 1 for i in range(48)],
        "query_group": ["ab"[i // 2 % 2] for i in range(48)],
        "ita": [10.5 + i for i in range(48)],
    }
    asked = {"attribute": "ita", "scale": "ita", "permutations": 99, "sensitivity": False}
    found = parity.test(results, **asked)
    assert found.tables["hue"].num_rows == 0
    assert "hue" not in found.tables["queries"].column_names
    assert "hue" not in {picture.name for picture in found.pictures()}
