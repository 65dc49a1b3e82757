"""Pictures of a parity run: there are all of them, in words and data too, and nothing in them is markup."""

import itertools
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from auditor.audits import Picture
from auditor.audits.findings import Verdict
from auditor.audits.look import THEMES, shortened
from auditor.audits.parity import figures
from auditor.audits.parity.data import ITA_CLASSES
from auditor.audits.parity.figures_effects import forest_picture, null_picture
from auditor.audits.parity.figures_lists import MOST_QUERIES, profile_picture, queries_picture
from auditor.audits.parity.figures_sheet import sheet_picture
from auditor.audits.parity.findings import (
    Concentration,
    EffectInfo,
    Excluded,
    NullTestInfo,
    ParityFindings,
    PowerInfo,
    ScaleInfo,
)
from auditor.audits.parity.monitor import Evidence
from auditor.audits.parity.power import Design, power_analysis
from auditor.report.pictures import data_csv, svg
from matplotlib.text import Text
from PIL import Image

MONK = tuple(map(str, range(1, 11)))


def effect(name: str, unit: str, value: float, **more: Any) -> EffectInfo:
    given = {"low": value - 2, "high": value + 2, "a": "dark", "b": "light", "level": None} | more
    title = f"{name.capitalize()}: {given['a']} less {given['b']}"
    return EffectInfo(
        attribute="tone",
        k=None,
        name=name,
        title=title,
        unit=unit,
        value=value,
        se=1.0,
        n_clusters=80,
        method="m",
        **given,
    )


def findings(
    kind: str = "ita", levels: tuple[str, ...] = ITA_CLASSES, groups: tuple[str, ...] = ("dark", "light"), **more: Any
) -> ParityFindings:
    unit = {"ita": "degrees", "ordinal": "mid-rank", "nominal": "share"}[kind]
    scale = 1 if kind == "ita" else 0.05
    given: dict[str, Any] = {
        "effects": [
            effect("mean difference", unit, 6.1 * scale, level=levels[0] if kind == "nominal" else None),
            effect("total variation", "share", 0.1, low=0.0, high=0.2),
        ],
        "margin": 2.0 * scale,
        "power": PowerInfo(
            n_queries=80, k=10, q=0.5, pi=0.4, icc=0.1, detectable_bias=0.05, sentence="A bias of 5% is detected."
        ),
    }
    test = NullTestInfo(
        attribute="tone",
        k=None,
        family="primary",
        statistic_name="mean difference",
        statistic=6.1,
        p_value=0.004,
        p_low=0.002,
        p_high=0.007,
        n_permutations=999,
        n_exceeding=3,
        stopped_early=False,
        seed=1,
        method="m",
    )
    return ParityFindings(
        audit="parity",
        verdict=Verdict(state="disparity detected", sentence="s"),
        n=80,
        mode="B",
        mode_reason="r",
        attribute="tone",
        scale=ScaleInfo(kind=kind, levels=levels),
        group_names=groups,
        k=None,
        alpha=0.05,
        confidence=0.95,
        weights="uniform",
        strata=(),
        n_queries=80,
        n_queries_read=80,
        n_items=100,
        n_catalog=0,
        n_slots=800,
        primary=test,
        state="disparity detected",
        detectable=True,
        minimum_detectable_effect=2.0,
        excluded=Excluded(
            slots_by_reason={},
            slots_without_attribute=0,
            slots_without_attribute_by_group={},
            items_without_attribute=0,
            queries_without_known_result=0,
            queries_without_group=0,
        ),
        concentration=Concentration(
            icc=0.1,
            icc_low=0.05,
            mean_length=10,
            design_effect=1.9,
            n_items_shown=100,
            effective_items=50,
            repeated_share=0.5,
            largest_share=0.1,
        ),
        **(given | more),
    )


