"""A comparison of two runs in words and in figures as people read them; they are A and B, as in its table."""

from auditor.audits.comparison import SmallTable, p_cell
from auditor.audits.rating.agreement import Estimate
from auditor.audits.rating.certificate import percent
from auditor.audits.rating.compare import AgainstPeople, AxisComparison, PairComparison


def headline(pair: PairComparison, confidence: float) -> str:
    """What a person would say first: where B rates higher or lower than A, and where nothing is clear.

    A difference is called clear where its interval leaves out 0, each axis by itself.
    """
    clear = [axis for axis in pair.axes if _is_clear(axis.difference)]
    rest = [axis for axis in pair.axes if axis not in clear]
    on = f"on {pair.n:,} conversations"
    said = []
    if clear:
        told = [
            f"{_title(axis)} {_apart(axis.difference)}{' than A' if axis is clear[0] else ''} "
            f"({_around(axis.difference, confidence)})"
            for axis in clear
        ]
        said.append(f"B rates {_listed(told)}, {on}")
    if rest:
        told = [f"{_title(axis)} ({_apart(axis.difference)}, {_around(axis.difference, confidence)})" for axis in rest]
        if clear:
            said.append(f"no clear difference: {_listed(told)}")
        else:
            said.append(f"No clear difference between B and A {on}: {_listed(told)}")
    return "; ".join(said) + "."


def _title(axis: AxisComparison) -> str:
    return axis.title.lower()


def _listed(items: list[str]) -> str:
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}"


def _is_clear(difference: Estimate) -> bool:
    return difference.low is not None and difference.high is not None and not difference.low <= 0 <= difference.high


def _is_higher(a_less_b: Estimate) -> bool:
    """Whether B is said to be higher; a difference that reads 0.00 must not be called lower for its last digits."""
    return a_less_b.value is not None and round(a_less_b.value, 2) <= 0


def _apart(a_less_b: Estimate) -> str:
    if a_less_b.value is None:
        return "not defined"
    return f"{abs(a_less_b.value):.2f} {'higher' if _is_higher(a_less_b) else 'lower'}"


def _around(a_less_b: Estimate, confidence: float) -> str:
    """The interval, in the direction of the words beside it."""
    if a_less_b.low is None or a_less_b.high is None:
        return "no interval"
    low, high = (-a_less_b.high, -a_less_b.low) if _is_higher(a_less_b) else (a_less_b.low, a_less_b.high)
    return f"{percent(confidence)} CI {_number(low)} to {_number(high)}"


def differences(pair: PairComparison, confidence: float) -> SmallTable:
    """Both judges by axis: means, A less B with its interval, who is higher how often."""
    columns = (
        ("Axis", "Axis of the rubric."),
        ("Units", "Conversations that both runs rated on this axis."),
        ("Mean\nA", "Mean expected score of A, from 1 to 5."),
        ("Mean\nB", "Mean expected score of B, from 1 to 5."),
        (
            f"A less B\n({percent(confidence)} CI)",
            "Mean difference of expected scores; interval by a bootstrap over contexts.",
        ),
        ("A\nhigher", "Units whose most probable score is higher with A."),
        ("Equal", "Units with the same most probable score."),
        ("B\nhigher", "Units whose most probable score is higher with B."),
    )
    rows = tuple(
        (
            axis.title,
            f"{axis.n:,}",
            f"{axis.mean_a:.2f}",
            f"{axis.mean_b:.2f}",
            _with_interval(axis.difference),
            f"{axis.wins:,}",
            f"{axis.ties:,}",
            f"{axis.losses:,}",
        )
        for axis in pair.axes
    )
    return SmallTable("Scores of both judges", columns, rows)


def against_people(pair: PairComparison, confidence: float) -> SmallTable | None:
    """Both judges against people's labels by axis; None where nobody rated."""
    rated = [(axis.title, axis.people) for axis in pair.axes if axis.people is not None]
    if not rated:
        return None
    label = "the people's label (their mean, rounded half up)"
    columns = (
        ("Axis", "Axis of the rubric."),
        ("Rated", "Units that people rated."),
        ("Error\nA", "Mean absolute difference of A's expected score and the people's mean."),
        ("Error\nB", "Mean absolute difference of B's expected score and the people's mean."),
        (
            f"A less B\n({percent(confidence)} CI)",
            "Difference of the two errors; interval by a bootstrap over contexts.",
        ),
        ("Only A\nright", f"Units on which A's most probable score is {label} and B's is not."),
        ("Only B\nright", f"Units on which B's most probable score is {label} and A's is not."),
        (
            "p\n(exact)",
            "Exact McNemar test of the two counts of units on which one judge alone is right; ignores contexts.",
        ),
    )
    rows = tuple(_people_row(title, people) for title, people in rated)
    return SmallTable("Both judges against people", columns, rows)


def _people_row(title: str, people: AgainstPeople) -> tuple[str, ...]:
    return (
        title,
        f"{people.n:,}",
        _value(people.mae.a),
        _value(people.mae.b),
        _with_interval(people.mae.difference),
        *("–" if count is None else f"{count:,}" for count in (people.a_right, people.b_right)),
        p_cell(people.mcnemar_p),
    )


def _number(value: float, sign: str = "") -> str:
    """Two decimals with a real minus, and no minus before zero."""
    text = f"{round(value, 2) + 0.0:{sign}.2f}"
    return text.replace("-", "−")


def _value(estimate: Estimate, sign: str = "") -> str:
    return "–" if estimate.value is None else _number(estimate.value, sign)


def _with_interval(estimate: Estimate) -> str:
    if estimate.low is None or estimate.high is None:
        return _value(estimate, "+")
    return f"{_value(estimate, '+')} ({_number(estimate.low, '+')} to {_number(estimate.high, '+')})"
