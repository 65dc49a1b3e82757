"""What a report says of the method of a guard run, in plain text."""

from collections.abc import Iterable

from auditor.audits.guard.conditions import ATTACKS, CORRECT, ZERO_SHOT, described, steps_of
from auditor.audits.guard.findings import CertificateInfo, GuardFindings
from auditor.audits.guard.planning import needed
from auditor.audits.guard.words import MIXTURE, condition_words, listed, percent, points, threshold

_QUESTION = (
    "How much worse than no demonstrations at all can these demonstrations make the model, and which guard bounds the damage? "
    'The statistics follow Wynn et al., "Controlling the risk of corrupted contexts for language models via early-exiting" '
    "(arXiv:2510.02480). Our choices, where theirs are silent or weaker than their theorem, are named as such below."
)
_READOUT = (
    "One pass gives an answer after every layer: the hidden state at the last position goes through the model's own final "
    "norm and output head (the logit lens; nothing is trained), and of the result only the labels' tokens count. The score "
    "of a label is the largest logit of its single-token spellings; a softmax over the labels makes probabilities of the "
    "scores. The model has {layers:,} layers; exit {layers:,} is the full model, with its own output logits. The embedding "
    "is no exit. The guard may answer after layer {first:,} at the earliest."
)
_ONE_EXIT = (
    "This model shows no inner layers: it has one exit, the full model. The guard then chooses between the full model's "
    "answer with demonstrations, as the guard reads it, and its zero-shot answer, and that is certified in the same way. The "
    "score of a label is the largest logit of its single-token spellings; a softmax over the labels makes probabilities of "
    "the scores."
)
_CALIBRATED = (
    "Contextual calibration (Zhao et al., ICML 2021, at every layer): prompts whose query says nothing ({texts}) show which "
    "labels the model prefers whatever the text; the mean of the inverse of their probabilities, over zero-shot, correct and "
    "corrupted prompts and averaged over three neighbouring layers, weighs the labels' probabilities, which are then made to "
    "sum to 1. Only the guard's exits are read in this way: zero-shot and unguarded answers are the full model's own, as people "
    "use it without a guard (ours). Published code takes a softmax of the weighted probabilities instead, which holds the "
    "confidence of two labels below .88 and of three below .91."
)
_UNCALIBRATED = "No contextual calibration: probabilities are taken as the model gives them."
_CONFIDENCE = {
    "max": "the largest probability of a label",
    "gap": "the largest probability of a label less the second largest",
    "entropy": "1 less the entropy of the probabilities over that of a uniform guess",
}
_GUARD = (
    "The guard goes through the exits upward and answers at the first whose confidence, {confidence}, exceeds the "
    "threshold lambda (strictly). If none does, it drops the demonstrations and gives the full model's zero-shot answer. "
    "lambda = 1 is therefore exactly zero-shot. The grid of thresholds was fixed before any loss was seen."
)
_LOSS = (
    "The loss of a query is 1 where the guard is wrong and zero-shot right, -1 where it is right and zero-shot wrong, and "
    "0 where both are right or both wrong. The risk is its mean: zero-shot accuracy less guarded accuracy. A negative risk "
    "means that demonstrations help."
)
_TRANSFORM = {
    "scale": "Losses are scaled, (loss + 1) / 2 against (epsilon + 1) / 2, so that gains offset harm.",
    "clip": "Losses are clipped at 0: harm alone counts, and gains do not offset it (conservative).",
}
_P_VALUE = {
    "wsr": "by betting (Waudby-Smith and Ramdas 2024): with K the capital of somebody who bets that the risk is below "
    "epsilon, each bet fixed before its loss is seen, p = min(1, 1 / max K)",
    "hb": "after Hoeffding and Bentkus (Bates et al. 2021): the smaller of exp(-n KL) and e times a binomial tail",
    "binomial": "the exact binomial tail of the clipped losses",
}
_SELECT = {
    "fixed": "Fixed-sequence testing: from the first threshold below 1 downward, until the first p above the level; the "
    "last one that passed is taken. It needs no risk that rises or falls with the threshold.",
    "holm": "After Holm, over all thresholds at once.",
    "bonferroni": "After Bonferroni, over all thresholds at once.",
    "uncorrected": "The smallest threshold with p at or below the level, without any correction for the others that were "
    "looked at, as published code does it. This guarantees nothing and is shown for comparison only.",
}
_CHOICES = (
    "Our choices: lambda = 1, whose loss is 0 by construction, is never tested and always available. The scaled loss has three "
    "values, for which the plain binomial tail has no theorem, so it is not offered. Taking the smallest threshold that passes "
    "without a family-wise rule is offered for comparison only. The betting p-value is the default because it certifies with "
    "fewest queries."
)
_INTERVALS = (
    "Accuracies, harm and lost benefit of single conditions have exact {confidence} intervals (Clopper and Pearson); "
    "risks, and figures of mixtures, which count each query with both its prompts in the declared shares, have intervals "
    "by betting; so have all figures where queries come in groups. Each holds by itself, not all of them at once. Figures of "
    "conditions and of layer passes are on the {test:,} test queries, which had no part in choosing the threshold."
)
_INFLUENCE = (
    "Each demonstration of a prompt was left out in turn, for {n:,} queries. Its influence is the mean change of the right "
    "label's log-probability at the full model when it stands in the prompt. It is influence beside the other "
    "demonstrations, not alone."
)
_ATTENTION = (
    "The share of the attention of the answer position that falls on the label words of demonstrations, mean over {n:,} "
    "queries, by layer and head. Attention says where the model looks, not why it answers."
)
_TIMING = (
    "A true early exit was timed on {n:,} queries: only the layers up to the exit are run. Layer passes count every layer "
    "that the guard runs, with the whole zero-shot pass where it falls back, as a share of one full prompt with "
    "demonstrations."
)
_DRAWN = "What an attack draws depends on the run's seed, the query and the attack, and a stronger attack holds the weaker one."
_TOKENS = "Tokens of a prompt, on average: {:,.0f} with demonstrations, {:,.0f} without."
_GROUPS = (
    "Queries of one group stand or fall together: a group is one unit of the tests, with the sum of its queries' losses less "
    "epsilon over m, plus epsilon (ours). Its mean exceeds epsilon exactly where the risk does. m is the size of the largest "
    "group there can be: {largest:,}, {said}. No data can tell it, since a rare large group may be missing: the guarantee is "
    "for queries that come in groups of at most m."
)
_NOT = (
    "Not a guarantee for any single query, against another attacker, for other demonstrations, templates or models, or for "
    "queries of another kind than those it was calibrated on. It says nothing of how good the model is: one that is poor "
    "zero-shot can be certified and stays poor. Trying several settings on the same calibration queries and keeping the best "
    "spends delta, unless it was divided by their number beforehand."
)


