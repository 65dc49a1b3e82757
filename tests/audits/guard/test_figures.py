"""Pictures of a guard run: all of them are drawn, their words and data hold the numbers, and nothing in them is markup."""

import xml.etree.ElementTree as ET
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from auditor.audits import Picture
from auditor.audits.guard import figures
from auditor.audits.guard.conditions import ATTACKS
from auditor.audits.guard.figures_layers import critical_layer
from auditor.audits.look import THEMES
from auditor.report.pictures import data_csv, svg
from matplotlib.patches import Rectangle
from matplotlib.text import Text
from tests.audits.guard.made_runs import (
    N_LAYERS,
    Rows,
    condition_row,
    full_rows,
    layer_row,
    made_findings,
    made_tables,
    smallest_rows,
)

ONE_EXIT: dict[str, Any] = {
    "readout": {"n_layers": 1, "n_exits": 1, "first_exit": 1},
    "certificate": {"certified": False, "lambda_hat": 1.0, "p_at": None, "p_first": 0.9, "n": 2},
}
HOSTILE = "$\\frac{ <script>alert(1)</script> \n & $x$ =1+1"


def drawn(folder: Path, rows: Mapping[str, Rows], theme: str = "light", **more: Any) -> dict[str, Picture]:
    tables = made_tables(folder, rows)
    return {picture.name: picture for picture in figures.pictures(made_findings(**more), tables, theme)}


def one(folder: Path, rows: Mapping[str, Rows], name: str, **more: Any) -> Picture:
    """A single picture, drawn from its own tables alone."""
    own = {"attacks": ("conditions",), "cost": ("cost", "timing")}.get(name, (name,))
    return drawn(folder, {table: found for table, found in rows.items() if table in own}, **more)[name]


