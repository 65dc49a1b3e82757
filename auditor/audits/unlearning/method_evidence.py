"""What a report says of the rule of the verdict with all of its limits, of the files that were measured, and of relearning."""

from auditor.audits.unlearning.findings import ConstraintInfo, ExportInfo, Relearning, UnlearningFindings
from auditor.audits.unlearning.verdict import RETAINED
from auditor.audits.unlearning.words import counted, nats, percent

_RULE = (
    "The rule is ours. Retention is lost where the retain loss ends above epsilon and above the start's, or the "
    "probability of answers to keep falls too far, in the model or in a file of 16 bits. Else, what is forgotten is "
    "forgotten by these measures where the upper end of the interval of its probability is within the limit in every way "
    "it was asked for: as trained, in other words, with a text before the question, in a chat, and by probes, as far as "
    "they are there; where no single answer is above the limit or said whole in any of these ways; and where the same "
    "holds in every file that was made of the model, quantised ones among them: the worst file decides. "
    "It is not forgotten where a lower end is above the limit or a single answer survives. It is inconclusive between, "
    "where a mean has no interval, where a file could not be measured, and where epsilon is not reached. What is said "
    "after half an answer takes no part, nor does what comes back when a copy is trained again. How near the model is to "
    "one that has never learnt (forget quality) takes no part: flattened answers are further from it. Forgetting is judged by "
    "the ends of intervals, retention by means as they are, whatever their intervals."
)
_FILES = (
    "Each file was opened again and read itself: a folder by torch, a GGUF file by llama.cpp, whose keys and values are "
    "kept in float16. The probability is that of the answers' own tokens, of the examples that the verdict is about, asked "
    "in every way that counts for it. Quantised files are made by llama.cpp from the GGUF file of 16 bits. What was "
    "forgotten in 16 bits has come back in 4, from 21% to 83% in published measurements: a file is as good as its own "
    "figures, and other quantisations, made elsewhere, were not measured. What files say of their own accord was not "
    "generated: that, the model alone was asked, before it was written."
)
_RELEARNING = (
    "A copy was loaded from the folder, and one of the reference where there is one, and trained again by AdamW, all of the "
    "batch's loss on answer tokens; no file was changed. Measured are answers to forget that it was not trained on. Steps, "
    "number of examples and rate are ours. What it shows: how little it takes until the answers are likely again. A quick rise "
    "on answers to keep suggests that the knowledge was hidden rather than gone; on a few of the answers to forget, that they "
    "open the way to the others, or that answers of one form are quickly learnt. What it does not prove: a flat curve is that "
    "of these few steps on these texts at this rate, and more steps, other texts or a higher rate may bring back what it does "
    "not."
)
_ALONE = (
    "{why}: how much of a rise is knowledge that was hidden, and how much any model would learn from the same texts, cannot be "
    "told apart here. The start model's own curve would be no such reference, since it knows them."
)
_NO_MODEL = "There is no model that has never learnt the answers to compare with"
_ONLY_A_LOG = "The reference is a log, which cannot be trained again"
_BY_ADAPTERS = (
    "As in the run itself, adapters of rank {rank} alone were trained (alpha twice the rank): a flat curve may be that of so few "
    "weights, and training all of them may bring back what it does not."
)
_DATA = {"benign": "answers to keep, like none to forget", "items": "examples to forget"}


def rule_and_limits(findings: UnlearningFindings) -> str:
    """The rule of the verdict, and below it every limit that a figure of this run was held against."""
    if findings.constraint is None:
        return ""
    return "\n".join(filter(None, [_RULE, *_limits(findings, findings.constraint)]))


def _limits(findings: UnlearningFindings, constraint: ConstraintInfo) -> list[str]:
    most, lost = percent(findings.most_probability), percent(findings.most_lost)
    before = findings.before.get(RETAINED)
    least = ""
    if before is not None and before.value is not None:
        least = f": at least {percent((1 - findings.most_lost) * before.value)} here"
    answers = (
        f"Limit of a forgotten answer: a probability of at most {most} a token, for the upper end of the mean's interval and "
        "for every single answer."
    )
    retention = (
        f"Limit of retention: at most {lost} of the start's probability of answers to keep may be lost{least}; and a retain "
        f"loss of at most epsilon, {nats(constraint.epsilon)}."
    )
    return [answers, retention, *map(_of_logits, findings.exports)]


def _of_logits(made: ExportInfo) -> str:
    """By which limit the logits of a GGUF file of 16 bits passed."""
    if made.most_rms is None or made.most_relative is None or made.rms_difference is None:
        return ""
    relative, largest = made.relative_difference or 0.0, made.largest_difference or 0.0
    passed = {"the first": made.rms_difference <= made.most_rms, "the second": relative <= made.most_relative}
    return (
        f"Limit of logits, {made.name} against torch on {counted(made.prompts, 'prompt', 'prompts')}: a root mean square "
        f"difference over the vocabulary of at most {made.most_rms:g}, or of at most {made.most_relative:g} of their standard "
        "deviation; one is enough, and a file that meets neither is not written. It met "
        f"{' and '.join(name for name, met in passed.items() if met)}, with {made.rms_difference:.3f} and {relative:.3f}. The "
        f"largest difference of a single logit, {largest:.3f}, is told and has no limit, nor have logits of quantised files."
    )


def files_words(findings: UnlearningFindings) -> str:
    """How files were measured; empty where none was."""
    return "\n".join([_FILES, *findings.not_quantised]) if findings.files else ""


def relearning_words(findings: UnlearningFindings) -> str:
    """What was trained again, and what it does and does not prove."""
    if not findings.relearning:
        return "It was switched off: how fast the answers come back was not looked at." if findings.constraint else ""
    rank = findings.training.lora_rank
    lines = [_RELEARNING, *([_BY_ADAPTERS.format(rank=rank)] if rank else []), *map(_curve, findings.relearning)]
    if findings.reference_name:
        lines.append(
            f"Reference: {findings.reference_name}, SHA-256 {findings.reference_sha256}. That it has never learnt the answers is "
            "taken from who gave it. A rise that is steeper than the reference's tells that something was left."
        )
    else:
        lines.append(_ALONE.format(why=_ONLY_A_LOG if findings.reference_log else _NO_MODEL))
    return "\n".join(lines)


def reference_words(findings: UnlearningFindings) -> str:
    """Which log stood in place of a reference; empty where none did."""
    if not findings.reference_log:
        return ""
    whose = f" of the model with SHA-256 {findings.reference_log_model}" if findings.reference_log_model else ""
    return (
        f"Reference: {findings.reference_log}{whose}; its own SHA-256 stands among the inputs. Forget quality, privleak and the "
        "reference attack are compared with its figures. That its model has never learnt the answers, and that the figures are "
        "of it, is taken from who gave the log."
    )


def _curve(found: Relearning) -> str:
    whose = f"{found.model[:1].upper()}{found.model[1:]} model, {_DATA[found.data]}"
    if not found.points:
        return f"{whose}: no curve. {found.unavailable}"
    first, last, steps = found.points[0].forget, found.points[-1].forget, found.points[-1].step
    return (
        f"{whose}: {counted(steps, 'step', 'steps')} of {counted(found.batch_size, 'example', 'examples')} out of "
        f"{found.n_trained:,} at a rate of {found.learning_rate:g}; the probability of {counted(last.n, 'answer', 'answers')} to "
        f"forget went from {percent(first.value or 0.0)} to {percent(last.value or 0.0)} a token."
    )
