"""The examples that two unlearning runs have in common, and the long table of them: a row for each example."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import ValidationError

from auditor.audits.findings import Column
from auditor.audits.unlearning.measuring import PROBES, Measured
from auditor.audits.unlearning.probes import ANSWER_START, QUESTION, ProbeRow
from auditor.audits.unlearning.scored import Scored
from auditor.errors import InputError

if TYPE_CHECKING:
    import pyarrow as pa

#: In the order of the table: what is forgotten first.
KINDS = ("forget", PROBES, "retain", "holdout")
#: Which of two models is above its bound, by whether A is and whether B is.
ABOVE = ("neither", "B alone", "A alone", "both")

COLUMNS = (
    Column(name="a", title="A", description="Name of the first run."),
    Column(name="b", title="B", description="Name of the run it stands beside."),
    Column(name="kind", title="Kind", description="forget, probes, retain or holdout."),
    Column(name="id", title="Id", description="Id in the file, or the row."),
    Column(name="row_a", title="Row in A", description="Row in its file of A; in a table with a header that is row 1."),
    Column(name="row_b", title="Row in B", description="The same in the file of B."),
    Column(name="question", title="Question", description="As it was asked; empty for plain texts."),
    Column(name="answer", title="Answer", description="As the file has it."),
    Column(
        name="start",
        title="Start",
        description="Probability a token of the answer to the start model, without the token that ends it.",
    ),
    Column(name="probability_a", title="A", description="The same to the model that A has made."),
    Column(name="probability_b", title="B", description="The same to the model that B has made."),
    Column(name="difference", title="A less B", description="Probability to A's model less that to B's."),
    Column(
        name="worst_a",
        title="At worst, A",
        description="Highest probability to A's model in any way in which both runs asked for it without giving a part of it, of "
        "what was to be forgotten.",
    ),
    Column(name="worst_b", title="At worst, B", description="The same to B's model."),
    Column(
        name="above",
        title="Above the bound",
        description="Of what was to be forgotten: whose model has it, at worst, above the probability that counts as forgotten.",
    ),
    Column(name="rouge_a", title="ROUGE, A", description="ROUGE-L recall of the answer that A's model generates."),
    Column(name="rouge_b", title="ROUGE, B", description="The same of B's model."),
    Column(name="said_start", title="Start says", description="The start model's likeliest answer, token by token."),
    Column(name="said_a", title="A says", description="The likeliest answer of A's model."),
    Column(name="said_b", title="B says", description="The likeliest answer of B's model."),
)


@dataclass(frozen=True)
class Way:
    """One way in which an example was asked for."""

    kind: str
    before: ProbeRow
    after: ProbeRow


@dataclass(frozen=True)
class Told:
    """One example of a run: what the start model and the model that was made say of it."""

    before: Scored
    after: Scored
    ways: tuple[Way, ...] = ()


@dataclass(frozen=True)
class Shared:
    """One example that two runs have in common.

    Attributes
    ----------
    key : str
        Question and answer: examples with the same ones are drawn together.
    ways : tuple of (Way, Way)
        Those in which both runs asked for it.
    """

    key: str
    a: Told
    b: Told
    ways: tuple[tuple[Way, Way], ...] = ()

    def probabilities(self, kind: str) -> tuple[float, float, float] | None:
        """Mean over the ways of a kind of the start's probability, A's and B's; None where there is none."""
        own = [(a.before.probability, a.after.probability, b.after.probability) for a, b in self.ways if a.kind == kind]
        if not own:
            return None
        start, of_a, of_b = np.mean(own, axis=0).tolist()
        return start, of_a, of_b

    @property
    def at_worst(self) -> tuple[float, float, float]:
        """The start's highest probability, A's and B's, over all ways in which both runs asked; an answer begun is none."""
        own = (self.a.before.answer_probability, self.a.after.answer_probability, self.b.after.answer_probability)
        others = [
            (a.before.probability, a.after.probability, b.after.probability)
            for a, b in self.ways
            if a.kind != ANSWER_START
        ]
        start, of_a, of_b = np.max([own, *others], axis=0).tolist()
        return start, of_a, of_b