def texts(picture: Picture) -> list[str]:
    return [text.get_text() for text in picture.figure.findobj(Text) if text.get_text()]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_picture_of_a_full_run_has_words_and_data_and_can_be_saved(tmp_path: Path, theme: str) -> None:
    made = drawn(tmp_path, full_rows(), theme)
    assert list(made) == [
        *("risk_curve", "attacks", "layers", "exits", "splits", "influence", "attention", "cost"),
    ]
    paper = [int(THEMES[theme].paper[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    for picture in made.values():
        assert picture.title
        assert picture.description.endswith(".")
        assert picture.data.num_rows > 0
        assert picture.figure.get_figwidth() == pytest.approx(7.2)
        assert picture.figure.get_facecolor()[:3] == pytest.approx(paper)
        ET.fromstring(svg(picture))
        assert len(data_csv(picture.data).splitlines()) == picture.data.num_rows + 1


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_smallest_run_has_its_pictures(tmp_path: Path, theme: str) -> None:
    made = drawn(tmp_path, smallest_rows(), theme, **ONE_EXIT)
    assert list(made) == ["risk_curve", "attacks", "exits", "cost"]
    for picture in made.values():
        assert svg(picture).startswith("<svg")
    assert "No threshold below 1 passed at 0.1 (p = 0.9 at the first one tested)" in made["risk_curve"].description
    assert "not certified: always zero-shot" in texts(made["risk_curve"])
    assert "With the guard: always zero-shot" in texts(made["attacks"])


def test_tables_without_rows_have_no_picture(tmp_path: Path) -> None:
    rows = dict.fromkeys(full_rows(), ())
    assert drawn(tmp_path, rows) == {}


def test_the_same_tables_give_the_same_bytes(tmp_path: Path) -> None:
    first, second = (drawn(tmp_path, full_rows()) for _ in range(2))
    for name, picture in first.items():
        assert svg(picture) == svg(second[name]), name


def test_texts_of_demonstrations_are_text_and_never_markup(tmp_path: Path) -> None:
    rows = dict(full_rows())
    rows["influence"] = [row | {"text": HOSTILE, "word": HOSTILE} for row in rows["influence"]]
    picture = one(tmp_path, rows, "influence")
    text = svg(picture)
    assert "<script" not in text
    assert not any("\n" in label for label in texts(picture) if "script" in label)
    assert "'=1+1" not in data_csv(picture.data)  # not at the start of the cell, so it is left as it is
    assert HOSTILE in data_csv(picture.data)


def test_the_risk_at_the_certified_threshold_stands_in_words_and_data(tmp_path: Path) -> None:
    picture = one(tmp_path, full_rows(), "risk_curve")
    row = next(row for row in picture.data.to_pylist() if abs(row["lambda"] - 0.62) < 1e-9)
    assert f"the risk is +{100 * row['risk']:.1f} points" in picture.description
    assert "certified from λ = 0.62" in texts(picture)
    assert picture.data.num_rows == 101
    assert "The published selection would pick 0.55, without a guarantee." in picture.description
    # Ticks of the p-values are plain digits, since saved pictures know no mathematical markup.
    assert not any("$" in text or "mathdefault" in text for text in texts(picture))


def test_the_published_rule_is_never_called_certified(tmp_path: Path) -> None:
    found = {"select": "uncorrected", "guaranteed": False}
    picture = one(tmp_path, full_rows(), "risk_curve", certificate=found)
    assert "it carries no guarantee" in picture.description
    assert not any("certified" in text for text in [picture.description.lower(), *texts(picture)])


def test_with_every_attack_covered_each_condition_has_its_curve(tmp_path: Path) -> None:
    rows = dict(full_rows())
    curve = rows["risk_curve"]
    rows["risk_curve"] = [
        row | {"condition": condition, "risk": row["risk"] * scale}
        for condition, scale in (("correct", 0.3), ("cyclic:1", 1.5))
        for row in curve
    ]
    covered = {"cover": "every attack", "covered": ("correct", "cyclic:1")}
    picture = one(tmp_path, rows, "risk_curve", certificate=covered)
    legend = texts(picture)
    assert "risk, correct demonstrations" in legend
    assert "risk, Wrong labels in a circle (100%)" in legend


def test_every_change_of_accuracy_stands_in_its_cell(tmp_path: Path) -> None:
    picture = one(tmp_path, full_rows(), "attacks")
    shown = texts(picture)
    for row in picture.data.to_pylist():
        if row["kind"] == "zero-shot":
            continue
        for which in ("unguarded", "guarded"):
            changed = 100 * (row[f"accuracy_{which}"] - row["accuracy_zero_shot"])
            assert f"{changed:+.1f}".replace("-", "−") in shown, row["condition"]
    assert "Worst without the guard: One wrong demonstration repeated (100%), −21.0" in picture.description


def test_cells_that_are_worse_than_epsilon_are_framed(tmp_path: Path) -> None:
    rows = dict(smallest_rows())
    rows["conditions"] = [
        condition_row("correct", "correct", 0.7, 0.7, zero=0.7),
        condition_row("cyclic:1", "attack", 0.64, 0.66, zero=0.7, attack="cyclic", strength=1.0),
    ]
    picture = one(tmp_path, rows, "attacks")
    cells = [patch for patch in picture.figure.findobj(Rectangle) if patch.get_linewidth() == pytest.approx(1.6)]
    assert len(cells) == 1  # 6 points unguarded; 4 points guarded are within epsilon


def test_many_attacks_and_strengths_are_cut_and_that_is_said(tmp_path: Path) -> None:
    rows = dict(full_rows())
    strengths = [round(number / 20, 2) for number in range(1, 21)]
    single = [
        condition_row(f"{attack}:{strength:g}", "attack", 0.5, 0.6, zero=0.7, attack=attack, strength=strength)
        for attack in ATTACKS
        for strength in strengths
    ]
    composed = [condition_row(f"{attack}:1+last:0.5", "attack", 0.5, 0.6, zero=0.7) for attack in ATTACKS]
    rows["conditions"] = single + composed
    picture = one(tmp_path, rows, "attacks")
    left_out = 2 * len(ATTACKS) - 16
    assert f"{left_out} more attacks stand in the table. Not all strengths are drawn." in picture.description
    assert picture.data.num_rows == len(single) + len(composed)


def test_the_critical_layer_is_where_the_accuracies_part_for_good() -> None:
    def curve(late: float, start: int) -> list[dict[str, Any]]:
        return [layer_row("c", at, late if at >= start else 0.6, n=100) for at in range(1, N_LAYERS + 1)]

    assert (
        critical_layer(curve(0.8, 10), curve(0.35, 20)) == 20  # .2 apart from layer 10 on, .45 at last
    )  # .2 apart from layer 10 on is half of the final .4 - dust
    assert critical_layer(curve(0.8, 12), curve(0.6, 1)) == 12
    assert critical_layer(curve(0.65, 10), curve(0.6, 20)) is None  # the last intervals overlap
    assert critical_layer([], curve(0.4, 20)) is None


def test_layers_are_told_in_words(tmp_path: Path) -> None:
    picture = one(tmp_path, full_rows(), "layers")
    assert "correct demonstrations 79% at the last layer" in picture.description
    assert "(69.5% at layer 21, its best)" in picture.description
    assert "From layer 24 on" in picture.description
    assert "critical layer" in texts(picture)
    assert set(picture.data["condition"].to_pylist()) == {"zero-shot", "correct", "cyclic:1"}


def test_answers_early_in_full_and_by_zero_shot_sum_to_all(tmp_path: Path) -> None:
    picture = one(tmp_path, full_rows(), "exits")
    shares: dict[str, float] = {}
    for row in picture.data.to_pylist():
        shares[row["condition"]] = shares.get(row["condition"], 0) + row["share"]
    assert list(shares.values()) == pytest.approx([1.0, 1.0, 1.0])
    assert "the mixture: 61.8% early, 0.2% in full, 38% zero-shot" in picture.description
    assert "38%" in texts(picture)


def test_splits_above_epsilon_are_counted(tmp_path: Path) -> None:
    rows = dict(full_rows())
    risks = [0.06] * 4 + [0.05] * 3 + [0.01] * 43
    rows["splits"] = [
        {"split": number, "epsilon": 0.05, "lambda": 0.5, "certified": number <= 40, "risk_test": risk, "n_test": 60}
        for number, risk in enumerate(risks, 1)
    ]
    picture = one(tmp_path, rows, "splits")
    assert "4 of 50 splits above epsilon, 80% certified" in picture.description
    mean = 100 * float(np.mean(risks))
    assert f"mean test risk +{mean:.1f}, 90% quantile +5.0" in picture.description
    assert "does not prove the guarantee" in picture.description


def test_the_worst_demonstration_stands_first(tmp_path: Path) -> None:
    rows = dict(full_rows())
    picture = one(tmp_path, rows, "influence")
    assert picture.data.num_rows == 40
    labels = [text.get_text() for text in picture.figure.axes[0].get_yticklabels()]
    worst = min(rows["influence"], key=lambda row: row["influence"])
    assert labels[0].startswith(worst["text"][:30])
    assert labels[0].endswith("→ positive (corrupted)")
    assert "The 24 of 40 demonstrations that hurt or help most" in picture.description
    assert "16 more between" in "".join(texts(picture))
    few = one(tmp_path, {"influence": rows["influence"][:1]}, "influence")
    assert few.description.startswith("The only demonstration: ")
    assert "more between" not in "".join(texts(few))


def test_the_head_that_looks_most_is_named(tmp_path: Path) -> None:
    rows = dict(full_rows())
    rows["attention"] = [
        row | {"mass": 0.9 if (row["layer"], row["head"], row["span"]) == (28, 4, "corrupted") else 0.1}
        for row in rows["attention"]
    ]
    picture = one(tmp_path, rows, "attention")
    assert "Corrupted demonstrations: mean 10.3%, most 90% at layer 28, head 4" in picture.description
    none = [row | {"condition": "other:1"} for row in rows["attention"]]
    assert drawn(tmp_path, {"attention": none}) == {}


def test_measured_times_stand_beside_layer_passes(tmp_path: Path) -> None:
    rows = dict(full_rows())
    picture = one(tmp_path, rows, "cost")
    assert "0.53 at 50% depth, 0.69 at 66.7% depth and 0.85 at 83.3% depth" in picture.description
    assert "measured time" in texts(picture)
    del rows["timing"]
    without = one(tmp_path / "without", rows, "cost")
    assert "a zero-shot prompt is shorter" in without.description
