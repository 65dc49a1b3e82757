"""What a reader must know beside the verdict of an unlearning run, counted and in sentences."""

from collections.abc import Iterator, Sequence

from auditor.audits.findings import Caution
from auditor.audits.unlearning.findings import ConstraintInfo, FileFigures, Relearning, TrainingInfo
from auditor.audits.unlearning.material import training_settings
from auditor.audits.unlearning.spec import UnlearningSpec
from auditor.audits.unlearning.verdict import (
    ASKED,
    FORGOTTEN,
    RETAINED,
    Outcome,
    file_state,
    in_file,
    kept,
    ways_missing,
)
from auditor.audits.unlearning.words import counted, nats, nats_apart, percent
from auditor.models.starter import STARTER_WARNING

#: What a model says once half of an answer is given: told, but no part of the rule.
_BEGUN = "probe_answer_start_probability"
_IN_CHAT = "probe_chat_probability"
#: An AUC as far below one half tells members as well as one above it (ours).
_FAR_FROM_HALF = 0.25


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
            *_of_files(outcome),
            *_of_weights(outcome.constraint, training),
            *_of_asking(outcome),
            *_of_relearning(outcome),
            *_of_membership(outcome),
            *_of_measuring(outcome, outcome.constraint),
        ]
    return found


def before_training(spec: UnlearningSpec, n_forget: int) -> Iterator[Caution]:
    """What a person should know of the settings before hours are spent on them.

    Parameters
    ----------
    n_forget : int
        Texts to forget.
    """
    if spec.method != "pdu":
        return
    per_epoch = training_settings(spec, None).steps_per_epoch(n_forget)
    # Steps up to the first update: the one that makes it is not led by it.
    by_step, by_epoch = spec.dual_warmup_epochs * per_epoch + 1, max(spec.dual_warmup_epochs, 1) * per_epoch
    first = by_step if spec.dual_updates == "step" else by_epoch
    if not spec.dual_step:
        why = "the dual step is 0"
    elif first >= spec.epochs * per_epoch:
        steps = counted(spec.epochs * per_epoch, "step is taken", "steps are taken")
        why = f"{steps}, and an update could count after {first:,} at the earliest"
    else:
        return
    held = "be held by a fixed weight, not by a constraint" if spec.lambda_start else "be held by nothing"
    message = f"Lambda will keep its first value of {spec.lambda_start:g}: {why}. Retention will {held}."
    yield Caution(code="lambda-fixed", message=message)


def _of_survivors(outcome: Outcome) -> Iterator[Caution]:
    found = outcome.survivors
    if found is not None and found.either:
        message = (
            f"Answers to forget that survived: {found.either:,} of {found.n:,}. Asked for in some way, {found.probable:,} have a "
            f"probability above {percent(outcome.most_probability)} a token and {found.said:,} are said whole. A mean over many "
            "answers does not show them; the tables of examples and of other ways of asking do."
        )
        yield Caution(code="survivors", message=message, count=found.either)


def _of_files(outcome: Outcome) -> Iterator[Caution]:
    # Where the model itself has not forgotten, the verdict says so, and no file is any news.
    is_news = all((outcome.value(name) or 0.0) <= outcome.most_probability for name in outcome.asked())
    for file in outcome.files:
        state = file_state(file, outcome.most_probability)
        if state == "not measured":
            message = f"{file.forget.unavailable} What it still knows is not known: do not pass it on as one that has forgotten."
            yield Caution(code="unmeasured_file", message=message)
        elif state != "forgotten" and is_news:
            told = in_file(file, outcome.most_probability)
            message = (
                f"{file.name} ({file.kind}) is not offered as a model that has forgotten: there the probability of the answers "
                f"to forget is {told}. Do not pass it on; unlearn further and measure again, or leave this file out."
            )
            yield Caution(code="brought_back_file", message=message, count=max(1, file.survivors))
        if missing := ways_missing(outcome, file):
            message = (
                f"{file.name} ({file.kind}) could not be asked {' or '.join(missing)}, as the model was: what it says then is "
                "not known, and its other figures do not tell."
            )
            yield Caution(code="unasked_file", message=message)
        yield from _of_quantising(outcome, file)