def measured_of(name: str, stages: Mapping[str, Any]) -> tuple[Measured, Measured]:
    """What was measured of the start model and of the model that was made.

    Parameters
    ----------
    name : str
        Of the run, for messages.
    stages : mapping
        Name of a stage of the run -> its result, as it was flushed.

    Raises
    ------
    InputError
        If the run has not come so far, or keeps it in another form.
    """
    fix = "Resume it under Unlearn until it is finished, or run it again."
    if missing := [stage for stage in ("before", "after") if stage not in stages]:
        raise InputError(f"The run {name} is not finished: nothing was measured {missing[0]} the training", fix=fix)
    try:
        return Measured.model_validate(stages["before"]), Measured.model_validate(stages["after"])
    except ValidationError:
        raise InputError(
            f"The run {name} keeps what it measured in a form that is not known here",
            fix="It was made by another version of the program: run it again with this one.",
        ) from None


def told(before: Measured, after: Measured) -> dict[str, list[Told]]:
    """Examples of a run by kind, in the order of their files."""
    ways: dict[int, list[Way]] = {}
    for old, new in zip(before.other_ways, after.other_ways, strict=True):
        if new.kind != QUESTION:  # that is the example itself
            ways.setdefault(new.row, []).append(Way(new.kind, old, new))
    found: dict[str, list[Told]] = {kind: [] for kind in KINDS}
    for old_one, new_one in zip(before.examples, after.examples, strict=True):
        own = tuple(ways.get(new_one.row, ())) if new_one.set == "forget" else ()
        found[new_one.set].append(Told(old_one, new_one, own))
    return found


def keys(examples: Sequence[Told]) -> Counter[str]:
    """How often each question with its answer stands there."""
    return Counter(one.after.key for one in examples)


def shared(a: Sequence[Told], b: Sequence[Told], *, same_prompt: bool) -> list[Shared]:
    """The examples of a kind that both runs have, in the order of A.

    Parameters
    ----------
    same_prompt : bool
        Whether both put their questions in the same way. If so, only what was asked for word for word alike is taken.
    """
    theirs: dict[str, list[Told]] = {}
    for one in b:
        theirs.setdefault(one.after.key, []).append(one)
    found = []
    for one in a:
        key = one.after.key
        if others := theirs.get(key):
            other = others.pop(0)
            found.append(Shared(key, one, other, _ways(one, other, same_prompt)))
    return found


def _ways(a: Told, b: Told, same_prompt: bool) -> tuple[tuple[Way, Way], ...]:
    found: list[tuple[Way, Way]] = []
    for kind in dict.fromkeys(way.kind for way in a.ways):
        mine, theirs = ([way for way in one.ways if way.kind == kind] for one in (a, b))
        found += [
            pair
            for pair in zip(mine, theirs, strict=False)
            if pair[0].after.wanted == pair[1].after.wanted
            and (not same_prompt or pair[0].after.prompt == pair[1].after.prompt)
        ]
    return tuple(found)


def examples_table(
    name_a: str, name_b: str, found: Mapping[str, Sequence[Shared]], bounds: tuple[float, float]
) -> "pa.Table":
    """Every example of a pair of runs, columns of `COLUMNS`.

    Parameters
    ----------
    bounds : tuple of float
        Probability that counts as forgotten in A, and in B.
    """
    import pyarrow as pa

    rows = [_row(name_a, name_b, kind, one, bounds) for kind in KINDS for one in found.get(kind, ())]
    return pa.Table.from_pylist(rows, schema=pa.schema([(column.name, _type(column.name)) for column in COLUMNS]))


def _row(name_a: str, name_b: str, kind: str, one: Shared, bounds: tuple[float, float]) -> dict[str, Any]:
    a, b = one.a.after, one.b.after
    worst_a = worst_b = above = None
    if kind == "forget":
        _, worst_a, worst_b = one.at_worst
        above = ABOVE[2 * (worst_a > bounds[0]) + (worst_b > bounds[1])]
    return {
        "a": name_a,
        "b": name_b,
        "kind": kind,
        "id": a.id,
        "row_a": a.row,
        "row_b": b.row,
        "question": a.question,
        "answer": a.answer,
        "start": one.a.before.answer_probability,
        "probability_a": a.answer_probability,
        "probability_b": b.answer_probability,
        "difference": a.answer_probability - b.answer_probability,
        "worst_a": worst_a,
        "worst_b": worst_b,
        "above": above,
        "rouge_a": a.rouge_recall,
        "rouge_b": b.rouge_recall,
        "said_start": one.a.before.generation,
        "said_a": a.generation,
        "said_b": b.generation,
    }


def _type(name: str) -> "pa.DataType":
    import pyarrow as pa

    if name in ("row_a", "row_b"):
        return pa.int64()
    is_number = name in ("start", "difference") or name.startswith(("probability_", "worst_", "rouge_"))
    return pa.float64() if is_number else pa.string()