def tables(
    folder: Path, found: ParityFindings, *, n_queries: int = 24, k: int = 6, ids: str = "q{}", image: str | None = None
) -> Mapping[str, Path]:
    generator = np.random.default_rng(4)
    groups, levels, ita = found.group_names, found.scale.levels, found.scale.kind == "ita"
    deviation = generator.normal(0, 8 if ita else 0.2, n_queries)
    place = np.empty(n_queries, np.int64)
    place[np.argsort(-np.abs(deviation))] = np.arange(1, n_queries + 1)
    queries = [
        {
            "query_id": ids.format(i),
            "group": groups[i % len(groups)],
            "n_known": k,
            "value": 20.0,
            "deviation": float(deviation[i]),
            "place": int(place[i]),
        }
        for i in range(n_queries)
    ]
    slots = [
        {
            "query_id": query["query_id"],
            "group": query["group"],
            "rank": rank,
            "item_id": f"i{rank}",
            "level": None if rank == 3 else levels[(rank * 7) % len(levels)],
            "value": float(generator.normal(20, 30)) if ita and rank != 3 else None,
            "image": image if rank == 2 else None,
        }
        for query in queries
        for rank in range(1, k + 1)
    ]
    cells = [
        {"attribute": "tone", "k": None, "group": group, "level": level, "observed": 0.2, "expected": 0.2 - 0.03 * sign,
         "deviation": 0.03 * sign, "low": 0.03 * sign - 0.02, "high": 0.03 * sign + 0.02}
        for group in groups
        for level, sign in zip(levels, generator.choice([-1, 1], len(levels)).tolist(), strict=True)
    ]  # fmt: skip
    profile = [
        {"group": group, "rank": rank, "level": level, "share": None if ita else 0.3, "value": 20.0 if ita else None,
         "low": 0.1, "high": 0.5, "n": 40}
        for group in groups
        for level in ([None] if ita else levels)
        for rank in range(1, k + 1)
    ]  # fmt: skip
    tones = [
        {"group": groups[i % len(groups)], "value": float(v), "weight": 0.1}
        for i, v in enumerate(generator.normal(20, 25, 400))
    ]
    curve = power_analysis(Design(n_queries=80, k=10), curves=("n_queries", "beta")).rows
    made = {
        "queries": pa.Table.from_pylist(queries),
        "slots": pa.Table.from_pylist(
            slots,
            schema=pa.schema(
                [(name, pa.string()) for name in ("query_id", "group", "item_id", "level", "image")]
                + [("rank", pa.int64()), ("value", pa.float64())]
            ),
        ),
        "cells": pa.Table.from_pylist(cells),
        "rank_profile": pa.Table.from_pylist(profile),
        "ita": pa.Table.from_pylist(tones) if ita else pa.table({"group": pa.array([], pa.string())}),
        "null": pa.table({"value": generator.normal(0, 2, 999)}),
        "power": pa.table({
            "x_name": [row.x_name for row in curve],
            "x": [row.x for row in curve],
            "detectable": pa.array([row.detectable for row in curve], pa.float64()),
            "kind": [row.kind for row in curve],
            "power": [row.power for row in curve],
        }),
    }  # fmt: skip
    paths = {}
    for name, table in made.items():
        paths[name] = folder / f"{name}.parquet"
        pq.write_table(table, paths[name])
    return paths


