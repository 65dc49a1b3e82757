"""Carry out a parity run: read, test, estimate, ask how far the answer holds, and write it all down.

The order is that of the answer: a first p-value within a second from the closed form, then the permutation test of the
declared hypothesis, then everything else. Each part is flushed when it is done (see `auditor.audits.stages`),
and of a test each block of permutations, so that an interrupted run goes on from there and ends with the same bytes.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from pydantic import BaseModel, ConfigDict

from auditor.audits import Context, InputFile
from auditor.audits.findings import Caution, Provenance, TableInfo, Verdict
from auditor.audits.parity import answers, cells, hue, output, power_of_data, tables
from auditor.audits.parity import findings as made
from auditor.audits.parity import inputs as files
from auditor.audits.parity.annotation import Annotations
from auditor.audits.parity.data import Results, without_self
from auditor.audits.parity.findings import EffectInfo, NullTestInfo, ParityFindings, ScaleInfo
from auditor.audits.parity.headline import UNITS
from auditor.audits.parity.hypotheses import Hypothesis, Tester, told
from auditor.audits.parity.null_blocks import NullBlocks
from auditor.audits.parity.null_test import SoFar
from auditor.audits.parity.raters import rater_agreement, said
from auditor.audits.parity.reservations import reservations
from auditor.audits.parity.robustness import analyse
from auditor.audits.parity.sheet import image_cautions, sheet
from auditor.audits.parity.spec import ParitySpec
from auditor.audits.parity.stages import Sharpening
from auditor.audits.parity.subject import Subject, resolve, subject
from auditor.audits.parity.tones import scale_of
from auditor.audits.parity.verdict import Answer
from auditor.audits.stages import Stages, stop_if_asked


class _Primary(BaseModel):
    """The declared test with its null distribution."""

    model_config = ConfigDict(frozen=True)

    info: NullTestInfo
    null: tuple[float, ...]


@dataclass(frozen=True)
class _Answered:
    """Everything that was asked of the results, answered; the first effect is the primary one."""

    test: _Primary
    omnibus: NullTestInfo | None
    further_tests: list[NullTestInfo]
    effects: list[EffectInfo]
    answer: Answer
    concentration: made.Concentration
    power: power_of_data.Power
    sensitivity: list[made.SensitivityInfo]
    raters: made.RaterAgreement | None


def run(spec: ParitySpec, inputs: Mapping[str, InputFile], context: Context) -> ParityFindings:
    """Test search results for dependence on a protected attribute.

    Parameters
    ----------
    spec : ParitySpec
    inputs : mapping
        Role "results" -> file; "catalog", "queries", "shares", "annotations" where there are any.
    context : Context

    Raises
    ------
    InputError
        If a file cannot be used, or the inputs do not allow the test that was asked for.
    Cancelled
        If a person asked for it; what was computed stays.
    """
    context.progress(0, None, "Reading the files")
    results = files.read(inputs, spec)
    return carry_out(spec, results, context, said(inputs, spec))


def carry_out(
    spec: ParitySpec, results: Results, context: Context, annotations: Annotations | None = None
) -> ParityFindings:
    """The same on results that were read already; `annotations` is what raters said, if they did."""
    mode, reason = resolve(spec, results)
    results = without_self(results) if mode == "A" else results
    for caution in results.cautions:
        context.warning(caution.code, caution.message, caution.count)
    tester = Tester(spec, results, mode, context.seed)
    primary = _subject(tester, tester.primary())
    answers.check_levels(primary.attribute, results)
    answers.check_margin(spec, primary)
    found = _answered(tester, primary, context, annotations)
    context.progress(1, 1, "Making tables and findings")
    saved = _tables(tester, primary, found, context)
    shown = sheet(context.table("queries"), context.table("slots"))
    of_images = image_cautions(shown, pictures=spec.pictures, go_on=lambda: stop_if_asked(context))
    return _findings(tester, reason, primary, found, saved, of_images)


def _answered(tester: Tester, primary: Subject, context: Context, annotations: Annotations | None) -> _Answered:
    """Ask everything, in the order in which a person wants to know it."""
    spec, stages, blocks = tester.spec, Stages(context), NullBlocks(context)
    test = stages.once("primary", _Primary, lambda: _tested(tester, primary, context, blocks))
    omnibus = stages.once("omnibus", NullTestInfo | None, lambda: _omnibus(tester, primary, test.info, context, blocks))
    further, further_tests = _secondary(tester, stages, context, blocks)
    blocks.remove()
    context.progress(0, None, "Estimating effects")
    effects = stages.once("effects", list[EffectInfo], lambda: answers.effects(tester, primary))
    more_effects = stages.once(
        "further effects", list[EffectInfo], lambda: [answers.effects(tester, each)[0] for each in further]
    )
    context.progress(0, None, "Asking how far the answer holds")
    concentration = stages.once("concentration", made.Concentration, lambda: answers.concentration(tester, primary))
    return _Answered(
        test=test,
        omnibus=omnibus,
        further_tests=further_tests,
        effects=[*effects, *more_effects],
        answer=answers.verdict(tester, primary, effects, test.info, omnibus),
        concentration=concentration,
        power=stages.once(
            "power",
            power_of_data.Power,
            lambda: power_of_data.power(tester, primary, concentration, context.cancelled),
        ),
        sensitivity=stages.once(
            "sensitivity",
            list[made.SensitivityInfo],
            lambda: analyse(tester, primary, effects, annotations, context, stages) if spec.sensitivity else [],
        ),
        raters=None if annotations is None else rater_agreement(spec, annotations, context.seed),
    )


def _subject(tester: Tester, hypothesis: Hypothesis) -> Subject:
    attribute = tester.results.attributes[hypothesis.attribute]
    return subject(tester.spec, tester.results, tester.mode, attribute, hypothesis.k)


def _tested(tester: Tester, primary: Subject, context: Context, blocks: NullBlocks) -> _Primary:
    test = tester.test(primary, Sharpening(context, "Shuffling"), tester.declared(), blocks.of("primary"))
    return _Primary(info=told(tester.primary(), test, "primary", None), null=tuple(test.null.tolist()))


def _omnibus(
    tester: Tester, primary: Subject, test: NullTestInfo, context: Context, blocks: NullBlocks
) -> NullTestInfo | None:
    """Whether distributions differ in any way, where the primary statistic looks at where they lie only."""
    statistic = tester.omnibus(primary, test.statistic_name)
    if statistic is None:
        return None

    def tell(so_far: SoFar) -> None:
        stop_if_asked(context)
        context.progress(so_far.done, so_far.total, "Shuffling for differences in shape")

    found = tester.test(primary, tell, statistic, blocks.of("omnibus"))
    return told(tester.primary(), found, "omnibus", None)


def _secondary(
    tester: Tester, stages: Stages, context: Context, blocks: NullBlocks
) -> tuple[list[Subject], list[NullTestInfo]]:
    hypotheses = tester.secondary()
    subjects = [_subject(tester, hypothesis) for hypothesis in hypotheses]

    def test() -> list[NullTestInfo]:
        progress = Sharpening(context, "Shuffling for further hypotheses")
        return tester.test_family(hypotheses, subjects, progress, blocks.of)

    return subjects, stages.once("secondary", list[NullTestInfo], test) if hypotheses else []


def _tables(tester: Tester, primary: Subject, found: _Answered, context: Context) -> list[TableInfo]:
    spec, results = tester.spec, tester.results
    of_queries = output.score(primary, found.effects[0].level)
    levels = primary.attribute.scale.levels
    descriptive = answers.descriptive(tester, primary)
    rows = {
        "tests": [info.model_dump() for info in _tests(found)],
        "effects": [effect.model_dump() for effect in found.effects],
        "cells": cells.cell_rows(results, primary, tester.mode, confidence=spec.confidence),
        "null": output.null_rows(np.array(found.test.null)),
        "rank_profile": output.profile_rows(results, primary, confidence=spec.confidence),
        "ita": output.tone_rows(results, primary, seed=context.seed),
        "hue": hue.hue_rows(results, primary),
        "power": output.power_rows(found.power.rows),
        "sensitivity": [row.model_dump() for row in found.sensitivity],
        "ranking": output.ranking_rows(descriptive),
        "descriptive": descriptive,
        "slots": output.slot_rows(results, primary, of_queries.deviation),
    }
    units = {"sensitivity": {"effect": UNITS.get(found.effects[0].unit, "")}}
    saved = [tables.save(context, name, of_table, units.get(name)) for name, of_table in rows.items()]
    has_target = primary.target is not None
    columns = tables.query_columns(
        levels,
        of_queries.what,
        of_queries.unit,
        has_target=has_target,
        has_hue=primary.attribute.hue is not None,
    )
    queries = output.query_rows(results, primary, of_queries)
    return [*saved, tables.save_as(context, "queries", "Queries", columns, queries)]


def _tests(found: _Answered) -> list[NullTestInfo]:
    omnibus = [] if found.omnibus is None else [found.omnibus]
    return [found.test.info, *omnibus, *found.further_tests]


def _findings(
    tester: Tester,
    reason: str,
    primary: Subject,
    found: _Answered,
    saved: list[TableInfo],
    of_images: list[Caution],
) -> ParityFindings:
    spec, results, mode = tester.spec, tester.results, tester.mode
    scale, first, test, answer = primary.attribute.scale, found.effects[0], found.test.info, found.answer
    excluded = answers.excluded(results, primary, mode)
    cautions = [
        *answers.cautions(tester, primary, first, test.p_value, found.concentration, excluded),
        *reservations(tester, primary, found.effects, test, found.omnibus),
    ]
    headline = {
        "p_value": test.p_value,
        "p_interval": [test.p_low, test.p_high],
        "statistic": test.statistic,
        "statistic_name": test.statistic_name,
        "effect": first.value,
        "effect_name": first.name,
        "effect_unit": first.unit,
        "ci_low": first.low,
        "ci_high": first.high,
        "minimum_detectable_effect": answer.minimum_detectable_effect,
        "n_queries": len(primary.lists.queries),
        "n_items": results.n_items,
        "excluded": excluded.slots_without_attribute + sum(excluded.slots_by_reason.values()),
        "mode": mode,
    }
    return ParityFindings(
        audit="parity",
        verdict=Verdict(state=answer.state, sentence=answer.sentence),
        n=len(primary.lists.queries),
        headline=headline,
        warnings=[*results.cautions, *of_images, *cautions],
        limitations=made.limitations(mode, of_skin=scale.kind == "ita" or scale_of(scale.levels) is not None),
        tables=saved,
        provenance=Provenance(
            device="processor",
            seed=tester.seed,
            settings={"relabellings": test.n_permutations, "mode": mode, "statistic": test.statistic_name},
        ),
        mode=mode,
        mode_reason=reason,
        attribute=primary.attribute.name,
        scale=ScaleInfo(kind=scale.kind, levels=scale.levels),
        group_names=primary.group_names,
        k=spec.k,
        more_k=spec.more_k,
        more_attributes=tuple(results.attributes)[1:],
        alpha=spec.alpha,
        confidence=spec.confidence,
        margin=spec.margin,
        weights=spec.weights,
        strata=spec.strata or tuple(name for field, name in spec.mapping.items() if field == "stratum"),
        n_strata=answers.n_strata(results, primary, mode),
        n_queries=len(primary.lists.queries),
        n_queries_read=results.n_queries,
        n_items=results.n_items,
        n_catalog=int(results.in_catalog.sum()),
        n_slots=int(primary.lists.size.sum()),
        n_slots_known=int(primary.lists.known.sum()),
        primary=test,
        omnibus=found.omnibus,
        tests=found.further_tests,
        effects=found.effects,
        state=answer.state,
        detectable=answer.detectable,
        minimum_detectable_effect=answer.minimum_detectable_effect,
        excluded=excluded,
        concentration=found.concentration,
        power=found.power.info,
        sensitivity=found.sensitivity,
        raters=found.raters,
        pictures=spec.pictures,
        system=spec.system,
        sampling_window=spec.sampling_window,
        annotation_protocol=spec.annotation_protocol,
    )
