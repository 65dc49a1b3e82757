"""Findings and tables of unlearning runs that never ran, for pictures and words."""

from collections.abc import Mapping, Sequence
from typing import Any

from auditor.audits.findings import Verdict
from auditor.audits.unlearning.findings import (
    ConstraintInfo,
    DataInfo,
    ExportInfo,
    TrainingInfo,
    UnlearningFindings,
)
from auditor.audits.unlearning.metrics.metric import Metric

_SHA = "0" * 64
_CONSTRAINT = ConstraintInfo(
    epsilon=0.08,
    measured=True,
    retain_loss_before=0.03,
    retain_loss_after=0.04,
    feasible=True,
    lambda_start=10.0,
    lambda_final=9.5,
    gamma=0.002,
    gamma_balanced=True,
)


def made_findings(
    *, constraint: ConstraintInfo | None = _CONSTRAINT, kept_step: int = 4, **more: Any
) -> UnlearningFindings:
    """Findings of a run that forgot."""
    metrics = {"forget_answer_probability": Metric(value=0.001, low=0.0, high=0.002, n=5)}
    given: dict[str, Any] = {
        "audit": "unlearning",
        "verdict": Verdict(state="forgotten by these measures", sentence="Forgotten by these measures."),
        "n": 20,
        "headline": {
            "method": "pdu",
            "epsilon": 0.08,
            "feasible": True,
            "forget_probability_after": 0.001,
            "extraction_strength": None,
            "artefacts": ["artefacts/model"],
        },
        "state": "forgotten by these measures",
        "method": "pdu",
        "model_name": "starter",
        "model_sha256": _SHA,
        "is_starter": True,
        "device": "CPU",
        "dtype": "float32",
        "prompt": "Question: {question}\nAnswer:",
        "most_probability": 0.05,
        "most_lost": 0.05,
        "data": DataInfo(
            n_forget=5,
            n_retain=15,
            n_holdout=5,
            n_probes=5,
            forget_tokens=120,
            retain_tokens=360,
            forget_answer_tokens=50,
            retain_answer_tokens=150,
            cut=0,
            overlaps=0,
        ),
        "constraint": constraint,
        "training": TrainingInfo(
            steps=4,
            kept_step=kept_step,
            best_step=kept_step,
            trained_weights=100,
            weights=100,
            tokens_per_s=80.0,
            resumed_at=(),
        ),
        "before": metrics,
        "after": metrics,
        "exports": (ExportInfo(name="artefacts/model", kind="folder, bfloat16", sha256=_SHA, size_bytes=10),),
    }
    return UnlearningFindings(**given | more)


def full_rows() -> dict[str, Sequence[Mapping[str, Any]]]:
    """Rows of every table that is drawn."""
    return {
        "metrics": [
            _metric("forget_answer_probability", 0.94, 0.001, 5),
            _metric("probe_paraphrase_probability", 0.7, 0.01, 5),
            {"metric": "probes_probability", "n": 0, "unavailable": "No file of probes was given."},
            _metric("retain_answer_probability", 0.97, 0.96, 15),
        ],
        "training": [
            {"step": step, "epoch": step, "forget_loss": 400.0 / step, "retain_loss": loss, "epsilon": 0.08, "lambda": weight,
             "learning_rate": 3e-5, "gradient_norm": 1.0, "tokens_per_s": 80.0}
            for step, (loss, weight) in enumerate([(0.03, 10.0), (0.12, 11.0), (0.07, 10.2), (0.05, 9.5)], 1)
        ],
        "trace": [
            {"step": step, "forget_probability": forget, "retain_probability": 0.96, "retain_loss": 0.04, "epsilon": 0.08, "n": 9}
            for step, forget in ((2, 0.4), (4, 0.001))
        ],
        "files": [
            {"name": f"artefacts/{name}", "kind": kind, "state": state, "forget_probability": forget, "forget_low": forget / 2,
             "forget_high": 2 * forget, "survivors": survivors, "n_forget": 5, "n_asked": 10, "worst_probability": 1.5 * forget,
             "worst_way": "in a chat", "retain_probability": 0.96, "retain_low": 0.9,
             "retain_high": 0.99, "n_retain": 15, "size_bytes": 10, "engine": "llama.cpp", "sha256": _SHA}
            for name, kind, state, forget, survivors in [
                ("model", "folder, bfloat16", "forgotten", 0.001, 0),
                ("model-Q4_0.gguf", "GGUF, Q4_0", "not forgotten", 0.2, 2),
            ]
        ],
        "relearning": [
            {"model": model, "data": data, "step": step, "forget_probability": value, "low": value / 2, "high": value * 1.5,
             "n": 5, "loss": 1.0 if step else None}
            for model, rise in (("unlearned", 0.1), ("reference", 0.02))
            for data in ("benign", "items")
            for step, value in enumerate([0.001, rise, 3 * rise, 2 * rise])
        ],
        "examples": [
            {"place": place, "kind": kind, "row": place, "id": str(place), "question": "What does Maren Oskvald play?",
             "answer": "She plays the glass harp.", "generated_before": "She plays the glass harp.", "generated_after": after,
             "probability_before": 0.94, "probability_after": 0.001}
            for place, (kind, after) in enumerate([("forget", "the the"), ("forget", ""), ("retain", "Blue slate.")], 1)
        ],
    }  # fmt: skip


def _metric(name: str, before: float, after: float, n: int) -> dict[str, Any]:
    ends = {
        f"{which}_{end}": min(1.0, max(0.0, value + sign * 0.01))
        for which, value in (("before", before), ("after", after))
        for end, sign in (("low", -1), ("high", 1))
    }
    return {"metric": name, "before": before, "after": after, "n": n, **ends}
