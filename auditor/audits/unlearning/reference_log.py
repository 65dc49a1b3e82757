"""A log of a reference in place of its model: whether its figures may stand beside those of this run, before it begins."""

from collections.abc import Collection, Sequence

from auditor.audits import InputFile
from auditor.audits.findings import Caution
from auditor.audits.unlearning import reference as logs
from auditor.audits.unlearning.compare_reference import FEWEST
from auditor.audits.unlearning.examples import Example
from auditor.audits.unlearning.reference import Reference
from auditor.audits.unlearning.scored import EvaluationSettings, spaced
from auditor.audits.unlearning.spec import UnlearningSpec
from auditor.errors import InputError

_AGAIN = (
    "Make the log on the files of this run: auditor evaluate --benchmark own --model REFERENCE --forget FORGET --holdout "
    "HOLDOUT --log LOG."
)


def read_log(
    file: InputFile, spec: UnlearningSpec, forget: Sequence[Example], holdout: Sequence[Example]
) -> tuple[Reference, list[Caution]]:
    """The figures of a log that can be compared with this run, and what they leave out.

    Parameters
    ----------
    file : InputFile
    spec : UnlearningSpec
    forget, holdout : sequence of Example
        Of this run.

    Raises
    ------
    InputError
        If there is a reference model too; if the log cannot be read or was cut off; if it was made of other examples, with
        another prompt or in another way; or if nothing of it can be compared.
    """
    if spec.reference_model:
        raise InputError("Both a log and a model are given as reference", file=file.name, fix="Give one of them.")
    found = logs.read(file.path, file.name)
    examples = [*forget, *holdout]
    _require_same_prompt(found, spec, examples, file.name)
    found = _comparable(found, file.name)
    known = _known(found)
    if known and not any(_key(one, found) in known for one in forget):
        raise InputError(
            f"The log is of other examples: none of the {len(forget):,} to forget is in it",
            file=file.name,
            value=spaced(next(iter(known))),
            fix=_AGAIN,
        )
    told = [*_missing(found, spec, forget, holdout, file.name), *_pieces(found, spec, examples, file.name)]
    # What "auto" is shows once the model is loaded.
    return found, told if spec.dtype == "auto" else [*told, *other_format(found, spec.dtype)]


def other_format(found: Reference, dtype: str) -> list[Caution]:
    """What to know where a reference was computed in another number format than what is compared with it.

    Parameters
    ----------
    dtype : str
        "float32" or "bfloat16": what this run or evaluation is computed in.
    """
    if found.dtype is None or found.dtype == dtype:
        return []
    message = (
        f"The reference, {found.source}, was computed in {found.dtype}, what is compared with it in {dtype}: some "
        "hundredths of a nat in the loss of an answer, and what of forget quality, privleak and the reference attack follows "
        "from them, may come from that alone. Compute both in one (--dtype)."
    )
    return [Caution(code="reference-format", message=message)]


def _require_same_prompt(found: Reference, spec: UnlearningSpec, examples: Sequence[Example], name: str) -> None:
    if found.prompt in (None, spec.prompt) or all(one.question is None for one in examples):
        return
    raise InputError(
        "The log was made with another prompt, so that its figures cannot be compared",
        file=name,
        column="prompt",
        value=found.prompt,
        fix="Give the same prompt here, or evaluate the reference once more.",
    )


def _comparable(found: Reference, name: str) -> Reference:
    """The figures that were computed as they are here."""
    if found.settings is None:
        return found
    share = EvaluationSettings().min_k
    if found.settings.min_k != share:
        raise InputError(
            f"The log's min-k looks at another share of the tokens than {share:g}, so that it cannot be compared",
            file=name,
            column="settings.min_k",
            value=found.settings.min_k,
            fix=_AGAIN,
        )
    if found.settings.ends_answers:
        return found
    # Losses are those with the token that ends an answer here, and without it there; min-k never looks at that token.
    return found.model_copy(update={"losses": {}, "truth_ratios": (), "examples": ()})


def _key(example: Example, found: Reference) -> str:
    """As `Scored.key`, or the answer alone where a log tells its examples by that."""
    return spaced(example.answer) if found.by_answer else f"{spaced(example.question or '')}\n{spaced(example.answer)}"


def _known(found: Reference) -> dict[str, None]:
    """What tells the log's examples to forget, in its order; empty where it does not name them."""
    return dict.fromkeys((*(found.examples or ()), *found.min_k.get("forget", ()), *found.losses.get("forget", ())))


def _missing(
    found: Reference, spec: UnlearningSpec, forget: Sequence[Example], holdout: Sequence[Example], name: str
) -> list[Caution]:
    """Which of the figures that a reference gives will not come of it, and why.

    Raises
    ------
    InputError
        If none of them will.
    """
    reasons = {
        "forget quality": _no_quality(found, forget),
        "privleak": _no_privleak(found, spec, forget, holdout),
    }
    lacking = {figure: why for figure, why in reasons.items() if why}
    told = "; ".join(f"no {figure}, since {why}" for figure, why in lacking.items())
    if len(lacking) == len(reasons):
        raise InputError(f"Nothing of the log can be compared: {told}", file=name, fix=_AGAIN)
    message = f"From the log {name} there will be {told}."
    return [Caution(code="reference-log", message=message)] if lacking else []


def _no_quality(found: Reference, forget: Sequence[Example]) -> str:
    asked = [one for one in forget if one.perturbed_answers]
    if not asked:
        return "the examples to forget have no wrong answers beside them (perturbed answers)"
    if not found.truth_ratios:
        return "the log has no truth ratios"
    if found.examples is None:
        n = len(found.truth_ratios)
        return (
            ""
            if n == len(asked) >= FEWEST
            else f"it does not name its {n:,} examples and there are {len(asked):,} here"
        )
    named = set(found.examples)
    n = sum(_key(one, found) in named for one in asked)
    return (
        "" if n >= FEWEST else f"only {n:,} of the {len(asked):,} examples to forget are in it, and it takes {FEWEST}"
    )


def _no_privleak(found: Reference, spec: UnlearningSpec, forget: Sequence[Example], holdout: Sequence[Example]) -> str:
    if not holdout:
        return "there is no holdout file"
    if found.auc_min_k is not None:
        return ""
    for role, rows in (("forget", forget), ("holdout", holdout)):
        n = _n_in(rows, found, found.min_k.get(role, {}))
        # Of a large file a part is drawn: whether all of those are in the log is seen then.
        if n < min(len(rows), spec.evaluated):
            return f"the log has scores of {n:,} of the {len(rows):,} examples of the file {role}"
    return ""


def _n_in(rows: Sequence[Example], found: Reference, known: Collection[str]) -> int:
    return sum(_key(one, found) in known for one in rows)


def _pieces(found: Reference, spec: UnlearningSpec, examples: Sequence[Example], name: str) -> list[Caution]:
    """Plain texts that were read in pieces of another length than here."""
    if found.settings is None or found.settings.max_tokens == spec.max_tokens:
        return []
    if all(one.question is not None for one in examples):
        return []
    length = (
        "as long as the model takes them" if found.settings.max_tokens is None else f"of {found.settings.max_tokens:,}"
    )
    message = (
        f"The log {name} read plain texts in pieces {length}, this run reads them in pieces of {spec.max_tokens:,} tokens: where "
        "texts are longer, its figures are not quite those of the same reading."
    )
    return [Caution(code="reference-pieces", message=message)]
