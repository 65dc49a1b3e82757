"""What a report says of the method of an unlearning run, in plain text."""

from auditor.audits.unlearning.findings import ConstraintInfo, ExportInfo, UnlearningFindings
from auditor.audits.unlearning.method_evidence import files_words, reference_words, relearning_words, rule_and_limits
from auditor.audits.unlearning.objective_settings import REFUSALS
from auditor.audits.unlearning.words import counted, cut_words, nats

_QUESTION = (
    "A model that has learnt something is trained on until it no longer gives the answers that are to be forgotten, while it "
    'keeps the others. The constrained form follows Entesari et al., "Constrained Entropic Unlearning: A Primal-Dual Framework '
    'for Large Language Models" (arXiv:2506.05314). Our choices, where theirs are silent, are named as such below.'
)
_METHODS = {
    "pdu": "Primal-dual unlearning with logit-margin flattening: minimise L_f subject to L_r <= epsilon. L_f is the mean, over "
    "{positions}, of the squared distance of the largest logit from the mean logit; L_r is the mean negative log-likelihood of "
    "answer tokens to keep. A step goes down gamma L_f + lambda (L_r - epsilon) with the current lambda. {dual}",
    "grad_ascent": "Gradient ascent on the likelihood loss of what is forgotten; nothing holds retention (a baseline of TOFU, "
    "arXiv:2401.06121).",
    "grad_diff": "Gradient difference: ascent on what is forgotten, descent on what is kept (a baseline of TOFU, "
    "arXiv:2401.06121).",
    "npo": "Negative preference optimisation (arXiv:2404.05868): what is forgotten becomes less likely than in the start model, "
    "with a loss that levels off.",
    "simnpo": "SimNPO (arXiv:2410.07163): negative preference optimisation by mean token loss, without the start model.",
    "rmu": "Representation misdirection (arXiv:2403.03218): activations of one layer are drawn to a random direction on what is "
    "forgotten, and held on what is kept.",
    "idk_dpo": "Direct preference for an answer that says nothing over the one that is forgotten (arXiv:2401.06121); the "
    f"{len(REFUSALS)} answers that say nothing are ours.",
    "undial": "Self-distillation with adjusted logits (arXiv:2402.10052): the start model teaches, with the logits of the "
    "answer's tokens lowered.",
    "learn": "Plain fine-tuning on both files: nothing was forgotten. It makes a model that knows what a later run is to forget.",
}
_SHIFTED = "positions that predict an answer token"
_PARITY = (
    "positions at which an answer token stands (the published mask: the position that predicts the first answer token is never "
    "flattened)"
)
_TRAINING = (
    "AdamW; {trained}, in {steps}. {kept} Losses are read at answer tokens only, and never "
    "from the logits of a whole batch, but a part of its rows at a time. Short texts of a batch are filled up behind their ends, "
    "where nothing attends to."
)
_MEASURES = (
    "The probability of an answer is a token's: exp of minus the mean loss over its own tokens; the token that ends it counts "
    "only in TOFU's probability, which stands beside it. "
    "ROUGE-L recall compares the likeliest answer, generated token by token, with the file's, by stemmed words.{cut} "
    "The truth ratio compares wrong answers with the right one in other words. Exact memorisation is the share of answer tokens "
    "that are the likeliest one; extraction strength is the share of the answer, at its end, that the model completes exactly. "
    "Membership inference tells forgotten examples from ones that were never learnt, by an AUC: about one half is the aim, and "
    "far below it is a leak as far above it is. Measures that cannot be computed say why. Intervals are 95% percentile "
    "bootstraps over examples, each by itself."
)
_NOT = (
    "It does not prove that anything was deleted from the weights, nor that no question, language, context or attack brings it "
    "back. It is no formal guarantee, such as differential privacy gives, and no certificate for a regulator. Training on "
    "related or harmless texts can bring forgotten knowledge back, and so can quantising: a file is as good as its own "
    "measurement. Answers that are flattened are not those of a model that never learnt: whoever compares can tell that "
    "something was forgotten here."
)


