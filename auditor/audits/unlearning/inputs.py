"""Reading what an unlearning run is given: what to forget, what to keep, what was never learnt, and probes.

`read` gives `UnlearningInputs` or one `InputError` that names file, row, column, value and the fix. `preview` reads the whole
of one file and lists every problem.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any

from auditor.audits import InputFile, Preview
from auditor.audits.findings import Caution
from auditor.audits.reading.columnar import Problems, check_lengths
from auditor.audits.reading.settings import settings_of
from auditor.audits.unlearning import reference as logs
from auditor.audits.unlearning.examples import Example, plain
from auditor.audits.unlearning.formats import LONGEST_TEXT, Loaded, load_examples, named
from auditor.audits.unlearning.overlap import SAME, SAME_QUESTION, Overlap, overlaps
from auditor.audits.unlearning.reference import Reference
from auditor.audits.unlearning.reference_log import read_log
from auditor.audits.unlearning.spec import UnlearningSpec
from auditor.audits.unlearning.template import QUESTION, Template, pieces
from auditor.errors import InputError, ModelError, printable

ROLES = ("forget", "retain", "holdout", "probes")
#: Role of a log that stands in place of a reference model.
REFERENCE = "reference"
_NEEDED = ("forget", "retain")
PREVIEW_ROWS = 50
#: Rows whose tokens a preview counts (ours).
_COUNTED = 20_000
#: How passages that are to be gone on with are told: MUSE's by their columns, LUME's by their ids.
_PASSAGES, _PASSAGE_ID = "verbmem", re.compile(r'[0-9"]sc[0-9]+$')
#: Fewer examples than these to forget or to keep, and intervals say little (ours).
FEW = 20


@dataclass(frozen=True)
class UnlearningInputs:
    """What a run is given.

    Attributes
    ----------
    forget, retain : tuple of Example
        In the order of their files.
    holdout : tuple of Example
        Of the same kind as those to forget, never learnt by the model; may be empty.
    probes : tuple of Example
        Questions about what is forgotten that are asked before and after and never trained on; may be empty.
    overlaps : tuple of Overlap
        Examples to forget that another file has in other words.
    cautions : tuple of Caution
    reference : Reference or None
        Figures of a model that has never learnt what is to be forgotten, if they were given as a log.
    """

    forget: tuple[Example, ...]
    retain: tuple[Example, ...]
    holdout: tuple[Example, ...]
    probes: tuple[Example, ...]
    overlaps: tuple[Overlap, ...]
    cautions: tuple[Caution, ...]
    reference: Reference | None = None


def read(files: Mapping[str, InputFile], spec: UnlearningSpec) -> UnlearningInputs:
    """Read all files of a run.

    Parameters
    ----------
    files : mapping of str to InputFile
        By role (`ROLES`); "forget" and "retain" must be there, "reference" may be: a log, which is read where something
        is forgotten.

    Raises
    ------
    InputError
        For the first problem; it says how many there are.
    """
    for role in _NEEDED:
        if role not in files:
            raise InputError(f"There is no file of what to {role}", fix="Give one.")
    problems, cautions = Problems(), list[Caution]()
    loaded = {role: _load(files[role], spec, problems, cautions) for role in ROLES if role in files}
    problems.refuse()
    examples = {role: one.examples for role, one in loaded.items()}
    found = _overlaps(examples)
    _refuse_contradictions(found, loaded, problems)
    problems.refuse()
    cautions += [*_noticed(examples), *_continued(examples, spec), *_alike(found)]
    reference = None
    if REFERENCE in files and spec.unlearns:
        reference, more = read_log(files[REFERENCE], spec, examples["forget"], examples.get("holdout", ()))
        cautions += more
    return UnlearningInputs(
        examples["forget"],
        examples["retain"],
        examples.get("holdout", ()),
        examples.get("probes", ()),
        tuple(found),
        tuple(cautions),
        reference,
    )


def read_examples(file: InputFile, *, mapping: Mapping[str, str] | None = None) -> tuple[Example, ...]:
    """The examples of one file, for whoever evaluates without unlearning.

    Parameters
    ----------
    mapping : mapping of str to str, optional
        Field -> column, as in a spec.

    Raises
    ------
    InputError
        For the first problem; it says how many there are.
    """
    problems = Problems()
    one = load_examples(file, mapping or {}, problems, [])
    check_lengths(one.table, LONGEST_TEXT, problems)
    problems.refuse()
    return one.examples


def _load(file: InputFile, spec: UnlearningSpec, problems: Problems, cautions: list[Caution]) -> Loaded:
    one = load_examples(file, spec.mapping, problems, cautions)
    check_lengths(one.table, LONGEST_TEXT, problems)
    return one


# ---- several files


def _overlaps(examples: Mapping[str, Sequence[Example]]) -> list[Overlap]:
    """What the other files share with what is to be forgotten.

    Probes are about it by purpose: of them only questions that were trained on count, whatever answer stands beside them.
    """
    found = [
        pair for role in ("retain", "holdout") for pair in overlaps(examples["forget"], examples.get(role, ()), role)
    ]
    probes = overlaps(examples["forget"], examples.get("probes", ()), "probes")
    return found + [pair for pair in probes if pair.kind in (SAME, SAME_QUESTION)]


def _refuse_contradictions(found: Iterable[Overlap], loaded: Mapping[str, Loaded], problems: Problems) -> None:
    """Nothing can be forgotten and kept, or learnt and never learnt."""
    reasons = {"retain": "the file of what to keep", "holdout": "the file of what was never learnt"}
    for pair in found:
        if pair.kind == SAME and pair.role in reasons:
            problem = f"The example stands in row {pair.forget.row:,} of what to forget too"
            fix = f"Delete it there or from {reasons[pair.role]}."
            problems.add(
                InputError(
                    problem, file=loaded[pair.role].table.file, row=pair.other.row, value=pair.other.text, fix=fix
                )
            )


def _alike(found: Sequence[Overlap]) -> Iterator[Caution]:
    meaning = {
        "retain": "What is kept of the one is kept of the other",
        "holdout": "What the model has learnt of the one it may know of the other: membership inference is drawn to one half, "
        "the good value",
    }
    for role, title in (("retain", "keep"), ("holdout", "compare with")):
        pairs = [pair for pair in found if pair.role == role and pair.kind != SAME]
        if pairs:
            kinds = Counter(pair.kind for pair in pairs)
            told = ", ".join(f"{kind} {n:,}" for kind, n in kinds.items())
            first = pairs[0]
            message = (
                f"Examples to {title} that are like one to forget: {len(pairs):,} ({told}), such as row {first.other.row:,} "
                f"and row {first.forget.row:,} of what to forget. {meaning[role]}: see the table of overlaps."
            )
            yield Caution(code=f"overlap-{role}", message=message, count=len(pairs))
    trained = sum(pair.role == "probes" for pair in found)
    if trained:
        message = (
            f"Probes whose question was trained on word for word: {trained:,}. They say nothing about other words; write "
            "paraphrases."
        )
        yield Caution(code="overlap-probes", message=message, count=trained)


def _noticed(examples: Mapping[str, Sequence[Example]]) -> Iterator[Caution]:
    for role, rows in examples.items():
        repeated = len(rows) - len({(plain(one.question or ""), plain(one.answer)) for one in rows})
        if repeated:
            message = f"Examples that stand in the file {role} more than once: {repeated:,}. They weigh more."
            yield Caution(code=f"repeated-{role}", message=message, count=repeated)
    for role in _NEEDED:
        if len(examples[role]) < FEW:
            message = (
                f"The file {role} has {len(examples[role]):,} examples: with fewer than {FEW} intervals are too narrow."
            )
            yield Caution(code=f"few-{role}", message=message, count=len(examples[role]))
    reworded = any(plain(one.paraphrased_question) not in ("", plain(one.question or "")) for one in examples["forget"])
    if not reworded and not examples.get("probes"):
        message = (
            "There are neither paraphrased questions nor probes: whether other words bring the knowledge back was not "
            "looked at."
        )
        yield Caution(code="no-paraphrases", message=message)


def _continued(examples: Mapping[str, Sequence[Example]], spec: UnlearningSpec) -> Iterator[Caution]:
    """Passages that go on, put as questions: the model is asked in a form in which it never learnt them."""
    if spec.prompt == QUESTION:
        return
    for role, rows in examples.items():
        passages = [one for one in rows if one.question is not None and _goes_on(one)]
        if passages:
            message = (
                f"Examples of the file {role} that are passages to go on with, not questions (MUSE's verbmem, LUME's sc): "
                f"{len(passages):,}, such as row {passages[0].row:,}. The prompt puts them as questions, a form in which a model "
                "has hardly learnt them, so that it seems to know less than it does: for files of passages, set the prompt to "
                f"{QUESTION}."
            )
            yield Caution(code=f"passages-{role}", message=message, count=len(passages))


def _goes_on(example: Example) -> bool:
    return example.task == _PASSAGES or bool(_PASSAGE_ID.search(example.id))


# ---- preview


def preview(role: str, file: InputFile, options: Mapping[str, Any]) -> Preview:
    """What one file turned out to be, with every problem that can be seen in it alone, and its tokens.

    Parameters
    ----------
    options : mapping
        A spec's fields; tokens are counted where it names a model.

    Raises
    ------
    InputError
        If the file as a whole cannot be read, or a setting is wrong.
    """
    if role == REFERENCE:
        return _preview_log(file)
    if role not in ROLES:
        raise InputError(
            "There is no such kind of file", value=role, fix=f"There are {', '.join((*ROLES, REFERENCE))}."
        )
    spec = settings_of(UnlearningSpec, options, named)
    problems, cautions = Problems(), list[Caution]()
    one = _load(file, spec, problems, cautions)
    facts = [one.table.title, *_facts(one.examples, spec)]
    facts += [caution.message.rstrip(".") for caution in cautions[:5]]
    return Preview(
        format="; ".join(facts),
        columns=one.table.names,
        mapping=dict(one.fields),
        rows=tuple(_shown(example) for example in one.examples[:PREVIEW_ROWS]),
        problems=tuple(str(error) for error in problems.errors),
        n_rows=one.table.n_rows,
        n_problems=problems.count,
    )


def _preview_log(file: InputFile) -> Preview:
    """What a log holds; whether it is of the same examples is seen once all files are read."""
    found = logs.read(file.path, file.name)
    ratios, scores = len(found.truth_ratios), sum(map(len, found.min_k.values()))
    parts = [f"{ratios:,} truth ratios"] if ratios else []
    parts += [f"{scores:,} scores of min-k"] if scores else []
    parts += [f"AUC of min-k {found.auc_min_k:.3f}"] if found.auc_min_k is not None else []
    if not parts:
        raise InputError("The log has none of the figures that a comparison needs", file=file.name)
    if found.sha256:
        parts.append(f"of the model with SHA-256 {found.sha256[:12]}…")
    return Preview(
        format=", ".join(parts),
        columns=(),
        mapping={},
        rows=(),
        problems=(),
        n_rows=max(1, ratios, scores),
        n_problems=0,
    )


def _facts(examples: Sequence[Example], spec: UnlearningSpec) -> Iterator[str]:
    if not examples:
        return
    n_texts = sum(example.question is None for example in examples)
    yield f"{n_texts:,} texts" if n_texts else f"{len(examples):,} questions with answers"
    paraphrased = sum(bool(example.paraphrased_question) for example in examples)
    perturbed = sum(bool(example.perturbed_answers) for example in examples)
    if paraphrased or perturbed:
        yield f"{paraphrased:,} with a paraphrased question, {perturbed:,} with wrong answers"
    tasks = Counter(example.task for example in examples if example.task)
    if tasks:
        yield ", ".join(f"{printable(task, 40)[1:-1]} {n:,}" for task, n in tasks.most_common(5))
    if spec.model:
        yield token_facts(examples, spec)


def token_facts(examples: Sequence[Example], spec: UnlearningSpec) -> str:
    """How many tokens examples have by the tokenizer of the model, in words; or why they were not counted."""
    from auditor.models.library import Library
    from auditor.models.words import words_of

    try:
        model = Library().get(spec.model)
        words = words_of(model, model.path)
    except ModelError as error:
        return f"tokens were not counted: {error}".rstrip(".")
    counted = examples[:_COUNTED]
    try:
        found = [
            tokens
            for example in counted
            for tokens in pieces(words, example, Template(spec.prompt), most=spec.max_tokens + 1)
        ]
    finally:
        words.close()
    n = sum(len(tokens.ids) for tokens in found)
    answers = sum(len(tokens.ids) - tokens.answer_from for tokens in found)
    long = sum(len(tokens.ids) > spec.max_tokens for tokens in found)
    of = "" if len(counted) == len(examples) else f" in the first {len(counted):,} rows"
    cut = f", {long:,} longer than {spec.max_tokens:,} tokens" if long else ""
    return f"{n:,} tokens{of}, {answers:,} of them in answers{cut}"


def _shown(example: Example) -> dict[str, str]:
    cells = {"row": str(example.row), "id": example.id, "question": example.question or "", "answer": example.answer}
    optional = {
        "paraphrased_question": example.paraphrased_question,
        "perturbed_answers": " | ".join(example.perturbed_answers),
        "task": example.task,
    }
    cells |= {name: value for name, value in optional.items() if value}
    return {name: printable(value, 160)[1:-1] for name, value in cells.items()}


# ---- single rows, to look at


def unit(file: InputFile, options: Mapping[str, Any], row: int) -> list[tuple[str, str]]:
    """One example to forget as (heading, text).

    Raises
    ------
    InputError
        If there is no such row.
    """
    found = next((parts for _, parts in units(file, options, {row})), None)
    if found is None:
        raise InputError("There is no example in this row", file=file.name, row=row)
    return found


def units(
    file: InputFile, options: Mapping[str, Any], rows: AbstractSet[int]
) -> Iterator[tuple[int, list[tuple[str, str]]]]:
    """Examples of some rows, in the file's order; rows that hold none are left out."""
    for example in _load(file, settings_of(UnlearningSpec, options, named), Problems(), []).examples:
        if example.row in rows:
            parts = [
                ("Question", example.question or ""),
                ("Answer" if example.question is not None else "Text", example.answer),
                ("Paraphrased question", example.paraphrased_question),
                ("Paraphrased answer", example.paraphrased_answer),
                ("Wrong answers", "\n".join(example.perturbed_answers)),
                ("Task", example.task),
                ("Id", example.id),
            ]
            yield example.row, [(heading, text) for heading, text in parts if text]
