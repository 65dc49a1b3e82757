"""The verdict of an unlearning run in a sentence. What a reader must know beside it is in `auditor.audits.unlearning.cautions`.

The rule is ours, and stands in the settings: forgotten is a probability of the answers below a bound, asked as trained and in
other words, on average and for each of them, with none said whole, and in every file that was made of the model; kept is a
retain loss within epsilon and a probability of retained answers close to the start's. Probabilities are of the answers' own
tokens, without the one that ends them: a model that says an answer and goes on has not forgotten it. How near the model is to
one that never learnt (forget quality) takes no part: methods that flatten answers over-forget, and are further from it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from auditor.audits.findings import Verdict
from auditor.audits.unlearning.findings import ConstraintInfo, DataInfo, FileFigures, Relearning, State
from auditor.audits.unlearning.metrics.metric import Metric
from auditor.audits.unlearning.survivors import Survivors
from auditor.audits.unlearning.words import counted, nats_apart, percent, span
from auditor.models.starter import STARTER_WARNING

FileState = Literal["forgotten", "not forgotten", "inconclusive", "not measured"]
#: Metric -> how the answers were asked for. The first is what was trained; the others were never seen in training.
FORGOTTEN, RETAINED = "forget_answer_probability", "retain_answer_probability"
ASKED: Mapping[str, str] = {
    FORGOTTEN: "as trained",
    "probe_paraphrase_probability": "in other words",
    "probe_prefix_probability": "with a text before the question",
    "probe_chat_probability": "in a chat",
    "probes_probability": "by the probes",
}
#: Share of the probability before that a model has hardly known (ours).
_LEARNT = 0.5


@dataclass(frozen=True)
class Outcome:
    """What a verdict rests on.

    Attributes
    ----------
    before, after : mapping of str to Metric
    constraint : ConstraintInfo or None
        None where the run has learnt.
    most_probability, most_lost : float
        Bounds of the rule.
    is_starter : bool
    survivors : Survivors or None
        Answers that are still given; None where the run has learnt.
    data : DataInfo or None
        What the files hold.
    has_chat_template : bool
        Of the model.
    dtype : str
        What was computed in.
    files : tuple of FileFigures
        What every file says that was made of the model.
    relearning : tuple of Relearning
        Told beside the verdict, and no part of it.
    """

    before: Mapping[str, Metric]
    after: Mapping[str, Metric]
    constraint: ConstraintInfo | None
    most_probability: float
    most_lost: float
    is_starter: bool
    survivors: Survivors | None = None
    data: DataInfo | None = None
    has_chat_template: bool = False
    dtype: str = "float32"
    files: tuple[FileFigures, ...] = ()
    relearning: tuple[Relearning, ...] = ()

    def asked(self) -> list[str]:
        """Ways of asking that were measured, the trained one first."""
        return asked_in(self.after)

    def value(self, name: str) -> float | None:
        """A figure after; None where there is none."""
        metric = self.after.get(name)
        return None if metric is None else metric.value

    def measured(self) -> list[Metric]:
        """Probabilities of what is to be forgotten: in every way of asking, and the same in every file."""
        asked = [self.after[name] for name in self.asked()]
        return [*asked, *(metric for file in self.files for metric in in_ways(file).values())]


def verdict(outcome: Outcome) -> Verdict:
    """The outcome with its numbers."""
    state = state_of(outcome)
    sentence = _learnt_sentence(outcome, state) if outcome.constraint is None else _sentence(outcome, state)
    sentence += f" ({STARTER_WARNING})." if outcome.is_starter else "."
    return Verdict(state=state, sentence=sentence)


def asked_in(after: Mapping[str, Metric]) -> list[str]:
    """Ways of asking that have a figure, the trained one first."""
    return [name for name in ASKED if name in after and after[name].value is not None]


def state_of(outcome: Outcome) -> State:
    """Which of the states an outcome is."""
    if outcome.constraint is None:
        known = [found for name in (FORGOTTEN, RETAINED) if (found := outcome.value(name)) is not None]
        return "learnt" if known and min(known) >= _LEARNT else "not learnt"
    if _is_lost(outcome, outcome.constraint):
        return "retention lost"
    known_before = outcome.before[FORGOTTEN].value
    if known_before is None or not outcome.asked() or known_before <= outcome.most_probability:
        return "inconclusive"
    has_survivor = outcome.survivors is not None and outcome.survivors.either > 0
    if has_survivor or any(file.survivors for file in outcome.files):
        return "not forgotten"
    if max(map(_low, outcome.measured())) > outcome.most_probability:
        return "not forgotten"
    is_sure = outcome.constraint.feasible and not _without_interval(outcome) and not _unread(outcome)
    is_low = max(map(_high, outcome.measured())) <= outcome.most_probability
    return "forgotten by these measures" if is_sure and is_low else "inconclusive"


def _is_lost(outcome: Outcome, constraint: ConstraintInfo) -> bool:
    """Whether retention is worse than allowed. An epsilon below the start that is not reached yet has lost nothing."""
    is_above = not constraint.feasible and constraint.retain_loss_after > constraint.retain_loss_before
    # What quantising costs by itself is no failure of unlearning, and is told as a caution.
    whole = [kept(outcome, file.retain) for file in outcome.files if not file.is_quantised]
    return is_above or min([kept(outcome, outcome.after.get(RETAINED)), *whole]) < 1 - outcome.most_lost


def _without_interval(outcome: Outcome) -> bool:
    return any(metric.high is None for metric in outcome.measured())


def _unread(outcome: Outcome) -> list[FileFigures]:
    """Files that could not be measured, or not in every way in which the model was asked."""
    return [file for file in outcome.files if file.forget.value is None or ways_missing(outcome, file)]


def ways_missing(outcome: Outcome, file: FileFigures) -> list[str]:
    """Ways in which the model was asked and a file that was measured was not, such as a chat template that is lost in it."""
    known = in_ways(file)
    return [ASKED[name] for name in outcome.asked() if name not in known] if file.forget.value is not None else []


def kept(outcome: Outcome, after: Metric | None) -> float:
    """Share of the start's probability of retained answers that is left; 1 where it was not measured."""
    before = outcome.before.get(RETAINED)
    if before is None or after is None or not before.value or after.value is None:
        return 1.0
    return after.value / before.value