def drawn(folder: Path, found: ParityFindings, theme: str = "light", **more: Any) -> dict[str, Picture]:
    return {picture.name: picture for picture in figures.pictures(found, tables(folder, found, **more), theme)}


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_picture_has_words_and_data_and_can_be_saved(tmp_path: Path, theme: str) -> None:
    made = drawn(tmp_path, findings(), theme)
    assert list(made) == ["tones", "cells", "null", "effects", "queries", "rank_profile", "contact_sheet", "power"]
    paper = [int(THEMES[theme].paper[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    for picture in made.values():
        assert picture.title
        assert picture.description.endswith(".")
        assert picture.data.num_rows > 0
        assert picture.figure.get_figwidth() == pytest.approx(7.2)
        assert picture.figure.get_facecolor()[:3] == pytest.approx(paper)
        assert svg(picture).startswith("<svg")
        assert data_csv(picture.data)


@pytest.mark.parametrize(
    ("kind", "levels"),
    [("ordinal", MONK), ("nominal", ("woman", "man")), ("nominal", tuple(f"name {i}" for i in range(30)))],
)
def test_other_scales(tmp_path: Path, kind: str, levels: tuple[str, ...]) -> None:
    made = drawn(tmp_path, findings(kind, levels))
    assert "tones" not in made
    assert {"cells", "queries", "rank_profile", "contact_sheet"} <= set(made)
    if len(levels) > 16:
        assert "14 more levels stand in the table" in made["cells"].description
    svg(made["cells"])
    svg(made["rank_profile"])


def test_the_same_tables_give_the_same_bytes(tmp_path: Path) -> None:
    found = findings()
    paths = tables(tmp_path, found)
    first, second = (
        [svg(one) for one in itertools.islice(figures.pictures(found, paths, "light"), 3)] for _ in range(2)
    )
    assert first == second


def test_names_are_text_and_never_markup(tmp_path: Path) -> None:
    found = findings("nominal", ("<b>x</b>", "$\\frac{"), ("$group$ & <script>", "=1+1"))
    for name, picture in drawn(tmp_path, found, ids="$q_{{{}}}$ \n<i>").items():
        text = svg(picture)
        assert "<script" not in text, name
        assert "<i>" not in text, name
    assert "\n" not in shortened("a\nb\x00c", 10)


def test_of_many_queries_the_furthest_are_shown_and_that_is_said(tmp_path: Path) -> None:
    picture = queries_picture(findings(), tables(tmp_path, findings(), n_queries=300)["queries"], THEMES["light"])
    assert picture.data.num_rows == MOST_QUERIES
    assert f"The {MOST_QUERIES} of 300 queries that are furthest off" in picture.description
    shown = np.array(picture.data["deviation"].to_pylist())
    assert (np.diff(shown) <= 0).all()
    few = queries_picture(findings(), tables(tmp_path, findings(), n_queries=12)["queries"], THEMES["light"])
    assert "All 12 queries" in few.description


def test_degrees_against_shares_of_their_classes_deviate_by_levels(tmp_path: Path) -> None:
    in_classes = findings(effects=[effect("mid-rank difference", "mid-rank", 0.14, a="results", b="target")])
    assert in_classes.scale.kind == "ita"
    picture = queries_picture(in_classes, tables(tmp_path, in_classes, n_queries=12)["queries"], THEMES["light"])
    assert "from the query's target" in picture.description
    assert " levels)" in picture.description
    assert "degrees" not in picture.description


def test_the_observed_value_and_its_p_stand_beside_the_null_distribution(tmp_path: Path) -> None:
    picture = null_picture(findings(), tables(tmp_path, findings())["null"], THEMES["light"])
    assert picture is not None
    assert "observed value 6.1" in picture.description
    assert "3 of 999 relabellings reach it: p = .004" in picture.description


@pytest.mark.parametrize(
    ("test", "title", "words"),
    [
        (
            {"n_permutations": 0, "n_exceeding": 0},
            "The exact null distribution",
            "The exact distribution gives p = .004",
        ),
        (
            {"n_permutations": 252, "n_exceeding": 1},
            "All 252 relabellings",
            "1 of 252 relabellings reach it: p = .004, exact",
        ),
    ],
)
def test_nothing_is_called_random_where_p_is_exact(
    tmp_path: Path, test: dict[str, Any], title: str, words: str
) -> None:
    found = findings()
    exact = found.primary.model_copy(update={**test, "p_low": 0.004, "p_high": 0.004})
    found = found.model_copy(update={"primary": exact})
    picture = null_picture(found, tables(tmp_path, found)["null"], THEMES["light"])
    assert picture is not None
    assert picture.title == title
    assert words in picture.description
    assert "Monte Carlo" not in picture.description
    assert "random" not in svg(picture)


def test_ranks_that_are_not_drawn_are_counted(tmp_path: Path) -> None:
    found = findings()
    paths = dict(tables(tmp_path, found, n_queries=80))
    whole = profile_picture(found, paths["rank_profile"], paths["queries"], THEMES["light"])
    assert whole is not None
    assert "at every rank, by" in whole.description
    profile = pq.read_table(paths["rank_profile"])
    pq.write_table(profile.filter(pc.less_equal(profile["rank"], 4)), paths["rank_profile"])
    cut = profile_picture(found, paths["rank_profile"], paths["queries"], THEMES["light"])
    assert cut is not None
    assert "at every rank up to 4, by" in cut.description
    assert "160 results further down count in the test and are not drawn" in cut.description


def test_margin_and_interval_stand_in_words() -> None:
    picture = forest_picture(findings(), THEMES["light"])
    assert "6.1 degrees ITA (4.1 to 8.1)" in picture.description
    assert "margin of ±2.0 degrees ITA" in picture.description
    lacking = findings(effects=[effect("mean difference", "degrees", 6.1, low=None, high=None, no_interval="too few")])
    assert "without an interval (too few)" in forest_picture(lacking, THEMES["light"]).description


def sheet(folder: Path, *, pictures: bool = True, **more: Any) -> Picture:
    paths = tables(folder, findings(), **more)
    picture = sheet_picture(findings(pictures=pictures), paths["queries"], paths["slots"], THEMES["light"])
    assert picture is not None
    return picture


def test_images_are_drawn_only_if_they_can_be_opened(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.png", tmp_path / "bad.png"
    Image.new("RGB", (40, 80), "#806040").save(good)
    bad.write_bytes(b"\x89PNG\r\n\x1a\nnot an image")
    assert "<image" in svg(sheet(tmp_path, image=str(good)))
    for refused in (str(bad), str(tmp_path / "absent.png")):
        assert "<image" not in svg(sheet(tmp_path, image=refused))


def test_images_are_left_out_unless_they_were_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "face.png"
    Image.new("RGB", (40, 80), "#806040").save(path)
    without = sheet(tmp_path, pictures=False, image=str(path))
    assert "<image" not in svg(without)
    assert "the images themselves were left out" in without.description
    assert "image" not in without.data.column_names  # nor where they lie
    assert "image" in sheet(tmp_path, image=str(path)).data.column_names
    assert "left out" not in sheet(tmp_path, pictures=False).description


def test_results_of_unknown_tone_are_crossed_out(tmp_path: Path) -> None:
    picture = sheet(tmp_path, n_queries=3)
    assert "A crossed box has no known tone" in picture.description
    words = {text.get_text() for text in picture.figure.findobj(Text)}
    assert any(re.fullmatch("−?[0-9]+°", word) for word in words)


def test_one_rank_has_no_profile_and_no_power_no_curve(tmp_path: Path) -> None:
    made = drawn(tmp_path, findings(power=None), k=1)
    assert "rank_profile" not in made
    assert "power" not in made


def test_targets_instead_of_groups(tmp_path: Path) -> None:
    against = effect("mean difference", "degrees", -3.0, a="results", b="target")
    made = drawn(tmp_path, findings(groups=("all queries",), effects=[against]))
    # Queries have a mean of 20 degrees in their table, 3 below what was declared; the tones drawn have another one.
    assert "Mean degrees: all queries 20.0. Dashed: the target, 23.0 degrees." in made["tones"].description
    assert "Curves are those of" not in made["tones"].description
    assert "the query's target" in made["queries"].description


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_power_before_any_data(theme: str) -> None:
    answer = power_analysis(Design(n_queries=200, k=20, icc=0.1))
    (picture,) = figures.power_pictures(answer, theme)
    assert picture.data.num_rows == len(answer.rows)
    assert picture.description.startswith(answer.sentence)
    assert "one-sided test" in svg(picture)


def test_evidence_over_time() -> None:
    evidence = Evidence(
        against="groups",
        alpha=0.05,
        dates=tuple(f"2026-11-{1 + i // 10:02d}" for i in range(60)),
        log_e=np.cumsum(np.full(60, 0.08)),
        batch_dates=tuple(f"2026-11-{1 + i:02d}" for i in range(6)),
        batch_n=(10, 20, 30, 40, 50, 60),
        alarm_date="2026-11-04",
        n_fresh=120,
        n_unpaired=0,
        n_without_group=0,
        versions=(),
    )
    (picture,) = figures.monitor_pictures(evidence, "light")
    assert picture.data.num_rows == 6
    assert "ever reaches 20 with probability at most 0.05" in picture.description
    svg(picture)
