"""The verdict of an unlearning run in a sentence, and what a reader must know beside it.

The rule is ours, and stands in the settings: forgotten is a probability of the answers below a bound, asked as trained and in
other words, on average and for each of them, with none said whole; kept is a retain loss within epsilon and a probability of
retained answers close to the start's. Probabilities are of the answers' own tokens, without the one that ends them: a model that
says an answer and goes on has not forgotten it. How near the model is to one that never learnt (forget quality) takes no part:
methods that flatten answers over-forget, and are further from it.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from auditor.audits.findings import Caution, Verdict
from auditor.audits.unlearning.findings import ConstraintInfo, DataInfo, State, TrainingInfo
from auditor.audits.unlearning.metrics.metric import Metric
from auditor.audits.unlearning.survivors import Survivors
from auditor.audits.unlearning.words import counted, nats, nats_apart, percent, span
from auditor.models.starter import STARTER_WARNING

#: Metric -> how the answers were asked for. The first is what was trained; the others were never seen in training.
FORGOTTEN, RETAINED = "forget_answer_probability", "retain_answer_probability"
ASKED: Mapping[str, str] = {
    FORGOTTEN: "as trained",
    "probe_paraphrase_probability": "in other words",
    "probe_prefix_probability": "with a text before the question",
    "probes_probability": "by the probes",
}
#: What a model says once half of an answer is given: told, but no part of the rule.
_BEGUN = "probe_answer_start_probability"
#: An AUC as far below one half tells members as well as one above it (ours).
_FAR_FROM_HALF = 0.25
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

    def asked(self) -> list[str]:
        """Ways of asking that were measured, the trained one first."""
        return [name for name in ASKED if self.value(name) is not None]

    def value(self, name: str) -> float | None:
        """A figure after; None where there is none."""
        metric = self.after.get(name)
        return None if metric is None else metric.value

    def worst(self) -> str:
        """The way of asking that brings most back, by the upper end of its interval."""
        return max(self.asked(), key=lambda name: _high(self.after[name]))


def verdict(outcome: Outcome) -> Verdict:
    """The outcome with its numbers."""
    state = state_of(outcome)
    sentence = _learnt_sentence(outcome, state) if outcome.constraint is None else _sentence(outcome, state)
    sentence += f" ({STARTER_WARNING})." if outcome.is_starter else "."
    return Verdict(state=state, sentence=sentence)


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
    lows = [_low(outcome.after[name]) for name in outcome.asked()]
    if max(lows) > outcome.most_probability or (outcome.survivors is not None and outcome.survivors.either):
        return "not forgotten"
    is_sure = outcome.constraint.feasible and not _without_interval(outcome)
    is_low = _high(outcome.after[outcome.worst()]) <= outcome.most_probability
    return "forgotten by these measures" if is_sure and is_low else "inconclusive"


def _is_lost(outcome: Outcome, constraint: ConstraintInfo) -> bool:
    """Whether retention is worse than allowed. An epsilon below the start that is not reached yet has lost nothing."""
    is_above = not constraint.feasible and constraint.retain_loss_after > constraint.retain_loss_before
    return is_above or _kept(outcome) < 1 - outcome.most_lost


def _without_interval(outcome: Outcome) -> bool:
    return any(outcome.after[name].high is None for name in outcome.asked())


def _kept(outcome: Outcome) -> float:
    """Share of the probability of retained answers that is left; 1 where it was not measured."""
    before, after = outcome.before.get(RETAINED), outcome.after.get(RETAINED)
    if before is None or after is None or not before.value or after.value is None:
        return 1.0
    return after.value / before.value


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
    return told + _surviving(outcome)


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


# ---- what to know beside it


def cautions(outcome: Outcome, training: TrainingInfo, objective_warnings: Sequence[str]) -> list[Caution]:
    """Everything that a reader of the numbers must know, counted."""
    found = []
    if outcome.is_starter:
        n = outcome.after[FORGOTTEN].n
        found.append(Caution(code="starter", message=STARTER_WARNING, count=n))
    found += [Caution(code="lambda", message=message) for message in objective_warnings]
    if outcome.constraint is not None:
        found += [
            *_of_survivors(outcome),
            *_of_weights(outcome.constraint, training),
            *_of_asking(outcome),
            *_of_membership(outcome),
            *_of_measuring(outcome, outcome.constraint),
        ]
    return found


def _of_survivors(outcome: Outcome) -> Iterator[Caution]:
    found = outcome.survivors
    if found is not None and found.either:
        message = (
            f"Answers to forget that survived: {found.either:,} of {found.n:,}. Asked for in some way, {found.probable:,} have a "
            f"probability above {percent(outcome.most_probability)} a token and {found.said:,} are said whole. A mean over many "
            "answers does not show them; the tables of examples and of other ways of asking do."
        )
        yield Caution(code="survivors", message=message, count=found.either)


def _of_weights(constraint: ConstraintInfo, training: TrainingInfo) -> Iterator[Caution]:
    if training.best_step is None:
        message = f"No probed step kept the retain loss within bounds{_probed(training)}: the weights are those of the last step."
        yield Caution(code="no_feasible_step", message=message)
    elif training.kept_step != training.steps:
        message = (
            f"The weights are those of step {training.kept_step:,} of {training.steps:,}: the probed step that kept retention "
            "and forgot most. It was chosen by the examples that are measured here."
        )
        yield Caution(code="best_step", message=message)
    if not constraint.feasible:
        loss, epsilon = nats_apart(constraint.retain_loss_after, constraint.epsilon)
        message = (
            f"The retain loss ends at {loss} nats, above epsilon {epsilon}: choose a "
            "smaller learning rate, a smaller gamma or a larger dual step."
        )
        yield Caution(code="infeasible", message=message)


def _probed(training: TrainingInfo) -> str:
    n = training.n_probed_retain
    return f" on the {counted(n, 'example', 'examples')} to keep that were probed" if n else ""


def _of_asking(outcome: Outcome) -> Iterator[Caution]:
    trained = outcome.value(FORGOTTEN)
    for name in outcome.asked()[1:]:
        other = outcome.value(name)
        if trained is not None and other is not None and trained <= outcome.most_probability < other:
            message = (
                f"Asked {ASKED[name]}, the answers have a probability of {percent(other)} a token, against {percent(trained)} "
                "as trained: the wording was forgotten rather than the knowledge."
            )
            yield Caution(code=f"brought_back_{name.removesuffix('_probability')}", message=message)
    begun = outcome.value(_BEGUN)
    if trained is not None and begun is not None and trained <= outcome.most_probability < begun:
        message = (
            f"Once the first half of an answer is given, the rest has a probability of {percent(begun)} a token: whoever knows a "
            "part gets more of it. That takes no part in the verdict, since much of a second half follows from the first."
        )
        yield Caution(code="brought_back_probe_answer_start", message=message)
    if outcome.has_chat_template:
        message = (
            "The model has a chat template, and was asked without it: what it says to somebody who chats with it was not "
            "measured. Ask it the forgotten questions there before you rely on this. A template's marks in the prompt are read "
            "as plain text."
        )
        yield Caution(code="chat_template", message=message)


def _of_membership(outcome: Outcome) -> Iterator[Caution]:
    for name, metric in outcome.after.items():
        if not name.startswith("mia_") or metric.value is None or abs(metric.value - 0.5) <= _FAR_FROM_HALF:
            continue
        told = f"Membership inference ({name.removeprefix('mia_').replace('_', '-')}) has an AUC of {metric.value:.2f}: far "
        if metric.value < 0.5:
            told += "below one half. Answers that are less likely than ones never learnt tell that they were forgotten."
            yield Caution(code=f"over_forgotten_{name}", message=told)
        else:
            told += "above one half. Answers that are likelier than ones never learnt tell that they were learnt."
            yield Caution(code=f"still_told_{name}", message=told)


def _of_measuring(outcome: Outcome, constraint: ConstraintInfo) -> Iterator[Caution]:
    if outcome.data is not None:
        files = {FORGOTTEN: ("to forget", outcome.data.n_forget), RETAINED: ("to keep", outcome.data.n_retain)}
        parts = [
            f"{outcome.after[name].n:,} of {n:,} examples {what}"
            for name, (what, n) in files.items()
            if name in outcome.after and 0 < outcome.after[name].n < n
        ]
        if parts:
            message = (
                f"Measured were {' and '.join(parts)}, drawn by the seed. What the model says of the others is not known, nor "
                "whether single ones survived."
            )
            yield Caution(code="sampled", message=message)
    if outcome.dtype == "bfloat16":
        slack = nats(constraint.epsilon - constraint.retain_loss_before)
        message = (
            "Computed in bfloat16, which moved the loss of an answer by .007 nats on average and .03 at most where we measured "
            f"it: epsilon lies {slack} from the start's loss. Where that is little, compute in float32."
        )
        yield Caution(code="bfloat16", message=message)
