"""What a run would test and how long it would take, told before it starts: everything is read as the run will read it."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from auditor.audits import InputFile
from auditor.audits.parity import answers, inputs
from auditor.audits.parity.data import Results, without_self
from auditor.audits.parity.findings import Mode
from auditor.audits.parity.hypotheses import Tester
from auditor.audits.parity.robustness import usual_permutations
from auditor.audits.parity.spec import ParitySpec
from auditor.audits.parity.subject import Subject, resolve, subject

#: Relabellings before the clock starts, while libraries load, and those that are timed.
_WARM, _TRIED = 9, 199
#: Seconds for everything beside reading and relabelling.
_OTHER_SECONDS = 2.0
#: Bytes of memory at least, and for each result: 222 MiB were measured for 20,000 results, 487 MiB for 500,000.
_BASE_BYTES, _SLOT_BYTES = 220_000_000, 600
_SHORT = {
    "A": "every query an item",
    "B": "query groups known",
    "C1": "against the catalog",
    "C2": "against target shares",
}


@dataclass(frozen=True)
class Checked:
    """What a run would test.

    Attributes
    ----------
    mode : str
    facts : str
        In one line.
    cautions : tuple of str
    n_queries, n_items, n_slots : int
        Of the files.
    groups, levels : tuple of str
        That would be compared.
    seconds : float
        From the time that reading and some relabellings took here.
    memory_bytes : int
    """

    mode: Mode
    facts: str
    cautions: tuple[str, ...]
    n_queries: int
    n_items: int
    n_slots: int
    groups: tuple[str, ...]
    levels: tuple[str, ...]
    seconds: float
    memory_bytes: int


def check(files: Mapping[str, InputFile], spec: ParitySpec) -> Checked:
    """Read the files and time the test.

    Raises
    ------
    InputError
        If the run would be refused.
    """
    begun = time.perf_counter()
    results, mode, primary = declared(files, spec)
    read_seconds = time.perf_counter() - begun
    asked = Tester(spec, results, mode, seed=0)
    _time(asked, primary, _WARM)
    tried = _time(asked, primary, _TRIED)
    omnibus = 0 if primary.attribute.scale.kind == "nominal" else 1
    shuffles = (1 + omnibus + len(asked.secondary())) * spec.permutations
    shuffles += usual_permutations(asked, several_raters="annotations" in files)
    seconds = read_seconds + _OTHER_SECONDS + tried * shuffles / _TRIED
    return Checked(
        mode=mode,
        facts=_facts(primary, mode),
        cautions=tuple(caution.message for caution in results.cautions),
        n_queries=results.n_queries,
        n_items=results.n_items,
        n_slots=len(results.item),
        groups=primary.group_names,
        levels=primary.attribute.scale.levels,
        seconds=seconds,
        memory_bytes=_BASE_BYTES + _SLOT_BYTES * len(results.item),
    )


def declared(files: Mapping[str, InputFile], spec: ParitySpec) -> tuple[Results, Mode, Subject]:
    """What the declared hypothesis is about: results, mode, and the lists that are compared.

    Raises
    ------
    InputError
        If the run would be refused.
    """
    results = inputs.read(files, spec)
    mode, _ = resolve(spec, results)
    results = without_self(results) if mode == "A" else results
    primary = subject(spec, results, mode, next(iter(results.attributes.values())), spec.k)
    answers.check_levels(primary.attribute, results)
    answers.check_margin(spec, primary)
    return results, mode, primary


def _time(asked: Tester, primary: Subject, n_permutations: int) -> float:
    """Seconds for some relabellings."""
    fewer = asked.spec.model_copy(update={"permutations": n_permutations, "sequential": False})
    begun = time.perf_counter()
    replace(asked, spec=fewer).test(primary, None, asked.declared(), None)
    return time.perf_counter() - begun


def _facts(primary: Subject, mode: Mode) -> str:
    lengths = primary.lists.size
    per_query = f"{lengths[0]:,}" if np.all(lengths == lengths[0]) else f"{lengths.min():,} to {lengths.max():,}"
    unknown = int((primary.lists.size - primary.lists.known).sum())
    parts = [f"{len(primary.lists.queries):,} queries × {per_query} results"]
    parts += [f"{len(primary.group_names)} groups"] if mode in ("A", "B") else []
    parts.append(f"mode {mode} ({_SHORT[mode]})")
    parts += [f"{unknown:,} results without a known {primary.attribute.name}"] if unknown else []
    return ", ".join(parts)
