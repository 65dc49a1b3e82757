"""What the raters of a run said, and how far they agree; the labels that the test uses are made of it while reading."""

from collections.abc import Mapping

from auditor.audits import InputFile
from auditor.audits.parity import columns, readers
from auditor.audits.parity.annotated import annotations_of
from auditor.audits.parity.annotation import DEGREES_RULE, Annotations, agreement, consensus
from auditor.audits.parity.findings import RaterAgreement
from auditor.audits.parity.spec import ParitySpec
from auditor.audits.reading.columnar import Problems

_ROLE = "annotations"


def said(files: Mapping[str, InputFile], spec: ParitySpec) -> Annotations | None:
    """What raters said in a run's file of annotations; None without one.

    Raises
    ------
    InputError
        If a judgement cannot be used.
    """
    if _ROLE not in files:
        return None
    problems = Problems()
    table = readers.load(files[_ROLE], "auto", lambda names: columns.to_read(_ROLE, names, spec), problems)
    fields = columns.fields_of(_ROLE, table.names, table.fields, spec)
    read = {field: name for field, name in fields.items() if name in table.columns}
    found = annotations_of(table, read, spec, problems)
    problems.refuse()
    return found


def rater_agreement(spec: ParitySpec, annotations: Annotations, seed: int) -> RaterAgreement:
    """How far the raters agree whose labels were used, and the rule by which they became one."""
    found = agreement(annotations, confidence=spec.confidence, seed=seed)
    return RaterAgreement(
        raters=found.raters,
        alpha=found.alpha,
        low=found.low,
        high=found.high,
        n_items=found.n_items,
        rule=_rule(spec, annotations),
    )


def _rule(spec: ParitySpec, annotations: Annotations) -> str:
    if annotations.degrees is None:
        return consensus(annotations, spec.consensus, expert=spec.expert).method
    expert = f", or those of {spec.expert} where there are any" if spec.consensus == "expert" else ""
    return DEGREES_RULE.format(expert=expert)
