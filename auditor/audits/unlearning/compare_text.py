"""A comparison of two unlearning runs in words and in figures as people read them; they are A and B, as in its table."""

from collections.abc import Sequence

from auditor.audits.comparison import SmallTable
from auditor.audits.unlearning.compare import Comparison, Outcome, PairComparison
from auditor.audits.unlearning.compare_measures import LEAST_CLEAR, ComparedMeasure, Estimate, Group, Unit
from auditor.audits.unlearning.compare_settings import setting_words
from auditor.audits.unlearning.words import counted, nats_apart, percent

#: What the first sentence tells: how much was forgotten, and at which retention.
_FIRST = (("forget_answer_probability", "to forget"), ("retain_answer_probability", "to keep"))
_ALIKE = "no clear difference"
_MOST_DIGITS = 4


def headline(pair: PairComparison) -> str:
    """What a person would say first: how probable answers to forget are in both, and answers to keep."""
    told, shown = [], [(pair.measure(name), words) for name, words in _FIRST]
    for one, words in shown:
        is_alike = not one.is_clear and one.n_different >= LEAST_CLEAR
        apart = f"{_signed(one)}, {_ALIKE}" if is_alike else _signed(one)
        told.append(
            f"{counted(one.n, 'answer', 'answers')} {words}: {value_words(one.a.value, one.unit)} a token in A, "
            f"{value_words(one.b.value, one.unit)} in B; A less B {apart}."
        )
    if any(one.n_different < LEAST_CLEAR for one, _ in shown):
        told.append(f"With fewer than {LEAST_CLEAR} different examples nothing is called clear.")
    return " ".join(told)


def clear(pair: PairComparison) -> str:
    """Every figure that differs clearly, in a sentence."""
    found = [one for one in pair.measures if one.is_clear]
    if not found and all(one.n_different < LEAST_CLEAR for one in pair.measures):
        return f"No figure rests on {LEAST_CLEAR} different examples or more: none is called different."
    if not found:
        return "No figure differs clearly between A and B."
    return f"A less B: {'; '.join(f'{one.title} {_signed(one)}' for one in found)}."


def ground(pair: PairComparison, found: Comparison) -> str:
    """What is not the same in both runs, what the intervals rest on, and what could not be compared."""
    names = pair.differs
    apart = f"They differ in {', '.join(names)}" if names else "They differ in nothing that is compared here"
    told = (
        f"{apart}. {percent(found.confidence)} intervals by a bootstrap over examples that both measured, each figure by itself, "
        f"seed {found.seed}."
    )
    if not any(one.group == "membership" for one in pair.measures):
        told += " Membership cannot be compared: it takes the same held-out examples in both runs."
    if any(one.n_files for one in pair.outcomes):
        told += " Figures are of the models; a verdict is also of the files that were written, which can be worse when quantised."
    return told


def forgotten(pair: PairComparison, confidence: float) -> SmallTable:
    """What is left of what was to be forgotten."""
    about = "Means over the examples to forget, and over a person's own probes; lower is more forgotten, but for the truth ratio."
    return _figures("What was to be forgotten", about, pair, "forget", confidence)


def kept(pair: PairComparison, confidence: float) -> SmallTable:
    """What was to be kept, and what the model never learnt."""
    about = (
        "Means over the examples to keep, of the loss over their answer tokens, and over examples that were held out."
    )
    return _figures("What was to be kept", about, pair, "keep", confidence)


def told_apart(pair: PairComparison, confidence: float) -> SmallTable | None:
    """Membership inference; None where the runs share no held-out examples."""
    if not any(one.group == "membership" for one in pair.measures):
        return None
    about = "Area of telling what was to be forgotten from what was held out: near .5 they cannot be told, near 0 or 1 they can."
    return _figures("Telling it from what was held out", about, pair, "membership", confidence)


