"""Parts of the findings that say what a run was made of: labels, prompt, readout, pools, certificate."""

import numpy as np

from auditor.audits.guard.asking import Asked
from auditor.audits.guard.conditions import CORRECT, ZERO_SHOT
from auditor.audits.guard.contextual import CONTENT_FREE
from auditor.audits.guard.findings import CertificateInfo, LabelInfo, PoolsInfo, PromptInfo, ReadoutInfo
from auditor.audits.guard.planning import HARMED, HELPED, fewest
from auditor.audits.guard.verdict import coverage
from auditor.stats.risk_control import Certificate


def certificate_info(asked: Asked, found: Certificate) -> CertificateInfo:
    """What risk control allowed, in full."""
    spec, certifier = asked.spec, asked.certifier
    at, curve = found.index, found.p_values
    pools = pools_info(asked)
    sizes = np.unique(certifier.unit[asked.pools.calibration], return_counts=True)[1]
    made = CertificateInfo(
        certified=found.certified,
        lambda_hat=found.lambda_hat,
        epsilon=spec.epsilon,
        delta=spec.delta,
        delta_spent=certifier.delta,
        options_tried=spec.options_tried,
        n=pools.n_calibration,
        n_units=found.n,
        largest_group=certifier.largest,
        largest_declared=spec.largest_group is not None,
        lambda_step=spec.lambda_step,
        p_value=spec.p_value,
        transform=spec.transform,
        select=spec.select,
        p_at=float(curve[at]) if at else None,
        p_first=float(curve[1]) if len(curve) > 1 else None,
        guaranteed=found.guaranteed,
        lambda_uncorrected=certifier.certify(asked.pools.calibration, select="uncorrected").lambda_hat,
        cover=spec.cover,
        covered=certifier.covered,
        mixture=spec.mixture,
        primary=spec.conditions[0],
        sentence="",
        fewest_harmless=fewest(spec, sizes, largest=certifier.largest),
        fewest_helpful=fewest(spec, sizes, largest=certifier.largest, harmed=HARMED, helped=HELPED),
    )
    return made.model_copy(update={"sentence": coverage(made, pools)})


def pools_info(asked: Asked) -> PoolsInfo:
    """Who took part in what."""
    spec, given = asked.spec, asked.given
    return PoolsInfo(
        n_calibration=len(asked.pools.calibration),
        n_test=len(asked.pools.test),
        n_demonstrations=len(given.demonstrations),
        n_per_prompt=min(spec.n_demonstrations, len(given.demonstrations)),
        demonstrations=spec.demonstrations,
        n_groups=int(asked.certifier.unit.max()) + 1,
    )


def label_infos(asked: Asked) -> tuple[LabelInfo, ...]:
    """Labels and how the model says them."""
    task = asked.given.task
    return tuple(
        LabelInfo(label=label, word=word, spellings=spellings)
        for label, word, spellings in zip(task.labels, task.words, asked.spellings, strict=True)
    )


def prompt_info(asked: Asked) -> PromptInfo:
    """The prompt, word for word."""
    spec, first = asked.spec, asked.given.queries[0]
    with_demonstrations, without = asked.n_tokens
    return PromptInfo(
        instruction=spec.instruction,
        demonstration=spec.demonstration,
        query=spec.query,
        separator=spec.separator,
        example=asked.prompts.text(CORRECT, first).text,
        example_zero_shot=asked.prompts.text(ZERO_SHOT, first).text,
        tokens=with_demonstrations,
        tokens_zero_shot=without,
    )


def readout_info(asked: Asked) -> ReadoutInfo:
    """How the layers are read."""
    spec, n_exits = asked.spec, asked.answers.n_exits
    return ReadoutInfo(
        n_layers=n_exits,
        n_exits=n_exits,
        first_exit=asked.reading.first + 1,
        confidence=spec.confidence_measure,
        contextual_calibration=spec.contextual_calibration,
        content_free=CONTENT_FREE if spec.contextual_calibration else (),
    )