def in_ways(file: FileFigures) -> dict[str, Metric]:
    """What a file says of what is to be forgotten, by the way of asking (`ASKED`); empty where it could not be measured."""
    found = {FORGOTTEN: file.forget, **file.otherwise}
    return {name: metric for name, metric in found.items() if metric.value is not None}


def worst_way(file: FileFigures) -> str:
    """The way of asking that brings most back from a file that was measured; of two alike the less certain one."""
    ways = in_ways(file)
    return max(ways, key=lambda name: (ways[name].value or 0.0, _high(ways[name])))


def file_state(file: FileFigures, most_probability: float, asked: Sequence[str] = ()) -> FileState:
    """What a single file has forgotten, in whatever way it was asked.

    Parameters
    ----------
    asked : sequence of str
        Ways in which the model was asked (`Outcome.asked`): a file that was not asked in all of them is not known to have
        forgotten.
    """
    ways = in_ways(file).values()
    if not ways:
        return "not measured"
    if file.survivors or max(map(_low, ways)) > most_probability:
        return "not forgotten"
    is_low = all(metric.high is not None and _high(metric) <= most_probability for metric in ways)
    return "forgotten" if is_low and set(asked) <= in_ways(file).keys() else "inconclusive"


def _high(metric: Metric) -> float:
    return max(metric.value or 0.0, metric.high or 0.0)


def _low(metric: Metric) -> float:
    value = metric.value or 0.0
    return value if metric.low is None else min(value, metric.low)


def _sentence(outcome: Outcome, state: State) -> str:
    return f"{state[:1].upper()}{state[1:]}: {_why(outcome, state)}{_forgotten(outcome)}; {_retained(outcome)}"


