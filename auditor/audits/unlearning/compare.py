"""Unlearning runs side by side: several methods, bounds, rates or seeds on the same texts, from the same start model.

The first run is A, every other one in turn B; a difference is A less B. Examples are paired by their questions and answers.
Intervals come from a bootstrap over examples: they say what other examples would change, not what another training would.
These choices are ours.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from auditor.audits import comparison
from auditor.audits.findings import Caution
from auditor.audits.unlearning.compare_examples import KINDS, Shared, Told, examples_table, keys, shared, told
from auditor.audits.unlearning.compare_measures import ComparedMeasure, compared_measures
from auditor.audits.unlearning.compare_settings import differing, parts_of
from auditor.audits.unlearning.measuring import Measured
from auditor.audits.unlearning.metrics.metric import CONFIDENCE
from auditor.audits.unlearning.words import percent
from auditor.errors import InputError
from auditor.models.starter import STARTER_WARNING
from auditor.stats.bootstrap import FEW_GROUPS

#: From here on the start model's own probability of an answer was not measured alike (ours).
_MOST_START_APART = 0.005
_TEXTS = {"forget": "forgets", "retain": "keeps"}


@dataclass(frozen=True)
class RunTables:
    """A finished run, as far as it is compared.

    Attributes
    ----------
    name : str
        What people call it.
    findings : Mapping
        Its findings as plain JSON.
    asked : Mapping
        Its settings.
    seed : int
    before, after : Measured
        What was measured of the start model, and of the model that was made.
    inputs : Mapping
        Hash of each input by role.
    """

    name: str
    findings: Mapping[str, Any]
    asked: Mapping[str, Any]
    seed: int
    before: Measured
    after: Measured
    inputs: Mapping[str, str] = field(default_factory=dict)


class Setting(BaseModel):
    """Something that was not set alike."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    a: Any
    b: Any


class Outcome(BaseModel):
    """What a run says of itself."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    method: str
    verdict: str = Field(description="The verdict's state, in words.")
    retain_loss: float = Field(description="Over all examples to keep after training, nats: what epsilon bounds.")
    epsilon: float
    kept_step: int
    steps: int
    forgotten_below: float
    most_lost: float
    n_files: int = Field(description="Files that were measured and take part in the verdict.")


class PairComparison(BaseModel):
    """Two runs."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    a: str
    b: str
    n: dict[str, int] = Field(description="Examples that both measured, by kind: forget, probes, retain, holdout.")
    measured: dict[str, tuple[int, int]] = Field(description="Examples that A measured, and B.")
    outcomes: tuple[Outcome, Outcome]
    settings: tuple[Setting, ...] = Field(description="What is not the same in both runs.")
    measures: tuple[ComparedMeasure, ...]
    start_apart: float = Field(description="Most that the start model's probability of an answer differs in both.")

    @property
    def differs(self) -> tuple[str, ...]:
        """What is not the same in both runs, by name."""
        return tuple(setting.name for setting in self.settings)

    def measure(self, name: str) -> ComparedMeasure:
        """A figure by name.

        Raises
        ------
        KeyError
            If both runs do not have it.
        """
        for one in self.measures:
            if one.name == name:
                return one
        raise KeyError(name)


#: What came out; a row of its table is a pair and an example; columns of `compare_examples.COLUMNS`.
Comparison = comparison.Comparison[PairComparison]


