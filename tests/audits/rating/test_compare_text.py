"""What is said of a comparison of two runs."""

from typing import Any

from auditor.audits.rating.agreement import Estimate
from auditor.audits.rating.compare import AgainstPeople, AxisComparison, Measured, PairComparison
from auditor.audits.rating.compare_text import against_people, differences, headline

_NONE = Estimate(value=None)


def axis(title: str, value: float | None, low: float | None, high: float | None, **more: Any) -> AxisComparison:
    fields: dict[str, Any] = {
        "name": title.lower(),
        "title": title,
        "n": 24,
        "groups": 6,
        "resamples": 2000,
        "mean_a": 2.971,
        "mean_b": 3.414,
        "difference": Estimate(value=value, low=low, high=high),
        "wins": 1,
        "ties": 7,
        "losses": 16,
        "spearman": Estimate(value=0.87),
        "same": Estimate(value=0.29),
    }
    return AxisComparison(**fields | more)


def pair(*axes: AxisComparison) -> PairComparison:
    return PairComparison(a="A", b="B", matched_by="row", n=24, differs=(), axes=axes)


def test_a_clear_difference_is_told_in_the_direction_of_its_interval() -> None:
    said = headline(pair(axis("Naturalness", -0.42, -0.63, -0.21)), 0.95)
    assert said == "B rates naturalness 0.42 higher than A (95% CI 0.21 to 0.63), on 24 conversations."
    said = headline(pair(axis("Naturalness", 0.42, 0.21, 0.63)), 0.9)
    assert said == "B rates naturalness 0.42 lower than A (90% CI 0.21 to 0.63), on 24 conversations."


def test_what_is_not_clear_is_told_apart() -> None:
    said = headline(pair(axis("Naturalness", -0.42, -0.63, -0.21), axis("On topic", 0.02, -0.1, 0.14)), 0.95)
    assert said == (
        "B rates naturalness 0.42 higher than A (95% CI 0.21 to 0.63), on 24 conversations; "
        "no clear difference: on topic (0.02 lower, 95% CI −0.10 to 0.14)."
    )
    said = headline(pair(axis("On topic", -0.02, -0.14, 0.1)), 0.95)
    assert said == (
        "No clear difference between B and A on 24 conversations: on topic (0.02 higher, 95% CI −0.10 to 0.14)."
    )


def test_without_an_interval_nothing_is_clear() -> None:
    said = headline(pair(axis("On topic", -0.5, None, None)), 0.95)
    assert said == "No clear difference between B and A on 24 conversations: on topic (0.50 higher, no interval)."


def test_the_same_scores_are_not_called_lower() -> None:
    assert "0.00 higher" in headline(pair(axis("On topic", 1e-9, -0.1, 0.1)), 0.95)


def test_the_table_by_axis_holds_what_was_computed() -> None:
    cells = differences(pair(axis("Naturalness", -0.4431, -0.601, -0.2)), 0.95)
    told = {title.replace("\n", " "): cell for (title, _about), cell in zip(cells.columns, cells.rows[0], strict=True)}
    assert told == {
        "Axis": "Naturalness",
        "Units": "24",
        "Mean A": "2.97",
        "Mean B": "3.41",
        "A less B (95% CI)": "−0.44 (−0.60 to −0.20)",
        "A higher": "1",
        "Equal": "7",
        "B higher": "16",
    }


def test_people_are_told_of_only_where_they_rated() -> None:
    assert against_people(pair(axis("Naturalness", -0.4, -0.6, -0.2)), 0.95) is None
    error = Measured(a=Estimate(value=0.5), b=Estimate(value=0.7), difference=Estimate(value=-0.2, low=-0.4, high=0.1))
    nothing = Measured(a=_NONE, b=_NONE, difference=_NONE)
    people = AgainstPeople(
        n=12,
        groups=6,
        mae=error,
        exact=nothing,
        within1=nothing,
        spearman=nothing,
        both_right=3,
        a_right=5,
        b_right=2,
        both_wrong=2,
        mcnemar_p=0.4531,
    )
    cells = against_people(pair(axis("Naturalness", -0.4, -0.6, -0.2, people=people), axis("B", 0, -1, 1)), 0.95)
    assert cells is not None
    assert cells.rows == (("Naturalness", "12", "0.50", "0.70", "−0.20 (−0.40 to +0.10)", "5", "2", "0.453"),)
    assert len(cells.columns) == len(cells.rows[0])
    for p, said in ((0.00001, "<0.001"), (0.00049, "<0.001"), (0.0005, "0.001"), (1.0, "1.000")):
        small = people.model_copy(update={"mcnemar_p": p})
        cells = against_people(pair(axis("Naturalness", -0.4, -0.6, -0.2, people=small)), 0.95)
        assert cells is not None
        assert cells.rows[0][-1] == said


def test_what_is_not_defined_is_a_dash() -> None:
    nothing = Measured(a=_NONE, b=_NONE, difference=_NONE)
    people = AgainstPeople(
        n=12,
        groups=6,
        mae=nothing,
        exact=nothing,
        within1=nothing,
        spearman=nothing,
        both_right=None,
        a_right=None,
        b_right=None,
        both_wrong=None,
        mcnemar_p=None,
    )
    cells = against_people(pair(axis("Naturalness", -0.4, -0.6, -0.2, people=people)), 0.95)
    assert cells is not None
    assert set(cells.rows[0][2:]) == {"–"}