def _figures(title: str, about: str, pair: PairComparison, group: Group, confidence: float) -> SmallTable:
    difference = (
        "A less B, of percentages in percentage points, with its interval. ▲ and ▼ mark those whose interval leaves out 0, each "
        f"by itself, where they rest on {LEAST_CLEAR} different examples or more."
    )
    columns = (
        ("Measure", about),
        ("\nStart", "Of the start model, on the same examples."),
        ("\nA", "Of A's model."),
        ("\nB", "Of B's model."),
        (f"A less B\n({percent(confidence)} CI)", difference),
        ("\nn", "Examples that both runs measured."),
    )
    rows = tuple(
        (
            one.title[:1].upper() + one.title[1:],
            "–" if one.start is None else value_words(one.start, one.unit),
            value_words(one.a.value, one.unit),
            value_words(one.b.value, one.unit),
            _marked(one),
            f"{one.n:,}",
        )
        for one in pair.measures
        if one.group == group
    )
    return SmallTable(title, columns, rows)


def outcomes(pair: PairComparison) -> SmallTable:
    """What each run says of itself, and what was not set alike."""
    columns = (("", "Of the run."), ("A", "The first run."), ("B", "The run beside it."))
    a, b = pair.outcomes
    rows = [
        ("Verdict", a.verdict, b.verdict),
        ("Retain loss and epsilon", *(_of_epsilon(one) for one in (a, b))),
        ("Kept step", *(f"{one.kept_step:,} of {one.steps:,}" for one in (a, b))),
        *(
            (setting.name[:1].upper() + setting.name[1:], setting_words(setting.a), setting_words(setting.b))
            for setting in pair.settings
        ),
    ]
    return SmallTable("Verdicts, and what was not set alike", columns, tuple(rows))


def _of_epsilon(one: Outcome) -> str:
    loss, epsilon = nats_apart(one.retain_loss, one.epsilon)
    return f"{loss} of {epsilon} nats"


def value_words(value: float, unit: Unit) -> str:
    """A share with a decimal at least, so that two of them show the difference that stands beside them."""
    if unit != "share":
        return f"{value:.3f}"
    return f"{100 * value:.1f}%" if 0.01 <= value <= 0.99 else percent(value)


def _marked(one: ComparedMeasure) -> str:
    mark = ("▲ " if one.difference.value > 0 else "▼ ") if one.is_clear else ""
    return mark + difference_words(one.difference, one.unit)


def _signed(one: ComparedMeasure) -> str:
    units = {"share": " points", "nats": " nats", "area": ""}[one.unit]
    value, _, bounds = difference_words(one.difference, one.unit).partition(" ")
    return f"{value}{units}{f' {bounds}' if bounds else ''}"


def difference_words(estimate: Estimate, unit: Unit) -> str:
    """A difference with its interval, "−4.1 (−6.0 to −2.2)", with as many digits as it takes to see that it is not 0."""
    scale = 100.0 if unit == "share" else 1.0
    value, *bounds = [scale * each for each in (estimate.value, estimate.low, estimate.high) if each is not None]
    digits = _digits([value, *bounds], 1 if unit == "share" else 3, leaves_out_0=estimate.leaves_out_0)
    first, *others = [_number(each, digits) for each in (value, *bounds)]
    return f"{first} ({' to '.join(others)})" if others else first


def _digits(values: Sequence[float], least: int, *, leaves_out_0: bool) -> int:
    """Digits after the point that show the largest of some numbers; of a clear difference the smallest."""
    sizes = [abs(value) for value in values if value]
    size = (min if leaves_out_0 else max)(sizes, default=1.0)
    digits = least
    while digits < _MOST_DIGITS and round(size, digits) == 0:
        digits += 1
    return digits


def _number(value: float, digits: int) -> str:
    """With a sign and a real minus; 0 has none. What would be rounded away is told in powers of ten."""
    rounded = round(value, digits)
    text = f"{value:+.0e}" if value and not rounded else f"{rounded:+.{digits}f}" if rounded else f"{0.0:.{digits}f}"
    return text.replace("-", "−")