def methods(findings: UnlearningFindings) -> list[tuple[str, str]]:
    """Heading and text pairs, in the order of the report."""
    parts = [
        ("Unlearning evidence report: question", _QUESTION),
        ("Method", _method(findings)),
        ("Bound on retention", _constraint(findings.constraint)),
        ("Training", _training(findings)),
        ("Examples", _data(findings)),
        ("Prompt, word for word", findings.prompt),
        ("Measures", "\n".join(filter(None, (_MEASURES.format(cut=_cut(findings)), reference_words(findings))))),
        ("Verdict: rule and limits", rule_and_limits(findings)),
        ("Files made of the model", _exports(findings)),
        ("Files, measured one by one", files_words(findings)),
        ("Trained again", relearning_words(findings)),
        ("What it does not prove", _NOT),
    ]
    return [(heading, text) for heading, text in parts if text]


def _cut(findings: UnlearningFindings) -> str:
    """How long generated answers are at most; empty in runs that did not tell."""
    if findings.new_tokens is None:
        return ""
    told = cut_words(findings.new_tokens)
    return f" {told}" if told else f" Answers have up to {findings.new_tokens} tokens, as in TOFU's published figures."


def _method(findings: UnlearningFindings) -> str:
    found = findings.constraint
    told = _METHODS[findings.method]
    if findings.method == "pdu" and found is not None:
        told = told.format(positions=_PARITY if found.parity else _SHIFTED, dual=_dual(found))
    if settings := findings.method_settings:
        told += f" Settings: {', '.join(f'{name} = {value:g}' for name, value in settings.items())}."
    return f"{told}\nStart model: {findings.model_name}, SHA-256 {findings.model_sha256}."


def _dual(found: ConstraintInfo) -> str:
    """How lambda was updated, by the settings of this run."""
    when = "After each epoch, with its mean retain loss," if found.dual_updates == "epoch" else "After each step"
    eta = "eta" if found.dual_step is None else f"eta = {found.dual_step:g}"
    most = "" if found.lambda_cap is None else f", at most {found.lambda_cap:g}"
    told = f"{when} lambda <- max(0, lambda + eta (L_r - epsilon)){most}, {eta}"
    if found.dual_warmup_epochs:
        told += f"; in the first {counted(found.dual_warmup_epochs, 'epoch', 'epochs')} it keeps its first value"
    if 0 in (found.n_dual_updates, found.n_steps_led):
        told += (
            ". No step was taken with an updated lambda: it was a fixed weight, and the bound was not enforced by it"
        )
    return f"{told}."


def _constraint(found: ConstraintInfo | None) -> str:
    if found is None:
        return ""
    how = (
        "proposed from it: a tenth more, and at least .05 nats more (ours; a share alone would leave next to nothing where the "
        "loss is small)"
        if found.measured
        else "as asked for"
    )
    told = (
        f"The start model's retain loss is {nats(found.retain_loss_before)}, over all answer tokens to keep. Epsilon is "
        f"{nats(found.epsilon)}, {how}. The loss ends at {nats(found.retain_loss_after)}."
    )
    lines = [told]
    if found.lambda_start is not None and found.lambda_final is not None and found.gamma is not None:
        chosen = ", such that both terms begin in the same order (ours)" if found.gamma_balanced else ""
        lines.append(
            f"lambda began at {found.lambda_start:g} and was {found.lambda_final:.4g} after the last step{_updates(found)}; "
            f"gamma is {found.gamma:.3g}{chosen}."
        )
    else:
        lines.append(
            "This method does not enforce it: epsilon decides which probed step's weights may be kept, and what the end is held "
            "against."
        )
    return "\n".join(lines)


def _updates(found: ConstraintInfo) -> str:
    n = found.n_dual_updates
    return "" if n is None else f" and {counted(n, 'dual update', 'dual updates')}"


