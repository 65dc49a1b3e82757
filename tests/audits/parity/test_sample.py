"""The drawn fashion search: complete, reproducible, small, and of two minds."""

import csv
from collections import Counter
from itertools import combinations

import numpy as np
import pytest
from auditor.audits.parity import colour
from auditor.audits.parity.image_files import image_beside
from auditor.audits.parity.images import open_image
from auditor.resources import resource
from scipy.stats import permutation_test

SAMPLE = resource("samples", "parity")


def rows(name: str) -> list[dict[str, str]]:
    with (SAMPLE / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_the_catalog_has_every_garment_in_every_tone():
    catalog = rows("catalog.csv")
    assert len(catalog) == len({row["item_id"] for row in catalog}) == 240
    assert set(Counter((row["garment"], row["monk"]) for row in catalog).values()) == {3}
    angles = colour.ita_from_hex([row["skin_hex"] for row in catalog])
    np.testing.assert_allclose(angles, [float(row["ita"]) for row in catalog], atol=0.006)


def test_the_images_are_small_and_open():
    catalog = rows("catalog.csv")
    paths = [image_beside(row["image"], SAMPLE) for row in catalog]
    assert len(set(paths)) == 240
    assert sum(path.stat().st_size for path in paths if path is not None) < 600_000
    for path in paths[::20]:
        assert path is not None
        assert open_image(path).pixels.shape == (128, 96, 3)


def test_the_script_draws_the_sample_that_ships(drawing, tmp_path):
    few = drawing.catalog()[::40]
    for item in few:
        image, skin = drawing.draw(item)
        shipped = open_image(SAMPLE / "images" / f"{item.item_id}.png").pixels
        assert (np.asarray(image.convert("RGB")) == shipped).all()
        assert skin.any()
    drawing.write_tables(tmp_path)
    for name in ("catalog.csv", "queries.csv", "results-fair.csv", "results-biased.csv"):
        assert (tmp_path / name).read_bytes() == (SAMPLE / name).read_bytes()


@pytest.mark.parametrize("name", ["results-fair.csv", "results-biased.csv"])
def test_results_are_twenty_a_query_in_order(name):
    known = {row["item_id"] for row in rows("catalog.csv")}
    group = {row["query_id"]: row["query_group"] for row in rows("queries.csv")}
    found: dict[str, list[dict[str, str]]] = {}
    for row in rows(name):
        found.setdefault(row["query_id"], []).append(row)
        assert row["item_id"] in known
        assert row["query_group"] == group[row["query_id"]]
    assert len(found) == 72
    assert Counter(group.values()) == {"light": 24, "medium": 24, "dark": 24}
    for answers in found.values():
        assert [int(row["rank"]) for row in answers] == list(range(1, 21))
        assert len({row["item_id"] for row in answers}) == 20
        scores = [float(row["score"]) for row in answers]
        assert scores == sorted(scores, reverse=True)


def means(name: str, column: str) -> tuple[np.ndarray, np.ndarray]:
    """Mean of each query's results, and its group."""
    value = {row["item_id"]: float(row[column]) for row in rows("catalog.csv")}
    lists: dict[tuple[str, str], list[float]] = {}
    for row in rows(name):
        lists.setdefault((row["query_id"], row["query_group"]), []).append(value[row["item_id"]])
    return np.array([np.mean(one) for one in lists.values()]), np.array([group for _, group in lists])


@pytest.mark.parametrize("column", ["monk", "ita"])
def test_one_engine_looks_at_people_and_the_other_does_not(column):
    """Checked with scipy on the means of queries, apart from the audit."""
    p = {}
    largest = {}
    for name in ("fair", "biased"):
        value, group = means(f"results-{name}.csv", column)
        parts = [value[group == one] for one in ("light", "medium", "dark")]

        def spread(*samples: np.ndarray) -> float:
            return float(np.var([sample.mean() for sample in samples]))

        p[name] = permutation_test(parts, spread, n_resamples=999, alternative="greater", rng=1).pvalue
        largest[name] = max(abs(a.mean() - b.mean()) for a, b in combinations(parts, 2))
    assert p["biased"] == 0.001
    assert p["fair"] > 0.5
    assert largest["biased"] > 8 * largest["fair"]
