"""A comparison of two guard runs in words and in figures as people read them; they are A and B, as in its table."""

from auditor.audits.comparison import SmallTable, p_cell
from auditor.audits.guard.compare import Comparison, Estimate, PairComparison
from auditor.audits.guard.words import condition_words, interval, listed, percent, points, threshold

#: Clear differences that the first sentence names; with more of them, these many of the largest.
_MOST_NAMED = 4


def headline(pair: PairComparison) -> str:
    """What a person would say first: where A and B clearly differ, the largest differences first."""
    clear = [measured for measured in pair.measures if measured.name != "risk" and measured.difference.is_clear]
    if len(clear) <= _MOST_NAMED:
        return pair.sentence
    clear.sort(key=lambda measured: -abs(measured.difference.value))
    told = [f"{measured.title} {_signed(measured.difference)}" for measured in clear[:_MOST_NAMED]]
    rest = len(clear) - _MOST_NAMED
    told.append(f"{rest:,} more {'accuracy' if rest == 1 else 'accuracies'} in the table")
    return f"{pair.a} less {pair.b} on {pair.n:,} test queries, in percentage points: {listed(told)}."


def ground(pair: PairComparison, found: Comparison) -> str:
    """What is not the same in both runs, at which thresholds the guards stand, and what the intervals rest on."""
    apart = f"They differ in {listed(pair.differs)}" if pair.differs else "They differ in nothing that was set"
    a, b = (
        f"{text}{' (zero-shot)' if value >= 1 else ''}"
        for value, text in zip(pair.lambdas, thresholds(pair), strict=True)
    )
    return (
        f"{apart}. The guard of {pair.a} stands at lambda {a}, that of {pair.b} at {b}. {percent(found.confidence)} intervals "
        f"by a bootstrap over {drawn(pair)}, each figure by itself, seed {found.seed}."
    )


def thresholds(pair: PairComparison) -> tuple[str, str]:
    """Lambda of A and of B, with as many digits as each one's grid has."""
    (a, b), (step_a, step_b) = pair.lambdas, pair.lambda_steps
    return threshold(a, step_a), threshold(b, step_b)


def drawn(pair: PairComparison) -> str:
    """What the bootstrap draws: groups of test queries, or the queries where each stands for itself."""
    return f"{pair.n:,} test queries" if pair.groups == pair.n else f"{pair.groups:,} groups of test queries"


def unguarded(pair: PairComparison, confidence: float) -> SmallTable:
    """Accuracy of both zero-shot and with demonstrations, without a guard."""
    return _accuracies("Accuracy without a guard", pair, ("zero_shot", "unguarded"), confidence)


def guarded(pair: PairComparison, confidence: float) -> SmallTable:
    """Accuracy of both with demonstrations and their guards."""
    return _accuracies("Accuracy with the guard", pair, ("guarded",), confidence)


def _accuracies(title: str, pair: PairComparison, names: tuple[str, ...], confidence: float) -> SmallTable:
    """A row for each condition, with A less B and who alone is right how often."""
    columns = (
        ("Accuracy, %", "Share of the test queries that are right, by the demonstrations in the prompt."),
        ("\nA", "Accuracy of A, percent."),
        ("\nB", "Accuracy of B, percent."),
        *_difference_column(confidence),
        ("Right alone\nA : B", "Test queries that A alone, and that B alone, answers rightly."),
        ("p\n(exact)", "Exact McNemar test of these two counts; ignores groups."),
    )
    rows = tuple(
        (
            _sentence_case(condition_words(measured.condition)),
            _share(measured.a),
            _share(measured.b),
            _marked(measured.difference),
            f"{measured.only_a or 0:,} : {measured.only_b or 0:,}",
            p_cell(measured.mcnemar_p),
        )
        for measured in pair.measures
        if measured.name in names
    )
    return SmallTable(title, columns, rows)


def risks(pair: PairComparison, confidence: float) -> SmallTable:
    """What each guard loses against its own zero-shot, with A less B."""
    columns = (
        ("Guarded risk, points", "Zero-shot accuracy less guarded accuracy of the same run; negative where it gains."),
        ("\nA", "Of A, percentage points."),
        ("\nB", "Of B, percentage points."),
        *_difference_column(confidence),
    )
    rows = tuple(
        (
            _sentence_case(condition_words(measured.condition)),
            points(measured.a.value),
            points(measured.b.value),
            _marked(measured.difference),
        )
        for measured in pair.measures
        if measured.name == "risk"
    )
    return SmallTable("Risk against zero-shot", columns, rows)


def _difference_column(confidence: float) -> tuple[tuple[str, str]]:
    about = "A less B in percentage points, with its interval. ▲ and ▼ mark those whose interval leaves out 0, each by itself."
    return ((f"A less B, points\n({percent(confidence)} CI)", about),)


def _sentence_case(words: str) -> str:
    return words[:1].upper() + words[1:]


def _share(estimate: Estimate) -> str:
    return points(estimate.value, signed=False)


def _signed(estimate: Estimate) -> str:
    return f"{points(estimate.value)}{interval(estimate.low, estimate.high)}"


def _marked(estimate: Estimate) -> str:
    mark = ("▲ " if estimate.value > 0 else "▼ ") if estimate.is_clear else ""
    return mark + _signed(estimate)