def compare(runs: Sequence[RunTables], *, confidence: float = CONFIDENCE, seed: int = 0) -> Comparison:
    """Compare the first run with every other one, example by example.

    Parameters
    ----------
    runs : sequence of RunTables
        Two or more.
    confidence : float
        Coverage of the intervals.
    seed : int
        Of the bootstrap.

    Raises
    ------
    InputError
        If there are fewer than two runs, names repeat, or two runs cannot be compared: one has only learnt, they begin with
        different models, forget or keep different texts, or measured no example to forget and to keep together.
    """
    import pyarrow as pa

    names = [run.name for run in runs]
    if len(runs) < 2 or len(set(names)) != len(names):
        raise InputError("A comparison needs two or more different runs", fix="Name each run once.")
    first, *others = [told(run.before, run.after) for run in runs]
    pairs, tables = [], []
    for run, examples in zip(runs[1:], others, strict=True):
        found = _shared(runs[0], run, first, examples)
        pairs.append(_pair(runs[0], run, found, (first, examples), confidence, seed))
        bounds = runs[0].findings["most_probability"], run.findings["most_probability"]
        tables.append(examples_table(runs[0].name, run.name, found, bounds))
    cautions = [*_starters(runs), *_of_training(pairs), *_start(pairs), *_partly(pairs), *_few(pairs)]
    return Comparison(tuple(pairs), tuple(cautions), pa.concat_tables(tables), confidence, seed)


# ---- what may stand side by side


def _shared(
    run_a: RunTables, run_b: RunTables, a: Mapping[str, Sequence[Told]], b: Mapping[str, Sequence[Told]]
) -> dict[str, list[Shared]]:
    """The examples of both runs by kind.

    Raises
    ------
    InputError
        If the runs cannot be compared.
    """
    for run in (run_a, run_b):
        if run.findings.get("constraint") is None:
            raise InputError(
                f"{run.name} has learnt: nothing was to be forgotten", fix="Compare runs that were to forget something."
            )
    if run_a.findings["model_sha256"] != run_b.findings["model_sha256"]:
        raise InputError(
            f"{run_a.name} and {run_b.name} begin with different models, {run_a.findings['model_name']} and "
            f"{run_b.findings['model_name']}: what differs afterwards may have differed before",
            fix="Compare runs that begin with the same model.",
        )
    for role, does in _TEXTS.items():
        if not _same_texts(run_a, run_b, a[role], b[role], role):
            raise InputError(
                f"{run_b.name} {does} other texts than {run_a.name}",
                fix=f"Compare runs with the same file of what it {does}.",
            )
    same_prompt = run_a.asked.get("prompt") == run_b.asked.get("prompt")
    found = {kind: shared(a[kind], b[kind], same_prompt=same_prompt) for kind in KINDS}
    for role, words in (("forget", "forget"), ("retain", "keep")):
        if not found[role]:
            raise InputError(
                f"{run_a.name} and {run_b.name} measured no example to {words} together",
                fix="Of long files each seed draws others: run them with the same seed, or with more evaluated examples.",
            )
    return found


def _same_texts(run_a: RunTables, run_b: RunTables, a: Sequence[Told], b: Sequence[Told], role: str) -> bool:
    """Whether a file is the same; of another file, whether all of it was measured and says the same."""
    reads_a, reads_b = ((run.inputs.get(role), run.asked.get("mapping") or {}) for run in (run_a, run_b))
    if reads_a == reads_b:
        return True
    are_whole = all(len(rows) == run.findings["data"][f"n_{role}"] for run, rows in ((run_a, a), (run_b, b)))
    return are_whole and keys(a) == keys(b)


def _pair(
    run_a: RunTables,
    run_b: RunTables,
    found: Mapping[str, Sequence[Shared]],
    examples: tuple[Mapping[str, Sequence[Told]], Mapping[str, Sequence[Told]]],
    confidence: float,
    seed: int,
) -> PairComparison:
    parts_a, parts_b = (parts_of(run.findings, run.asked, run.seed) for run in (run_a, run_b))
    apart = differing(parts_a, parts_b)
    start = [
        abs(one.a.before.answer_probability - one.b.before.answer_probability)
        for rows in found.values()
        for one in rows
    ]
    return PairComparison(
        a=run_a.name,
        b=run_b.name,
        n={kind: len(found[kind]) for kind in KINDS},
        measured={kind: (len(examples[0][kind]), len(examples[1][kind])) for kind in KINDS},
        outcomes=(_outcome(run_a), _outcome(run_b)),
        settings=tuple(Setting(name=name, a=a, b=b) for name, (a, b) in apart.items()),
        measures=compared_measures(found, confidence=confidence, seed=seed),
        start_apart=float(np.max(start)),
    )