def methods(findings: GuardFindings) -> list[tuple[str, str]]:
    """Heading and text pairs, in the order of the report."""
    parts = [
        ("Question", _QUESTION),
        ("Readout", _readout(findings)),
        ("Guarded predictor", _guard(findings)),
        ("Loss and risk", _LOSS),
        ("Certificate", _certificate(findings.certificate)),
        ("What the guarantee covers", findings.certificate.sentence),
        ("What it does not cover", _NOT),
        ("Queries and demonstrations", _pools(findings)),
        ("Attacks", _attacks(findings)),
        ("Intervals", _INTERVALS.format(confidence=percent(findings.confidence), test=findings.pools.n_test)),
        ("New splits", _splits(findings)),
        ("Influence of demonstrations", _INFLUENCE.format(n=findings.n_influence) if findings.n_influence else ""),
        ("Attention", _ATTENTION.format(n=findings.n_attention) if findings.n_attention else ""),
        ("Time", _TIMING.format(n=findings.n_timing) if findings.n_timing else ""),
        ("Labels as the model says them", _labels(findings)),
        ("Prompt, word for word", findings.prompt.example),
        ("Prompt without demonstrations, word for word", findings.prompt.example_zero_shot),
        ("Template", _template(findings)),
    ]
    return [(heading, text) for heading, text in parts if text]


def _readout(findings: GuardFindings) -> str:
    readout = findings.readout
    told = _ONE_EXIT if readout.n_exits == 1 else _READOUT.format(layers=readout.n_layers, first=readout.first_exit)
    where = f"Computed by {findings.backend} on {findings.device}, {findings.dtype}."
    texts = ", ".join(f'"{text}"' for text in readout.content_free)
    return "\n".join(
        (told, _CALIBRATED.format(texts=texts) if readout.contextual_calibration else _UNCALIBRATED, where)
    )


def _guard(findings: GuardFindings) -> str:
    return _GUARD.format(confidence=_CONFIDENCE[findings.readout.confidence])


def _certificate(found: CertificateInfo) -> str:
    level = f"{found.delta_spent:g}"
    if found.options_tried > 1:
        level += f" (delta {found.delta:g} over {found.options_tried:,} settings tried, after Bonferroni)"
    tested = (
        f"For each threshold the hypothesis that the risk exceeds epsilon, {points(found.epsilon, signed=False)} percentage "
        f"points, is tested on {found.n:,} calibration queries at level {level}. {_TRANSFORM[found.transform]} p-value: "
        f"{_P_VALUE[found.p_value]}."
    )
    said = "as declared beforehand" if found.largest_declared else "the largest of the file"
    groups = _GROUPS.format(largest=found.largest_group, said=said) if found.largest_group > 1 else ""
    lines = (tested, groups, _SELECT[found.select], _CHOICES, _outcome(found), _needed(found))
    return "\n".join(filter(None, lines))


