"""Annotations: the table that is saved, one tone from several raters, agreement, confusion."""

from collections.abc import Sequence
from pathlib import Path
from statistics import median_low

import krippendorff
import numpy as np
import pytest
from auditor.audits import InputFile, parity
from auditor.audits.memory import MemoryContext
from auditor.audits.parity import inputs
from auditor.audits.parity.annotation import (
    UNSURE,
    Annotations,
    Rule,
    agreement,
    consensus,
    from_rows,
)
from auditor.audits.parity.annotation_file import as_it_was, defused, write
from auditor.audits.parity.data import MISSING, Scale
from auditor.audits.parity.tones import LEVELS, TITLES, scale_of, swatch
from auditor.errors import InputError
from hypothesis import given, settings
from hypothesis import strategies as st

MONK = Scale("ordinal", LEVELS["monk"])


def table(*items: Sequence[int | None], scale: Scale = MONK) -> Annotations:
    """Items by raters as Monk tones; 0 is "uncertain", None is nothing said."""
    said = [
        (f"i{place}", f"r{rater}", UNSURE if tone == 0 else tone - 1)
        for place, tones in enumerate(items)
        for rater, tone in enumerate(tones)
        if tone is not None
    ]
    return from_rows(said, scale)


def tones(annotations: Annotations, rule: Rule, expert: str = "") -> list[int | None]:
    return [None if level == MISSING else int(level) + 1 for level in consensus(annotations, rule, expert=expert).level]


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=8), st.sampled_from(["", "=", "'", "'=", "-", "\t"]))
def test_ids_and_names_come_back_as_they_were(text: str, first: str) -> None:
    cell = defused(first + text)
    assert as_it_was(cell) == first + text
    assert not cell.startswith(("=", "+", "-", "@", "\t", "\r"))


def test_a_cell_that_is_a_formula_cannot_act_in_a_spreadsheet() -> None:
    text = write([{"item_id": "=HYPERLINK(1)", "rater": "@Ada", "value": "5", "source": "by eye"}])
    assert text.splitlines() == ["item_id,rater,value,source,ita_degrees", "'=HYPERLINK(1),'@Ada,5,by eye,"]