def _outcome(run: RunTables) -> Outcome:
    findings = run.findings
    return Outcome(
        method=findings["method"],
        verdict=findings["state"],
        retain_loss=findings["constraint"]["retain_loss_after"],
        epsilon=findings["constraint"]["epsilon"],
        kept_step=findings["training"]["kept_step"],
        steps=findings["training"]["steps"],
        forgotten_below=findings["most_probability"],
        most_lost=findings["most_lost"],
        n_files=len(findings.get("files") or ()),
    )


# ---- what a reader must know


def _starters(runs: Sequence[RunTables]) -> list[Caution]:
    named = [run.name for run in runs if run.findings.get("is_starter")]
    message = f"{STARTER_WARNING[:1].upper()}{STARTER_WARNING[1:]} ({', '.join(named)})."
    return [Caution(code="starter", message=message, count=len(named))] if named else []


def _of_training(pairs: Sequence[PairComparison]) -> list[Caution]:
    """An interval over examples knows one training of each; and what two trainings have apart."""
    message = (
        "Each run is one training: how far another seed would move it is not in the intervals, so that a clear difference is one "
        "between these models, not yet between their methods."
    )
    found = [Caution(code="one_training", message=message, count=len(pairs))]
    if of_seeds := [pair for pair in pairs if pair.differs == ("seed",)]:
        named = _listed([pair.b for pair in of_seeds])
        message = (
            f"{of_seeds[0].a} and {named} differ in the seed alone, of all that is compared here: their differences are what a "
            "seed makes."
        )
        found.append(Caution(code="seeds", message=message, count=len(of_seeds)))
    causes: dict[tuple[str, ...], list[str]] = {}
    for pair in pairs:
        if len(pair.differs) > 1:
            causes.setdefault(pair.differs, []).append(pair.b)
    for differs, others in causes.items():
        apart = f"{pairs[0].a} differs from {_listed(others)} in {_listed(differs)}"
        message = f"{apart}: no difference can be put down to one of these alone."
        found.append(Caution(code="several_causes", message=message, count=len(others)))
    return found


def _start(pairs: Sequence[PairComparison]) -> list[Caution]:
    apart = [pair for pair in pairs if pair.start_apart > _MOST_START_APART]
    if not apart:
        return []
    told_apart = "; ".join(f"{pair.a} and {pair.b} by up to {percent(pair.start_apart)} on an answer" for pair in apart)
    message = (
        f"The start model itself was measured differently ({told_apart}): with another prompt, cut, number format or device. "
        "Differences of this size may come from the measuring."
    )
    return [Caution(code="start_apart", message=message, count=len(apart))]


def _partly(pairs: Sequence[PairComparison]) -> list[Caution]:
    """Where a run measured examples that the other one did not."""
    named = {"forget": "to forget", "probes": "of the probes", "retain": "to keep", "holdout": "held out"}
    told_apart = [
        f"{pair.n[kind]:,} {named[kind]} of {a:,} in {pair.a} and {b:,} in {pair.b}"
        for pair in pairs
        for kind, (a, b) in pair.measured.items()
        if pair.n[kind] < max(a, b)
    ]
    if not told_apart:
        return []
    message = f"Only the examples that both measured are compared: {'; '.join(told_apart)}."
    return [Caution(code="partly", message=message, count=len(told_apart))]


def _few(pairs: Sequence[PairComparison]) -> list[Caution]:
    least = min(measure.n_different for pair in pairs for measure in pair.measures if measure.group != "membership")
    if least >= FEW_GROUPS:
        return []
    rest = f"Some figures rest on {least} different {'example' if least == 1 else 'examples'}"
    what = "they have no intervals" if least < 2 else f"intervals of fewer than {FEW_GROUPS} are too narrow"
    message = f"{rest}: {what}."
    return [Caution(code="few_groups", message=message, count=least)]


def _listed(items: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(items[:-1]), items[-1])))