def _outcome(found: CertificateInfo) -> str:
    if not found.certified:
        first = "" if found.p_first is None else f"; at the first one tested p = {found.p_first:.3g}"
        return f"Outcome: no threshold below 1 passed{first}. The guard is set to lambda = 1, always zero-shot."
    p = "" if found.p_at is None else f", p = {found.p_at:.3g}"
    if not found.guaranteed:
        return f"Outcome: lambda = {_at(found)}{p}, without a guarantee."
    return f"Outcome: certified at lambda = {_at(found)}{p}. {_published(found)}"


def _at(found: CertificateInfo) -> str:
    return threshold(found.lambda_hat, found.lambda_step)


def _published(found: CertificateInfo) -> str:
    return (
        "For comparison: the published selection, the smallest threshold with p at or below the level, would with this "
        f"p-value pick {threshold(found.lambda_uncorrected, found.lambda_step)}, without a guarantee."
    )


def _needed(found: CertificateInfo) -> str:
    wanted = (
        (found.fewest_harmless, "demonstrations that change no loss at all"),
        (found.fewest_helpful, "demonstrations that help (15% of queries better, 5% worse), in 80% of draws"),
    )
    grouped = found.largest_group > 1
    told = [f"{needed(n, grouped=grouped)} for {what}" for n, what in wanted if n is not None]
    return f"Fewest that could have certified anything with these settings: {listed(told)}." if told else ""


def _pools(findings: GuardFindings) -> str:
    pools, found = findings.pools, findings.certificate
    has_groups = pools.n_groups < pools.n_calibration + pools.n_test
    grouped = f" in {pools.n_groups:,} groups, which were never split" if has_groups else ""
    drawn = (
        f"{pools.n_per_prompt:,} demonstrations stand in a prompt, drawn anew for each query from a pool of "
        f"{pools.n_demonstrations:,}: the guarantee is over their drawing too"
        if pools.demonstrations == "resampled"
        else f"One fixed set of {pools.n_per_prompt:,} demonstrations stands before every query: the guarantee is about this set"
    )
    how = "one of its two prompts is drawn" if found.p_value == "binomial" else "both its prompts count in these shares"
    mixture = (
        f"Calibration is under the mixture: {percent(found.mixture)} of the queries with corrupted demonstrations "
        f"({condition_words(found.primary)}), the others with correct ones; for each query {how}."
        if found.cover == "mixture"
        else "Calibration is under every condition by itself; a threshold passes where it passes under all of them: "
        f"{listed(condition_words(name) for name in found.covered)}."
    )
    return (
        f"{pools.n_calibration:,} queries calibrate and {pools.n_test:,} others test{grouped}. No query, text or group "
        f"stands in two of the pools: demonstrations, calibration, test.\n{drawn}.\n{mixture}"
    )


def _attacks(findings: GuardFindings) -> str:
    tried = [name for name in findings.conditions if name not in (ZERO_SHOT, CORRECT) and not name.startswith(MIXTURE)]
    names = dict.fromkeys(step.attack for condition in tried for step in steps_of(condition))
    lines = [f"{ATTACKS[name].title}: {_lower(ATTACKS[name].description)}" for name in names]
    return "\n".join(
        [
            _DRAWN,
            *lines,
            f"Conditions asked: {listed(described(condition) for condition in tried)}.",
        ]
    )


def _lower(sentence: str) -> str:
    return sentence[:1].lower() + sentence[1:]


def _splits(findings: GuardFindings) -> str:
    found = findings.splits
    if found is None:
        return ""
    published = f", and {found.above_uncorrected:,} with the published rule" if findings.certificate.guaranteed else ""
    return (
        f"The queries were split anew {found.n_splits:,} times, {percent(found.share)} of them calibrating, to see how the "
        f"guard behaves at other epsilons. At the epsilon of the run {found.above:,} of the splits had a test risk above "
        f"it{published}. The splits share their queries and a test risk strays from the true one, so this is no proof of "
        "the guarantee; these thresholds are shown and not certified."
    )


def _labels(findings: GuardFindings) -> str:
    return "\n".join(_label(label.label, label.word, label.spellings) for label in findings.labels)


def _label(label: str, word: str, spellings: Iterable[str]) -> str:
    said = ", ".join(f'"{spelling}"' for spelling in spellings)
    return (
        f"{label}: the word {word}, scored by the tokens {said}"
        if word != label
        else f"{label}: scored by the tokens {said}"
    )


def _template(findings: GuardFindings) -> str:
    prompt = findings.prompt
    parts = (
        ("Instruction", prompt.instruction),
        ("Demonstration", prompt.demonstration),
        ("Query", prompt.query),
        ("Separator", prompt.separator.replace("\n", "\\n")),
    )
    lines = [f"{name}: {text}" for name, text in parts]
    return "\n".join(
        [
            *lines,
            _TOKENS.format(prompt.tokens, prompt.tokens_zero_shot),
        ]
    )