def _training(findings: UnlearningFindings) -> str:
    info = findings.training
    kept = (
        "The weights are those of the last step."
        if info.kept_step == info.steps
        else f"The weights are those of step {info.kept_step:,}, which kept the bound and forgot most of the probed ones."
    )
    trained = (
        f"{info.trained_weights:,} weights of adapters of rank {info.lora_rank:,} were trained beside the model's "
        f"{info.weights:,}"
        if info.lora_rank
        else f"{info.trained_weights:,} of {info.weights:,} weights were trained"
    )
    text = _TRAINING.format(
        trained=trained,
        steps=counted(info.steps, "step", "steps"),
        kept=kept,
    )
    where = _where(findings)
    again = ""
    if info.resumed_at:
        again = f"\nThe run was interrupted and went on from step {', '.join(f'{step:,}' for step in info.resumed_at)}."
    return f"{text}\n{where}{again}"


def _where(findings: UnlearningFindings) -> str:
    """What it was computed on, by how many processes, and how many batches make a step: results depend on both."""
    info = findings.training
    devices = list(dict.fromkeys(info.devices)) or [findings.device]
    shared = "" if info.world_size == 1 else ", which shared the batches of a step and the layers of the model (FSDP)"
    processes = counted(info.world_size, "process", "processes")
    batches = "one batch" if info.accumulation == 1 else f"up to {info.accumulation or 0:,} batches"
    of = "" if findings.method == "learn" else " to forget and as many to keep"
    step = "" if info.accumulation is None else f" A step adds up {batches}{of}."
    return f"Computed in {findings.dtype} on {' and '.join(devices)}, by {processes}{shared}.{step}"


def _data(findings: UnlearningFindings) -> str:
    data = findings.data
    others = []
    if data.n_holdout:
        others.append(f"{data.n_holdout:,} that were never learnt")
    if data.n_probes:
        others.append(f"{data.n_probes:,} probes")
    more = f" Beside them, {' and '.join(others)}, which were only asked." if others else ""
    alike = f" {counted(data.overlaps, 'example', 'examples')} to keep are like one to forget." if data.overlaps else ""
    return (
        f"{counted(data.n_forget, 'example', 'examples')} to forget with {data.forget_tokens:,} tokens, "
        f"{data.forget_answer_tokens:,} of them in answers; {data.n_retain:,} to keep with {data.retain_tokens:,} tokens, "
        f"{data.retain_answer_tokens:,} in answers.{more}{alike}{_measured(findings)}"
    )


def _measured(findings: UnlearningFindings) -> str:
    """How many of the examples were measured, where not all were."""
    files = {"forget": ("to forget", findings.data.n_forget), "retain": ("to keep", findings.data.n_retain)}
    n_measured = {
        name: found.n for name in files if (found := findings.after.get(f"{name}_answer_probability")) and found.n
    }
    parts = [f"{n:,} of {files[name][1]:,} {files[name][0]}" for name, n in n_measured.items() if n < files[name][1]]
    return f" Measured were {' and '.join(parts)}, drawn by the seed." if parts else ""


def _exports(findings: UnlearningFindings) -> str:
    lines = [
        f"{made.name} ({made.kind}{f', made from {made.made_from}' if made.made_from else ''}), SHA-256 "
        f"{made.sha256}{_compared(made)}."
        for made in findings.exports
    ]
    if findings.not_exported:
        lines.append(f"No GGUF file: {findings.not_exported}")
    if findings.training.lora_rank:
        lines.append("Adapters are merged: there is nothing to take off that would bring the start model back.")
    return "\n".join(lines)


def _compared(made: ExportInfo) -> str:
    """What comparing logits with torch's has found, and by which rule it passed."""
    if made.rms_difference is None:
        return ""
    relative = (
        "" if made.relative_difference is None else f", {made.relative_difference:.3f} of their standard deviation"
    )
    largest = "" if made.largest_difference is None else f"; a single logit by at most {made.largest_difference:.3f}"
    same = "" if made.same_first is None else f"; the likeliest token is the same on {made.same_first:,}"
    return (
        f"; on {counted(made.prompts, 'prompt', 'prompts')} its logits differ from torch's by a root mean square of at most "
        f"{made.rms_difference:.3f}{relative}{largest}{same}"
    )