def _measured(tmp_path: Path, changed: dict[int, dict[str, object]]) -> dict[str, InputFile]:
    """24 queries of five results; each item was measured at the desk, and Ada confirmed it."""
    generator = np.random.default_rng(2)
    results, said = ["query_id,item_id,rank,query_group"], []
    for i in range(120):
        results.append(f"q{i // 5},i{i},{i % 5 + 1},{'ab'[i // 5 % 2]}")
        degrees = float(generator.normal(-20 if i // 5 % 2 else 30, 10))
        row = {
            "item_id": f"i{i}",
            "rater": "Ada",
            "value": "5",
            "source": "measurement confirmed",
            "ita_degrees": degrees,
        }
        said.append({**row, **changed.get(i, {})})
    said += [{**row, "rater": "Ben", "ita_degrees": row["ita_degrees"] + 2} for row in said[:10]]
    (tmp_path / "results.csv").write_text("\n".join(results))
    (tmp_path / "said.csv").write_text(write(said))
    return {
        role: InputFile(tmp_path / name, name, "")
        for role, name in (("results", "results.csv"), ("annotations", "said.csv"))
    }


def test_measurements_that_were_confirmed_make_a_run_in_degrees(tmp_path: Path) -> None:
    # A tone that was seen beside a measurement does not confirm it: nothing is written of its degrees.
    files = _measured(tmp_path, {20: {"source": "by eye"}, 21: {"value": "uncertain", "source": "by eye"}})
    spec = parity.Spec(attribute="tone", scale="ita", permutations=99)
    results = inputs.read(files, spec)
    attribute = results.attributes["tone"]
    assert attribute.scale.kind == "ita"
    assert attribute.value is not None
    assert np.flatnonzero(np.isnan(attribute.value)).tolist() == [20, 21]
    written = {row.split(",")[0]: row.split(",") for row in (tmp_path / "said.csv").read_text().splitlines()[1:121]}
    assert attribute.value[3] == pytest.approx(float(written["i3"][4]) + 1)  # the median of Ada's and Ben's
    assert attribute.value[50] == pytest.approx(float(written["i50"][4]))
    (caution,) = [caution for caution in results.cautions if caution.code == "degrees-measured"]
    assert caution.count == 128
    assert "Judgements with a tone only: 2" in caution.message
    findings = parity.run(spec, files, MemoryContext(seed=1))
    assert findings.primary_effect.unit == "degrees"
    assert abs(findings.primary_effect.value) == pytest.approx(50, abs=6)
    assert findings.state == "disparity detected"
    assert findings.raters is not None
    assert "median of those that raters confirmed" in findings.raters.rule
    assert next(row.name for row in findings.sensitivity if row.kind == "rater") == "labels of Ada alone"
    # The same file serves a run on tones.
    on_tones = inputs.read(files, parity.Spec(attribute="tone", scale="ordinal"))
    assert on_tones.attributes["tone"].value is None


def test_degrees_that_nobody_confirmed_or_that_are_none_are_not_taken(tmp_path: Path) -> None:
    files = _measured(tmp_path, {})
    spec = parity.Spec(attribute="tone", scale="ita")
    text = files["annotations"].path.read_text()
    files["annotations"].path.write_text(text.replace("i7,Ada,5,measurement confirmed", "i7,Ada,5,proposed"))
    results = inputs.read(files, spec)
    (caution,) = [caution for caution in results.cautions if caution.code == "degrees-unconfirmed"]
    assert caution.count == 1
    files["annotations"].path.write_text(text.replace("measurement confirmed", "by eye"))
    results = inputs.read(files, spec)
    assert results.attributes["tone"].value is None
    assert {"degrees-none", "degrees-unconfirmed"} <= {caution.code for caution in results.cautions}
    lines = text.splitlines()
    lines[5] = lines[5].rsplit(",", 1)[0] + ",95"
    files["annotations"].path.write_text("\n".join(lines))
    with pytest.raises(InputError, match="between -90 and 90") as refused:
        inputs.read(files, spec)
    assert "row 6" in str(refused.value)
    assert "ita_degrees" in str(refused.value)


def test_the_median_is_the_lower_one_of_two_and_uncertain_is_no_tone() -> None:
    annotations = table((3, 4, 9), (3, 4), (3, 5), (0, 6), (0, 0, 6), (0, 0), (None, 2))
    assert tones(annotations, "median") == [4, 3, 3, 6, None, None, 2]
    found = consensus(annotations, "median")
    assert (found.n_tied, found.n_uncertain, found.uncertain_given) == (2, 2, 5)
    assert [(caution.code, caution.count) for caution in found.cautions()] == [
        ("annotations_uncertain", 5),
        ("annotations_tied", 2),
    ]
    assert "lower one of two" in found.method


def test_a_majority_is_more_than_half_of_the_raters() -> None:
    annotations = table((3, 3, 9), (3, 4), (3, 3, 4, 4), (0, 6), (6, 6, 0), (0, 0, 6), (2, 3, 4))
    assert tones(annotations, "majority") == [3, None, None, None, 6, None, None]
    assert consensus(annotations, "majority").n_tied == 4


def test_names_without_an_order_have_no_median() -> None:
    names = Scale("nominal", ("a", "b", "c"))
    assert tones(table((1, 3, 3), (1, 2), scale=names), "median") == [3, None]


def test_the_expert_counts_where_there_is_one() -> None:
    annotations = table((3, 4, 9), (None, 4, 6), (0, 4, 4), (7, None, None))
    assert tones(annotations, "expert", "r0") == [3, 4, None, 7]
    found = consensus(annotations, "expert", expert="r0")
    assert (found.n_not_by_expert, found.n_uncertain) == (1, 1)
    assert tones(annotations, "expert", "r2") == [9, 6, 4, 7]
    with pytest.raises(
        InputError, match=r"none of the raters \(found 'r22'\). Raters are: 'r0', 'r1', 'r2'. Did you mean 'r2'\?"
    ):
        consensus(annotations, "expert", expert="r22")


@settings(max_examples=100, deadline=None)
@given(st.lists(st.lists(st.sampled_from([None, *range(11)]), min_size=1, max_size=5), min_size=1, max_size=6))
def test_the_median_is_that_of_the_standard_library(items: list[list[int | None]]) -> None:
    padded = [(*row, *[None] * (5 - len(row))) for row in items]
    annotations = table(*padded)
    found = dict(zip(annotations.item_ids, tones(annotations, "median"), strict=True))
    for place, row in enumerate(items):
        sure = [tone for tone in row if tone]
        expected = median_low(sure) if sure and row.count(0) <= len(sure) else None
        assert found.get(f"i{place}") == expected


def test_items_of_the_results_get_their_annotations_and_strangers_are_counted() -> None:
    annotations = table((3, 4), (5, None), (0, 7)).aligned(["x", "i2", "i0"])
    assert annotations.said.tolist() == [[MISSING, UNSURE, 2], [MISSING, 6, 3]]
    assert [(caution.code, caution.count) for caution in annotations.cautions] == [("annotations_unknown_item", 1)]
    by_rater = annotations.attributes("tone")
    assert by_rater["r0"].level.tolist() == [MISSING, MISSING, 2]
    assert by_rater["r1"].level.tolist() == [MISSING, 6, 3]


def krippendorffs_example() -> Annotations:
    """His data [1], section C; no rating is nothing said."""
    rows = ["123321412...", "12332241 25.3".replace(" ", ""), ".3332342251.", "12332441251."]
    columns = [[None if row[unit] == "." else int(row[unit]) for row in rows] for unit in range(12)]
    return table(*columns, scale=Scale("ordinal", ("1", "2", "3", "4", "5")))


def test_alpha_of_krippendorffs_example_with_an_interval_over_items() -> None:
    annotations = krippendorffs_example()
    found = agreement(annotations, seed=1)
    assert found.alpha == pytest.approx(0.815, abs=5e-4)
    assert found.low is not None
    assert found.high is not None
    assert found.low < 0.815 < found.high
    assert (found.n_items, found.n_raters) == (11, 4)
    assert found == agreement(annotations, seed=1)
    assert found.sentence.startswith("Krippendorff's alpha 0.82 (95% CI ")
    assert found.sentence.endswith("4 raters, 11 items with at least two tones.")
    nominal = Annotations(annotations.raters, annotations.item_ids, Scale("nominal", MONK.levels), annotations.said)
    assert agreement(nominal, seed=1).alpha == pytest.approx(0.743, abs=5e-4)


def test_uncertain_takes_no_part_in_alpha_and_is_counted() -> None:
    generator = np.random.default_rng(5)
    truth = generator.integers(2, 10, 40)
    ratings = np.clip(truth + generator.integers(-1, 2, (3, 40)), 1, 10)
    said = [[0 if generator.random() < 0.2 else int(value) for value in column] for column in ratings.T]
    found = agreement(table(*said), seed=1, n_resamples=200)
    data = np.array(said, dtype=float).T
    theirs = krippendorff.alpha(reliability_data=np.where(data == 0, np.nan, data), level_of_measurement="ordinal")
    assert found.alpha == pytest.approx(theirs, abs=1e-9)
    assert found.n_uncertain == sum(row.count(0) for row in said) > 0


def test_alpha_is_undefined_with_one_rater_and_has_no_interval_with_few_items() -> None:
    alone = agreement(table((3,), (4,)), seed=1)
    assert (alone.alpha, alone.low, alone.n_items) == (None, None, 0)
    assert "no item has tones of two raters yet" in alone.sentence
    same = agreement(table(*[(3, 3)] * 12), seed=1)
    assert same.alpha is None
    assert "every tone is the same" in same.sentence
    few = agreement(table((3, 3), (4, 5), (9, 9)), seed=1)
    assert few.alpha is not None
    assert few.low is None
    assert agreement(from_rows([], MONK), seed=1).alpha is None


def test_both_scales_have_a_colour_for_each_tone() -> None:
    assert set(TITLES) == set(LEVELS)
    for scale, levels in LEVELS.items():
        colours = [swatch(scale, value) for value in levels]
        assert len(set(colours)) == len(levels)
        assert scale_of(levels) == scale
        assert swatch(scale, "uncertain") is None
    assert scale_of(("light", "dark")) is None