def _why(outcome: Outcome, state: State) -> str:
    if state != "inconclusive":
        return ""
    known = outcome.before[FORGOTTEN].value
    if known is not None and known <= outcome.most_probability:
        return f"the model hardly knew the answers to begin with ({percent(known)}); "
    if outcome.constraint is not None and not outcome.constraint.feasible:
        return "the retain loss fell, but not to epsilon; "
    if _without_interval(outcome):
        return "a single example has no interval; "
    if unread := _unread(outcome):
        how = f" asked {' or '.join(missing)}" if (missing := ways_missing(outcome, unread[0])) else ""
        return f"{unread[0].name} could not be measured{how}; "
    return f"the interval of the probability reaches across {percent(outcome.most_probability)}; "


def _forgotten(outcome: Outcome) -> str:
    before, after = outcome.before[FORGOTTEN], outcome.after[FORGOTTEN]
    if before.value is None or after.value is None:
        return "the probability of the answers to forget could not be measured"
    told = (
        f"the probability of {counted(after.n, 'answer', 'answers')} to forget went from {percent(before.value)} to "
        f"{percent(after.value)} a token{span(after.low, after.high)}"
    )
    for name in outcome.asked()[1:]:
        other = outcome.after[name]
        told += f", {ASKED[name]} to {percent(other.value or 0.0)}{span(other.low, other.high)}"
    return told + _surviving(outcome) + _in_files(outcome)


def _surviving(outcome: Outcome) -> str:
    found = outcome.survivors
    if found is None:
        return ""
    bound = percent(outcome.most_probability)
    if not found.either:
        return f"; no answer is above {bound} or said whole in any way of asking"
    return (
        f"; {found.either:,} of {counted(found.n, 'answer', 'answers')} survived in some way of asking: {found.probable:,} above "
        f"{bound}, {found.said:,} said whole"
    )


def _in_files(outcome: Outcome) -> str:
    """What the files say that were made of the model: the worst, or every one in which it is not forgotten."""
    read = [file for file in outcome.files if file.forget.value is not None]
    if not read:
        return ""
    back = [file for file in read if file_state(file, outcome.most_probability) != "forgotten"]
    if not back:
        worst = max(read, key=lambda file: in_ways(file)[worst_way(file)].value or 0.0)
        way = worst_way(worst)
        value = in_ways(worst)[way].value or 0.0
        return f"; in the files made of the model it is {percent(value)} at most, in {worst.name}, asked {ASKED[way]}"
    told = [f"in {file.name} it is {in_file(file, outcome.most_probability)}" for file in back]
    return f"; {', '.join(told)}"


def in_file(file: FileFigures, most_probability: float) -> str:
    """The probability in a file in words, in the way of asking that may bring most back, and how many answers survive there.

    By the upper end of the interval, which is what forgetting is judged by.
    """
    ways = in_ways(file)
    way = max(ways, key=lambda name: _high(ways[name]))
    found = ways[way]
    return (
        f"{percent(found.value or 0.0)} a token asked {ASKED[way]}{span(found.low, found.high)}, with {file.survivors:,} of "
        f"{counted(file.n_asked, 'answer', 'answers')} above {percent(most_probability)} in some way"
    )


def _retained(outcome: Outcome) -> str:
    found = outcome.constraint
    assert found is not None
    before, after = outcome.before.get(RETAINED), outcome.after.get(RETAINED)
    kept = ""
    if before and after and before.value is not None and after.value is not None:
        kept = f"that of {after.n:,} to keep from {percent(before.value)} to {percent(after.value)}; "
    side = "within" if found.feasible else "above"
    loss, epsilon = nats_apart(found.retain_loss_after, found.epsilon)
    return f"{kept}retain loss {loss} nats, {side} epsilon {epsilon}"


def _learnt_sentence(outcome: Outcome, state: State) -> str:
    parts = []
    for name, what in ((FORGOTTEN, "to forget later"), (RETAINED, "to keep")):
        before, after = outcome.before.get(name), outcome.after.get(name)
        if before and after and before.value is not None and after.value is not None:
            parts.append(f"{after.n:,} answers {what} from {percent(before.value)} to {percent(after.value)}")
    return f"{state[:1].upper()}{state[1:]}: the probability a token went for {' and for '.join(parts)}"