def _of_quantising(outcome: Outcome, file: FileFigures) -> Iterator[Caution]:
    before = outcome.before.get(RETAINED)
    is_less = file.is_quantised and kept(outcome, file.retain) < 1 - outcome.most_lost
    if is_less and before is not None and before.value is not None and file.retain.value is not None:
        message = (
            f"{file.name} gives the answers to keep a probability of {percent(file.retain.value)} a token, the start model "
            f"{percent(before.value)}: more than {percent(outcome.most_lost)} is lost, to quantising or to unlearning. For a "
            "quantised file that takes no part in the verdict."
        )
        yield Caution(code="file_retention", message=message)


def _of_relearning(outcome: Outcome) -> Iterator[Caution]:
    for curve in outcome.relearning:
        if curve.model == "unlearned" and curve.points:
            first, *later = [point.forget.value or 0.0 for point in curve.points]
            highest = max(later)
            if first <= outcome.most_probability < highest:
                yield Caution(code=f"relearnt_{curve.data}", message=_relearnt(outcome, curve, first, highest))
        elif curve.model == "unlearned":
            message = f"Whether what is forgotten comes back by training again was not seen. {curve.unavailable}"
            yield Caution(code="no_relearning", message=message)


def _relearnt(outcome: Outcome, curve: Relearning, first: float, highest: float) -> str:
    what = (
        f"{counted(curve.n_trained, 'answer', 'answers')} to keep, none of them to forget,"
        if curve.data == "benign"
        else f"{counted(curve.n_trained, 'example', 'examples')} to forget"
    )
    others = "answers to forget" if curve.data == "benign" else "other answers to forget"
    told = (
        f"Trained again for {counted(curve.points[-1].step, 'step', 'steps')} on {what} a copy gives {others} a probability of "
        f"up to {percent(highest)} a token, from {percent(first)}. "
    )
    same = [one for one in outcome.relearning if (one.model, one.data) == ("reference", curve.data) and one.points]
    if not same:
        return (
            f"{told}How much of that is knowledge that was hidden, and how much any model would learn from these texts, a model "
            "that has never learnt the answers would tell; none was given to compare with."
        )
    values = [point.forget.value or 0.0 for point in same[0].points]
    return (
        f"{told}The reference, which has never learnt them, went from {percent(values[0])} to {percent(max(values))} at most in "
        "the same steps."
    )


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
        message = f"The retain loss ends at {loss} nats, above epsilon {epsilon}: choose a smaller learning rate" + (
            ", a smaller gamma or a larger dual step." if constraint.dual_step is not None else " or fewer steps."
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
        yield Caution(code="chat_template", message=_in_chat(outcome))


def _in_chat(outcome: Outcome) -> str:
    """What was, and was not, asked of a model that people chat with."""
    before, after = outcome.before.get(_IN_CHAT), outcome.after.get(_IN_CHAT)
    if after is None or after.value is None:
        why = f" {after.unavailable}" if after is not None else ""
        return (
            "The model has a chat template, and was asked without it: what it says to somebody who chats with it was not "
            f"measured.{why} Ask it the forgotten questions there before you rely on this. A template's marks in the prompt are "
            "read as plain text."
        )
    known = "" if before is None or before.value is None else f"from {percent(before.value)} "
    return (
        "The model has a chat template, and the plain prompt alone was trained. Asked through the template, the probability of "
        f"the answers to forget went {known}to {percent(after.value)} a token, which counts for the verdict. Chats that begin "
        "with other turns or instructions were not tried."
    )


def _of_membership(outcome: Outcome) -> Iterator[Caution]:
    for name, metric in outcome.after.items():
        if not name.startswith("mia_") or metric.value is None or abs(metric.value - 0.5) <= _FAR_FROM_HALF:
            continue
        if metric.low is not None and metric.high is not None and metric.low <= 0.5 <= metric.high:
            continue  # of so few texts it tells nothing
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
