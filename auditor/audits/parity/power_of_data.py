"""What the data at hand could have seen: the detectable bias of their design, by formula and by simulation."""

import dataclasses
from collections.abc import Callable
from typing import Any

from pydantic import BaseModel, ConfigDict

from auditor.audits.parity import power as planning
from auditor.audits.parity.findings import Concentration, PowerInfo
from auditor.audits.parity.hypotheses import Tester
from auditor.audits.parity.subject import Subject
from auditor.errors import InputError


class Power(BaseModel):
    """What the data at hand could have seen, with the rows of its curves."""

    model_config = ConfigDict(frozen=True)

    info: PowerInfo | None
    rows: list[dict[str, Any]]


def power(tester: Tester, subject: Subject, found: Concentration, cancelled: Callable[[], bool] | None = None) -> Power:
    """Detectable bias of the data at hand, by formula and simulation, with curves; none without groups to compare.

    Raises
    ------
    Cancelled
        If `cancelled` says so.
    """
    spec = tester.spec
    try:
        design = planning.design_of(
            subject.lists, subject.group, icc=found.icc, alpha=spec.alpha, power=spec.power_target
        )
    except InputError:
        return Power(info=None, rows=[])
    answer = planning.power_at_hand(design, seed=tester.seed, cancelled=cancelled)
    simulated = answer.simulated
    info = PowerInfo(
        n_queries=design.n_queries,
        k=design.k,
        q=design.q,
        pi=design.pi,
        icc=design.icc,
        detectable_bias=answer.detectable_bias_two_sided,
        simulated_power=None if simulated is None else simulated.power,
        simulated_low=None if simulated is None else simulated.low,
        simulated_high=None if simulated is None else simulated.high,
        simulated_bias=answer.simulated_bias,
        sentence=answer.sentence,
        notes=(*_two_of_many(subject), *answer.notes),
    )
    return Power(info=info, rows=[dataclasses.asdict(row) for row in answer.rows])


def _two_of_many(subject: Subject) -> list[str]:
    """Which two groups and which level the injection model is about, where there are more."""
    names, levels = subject.group_names, subject.attribute.scale.levels
    if len(names) == len(levels) == 2:
        return []
    group, level = planning.hardest(subject.lists, subject.group)
    note = (
        f"The model knows two groups and one level. Here they are the smallest group, {names[group]}, against all others, and "
        f"{levels[level]}, whose share of the results is closest to one half: the hardest bias to detect."
    )
    return [note]
