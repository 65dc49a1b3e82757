"""Findings and tables of guard runs that never ran, for pictures and words: a full one and the smallest."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from auditor.audits.findings import TableInfo, Verdict
from auditor.audits.guard.findings import (
    CertificateInfo,
    GuardFindings,
    LabelInfo,
    PoolsInfo,
    PromptInfo,
    ReadoutInfo,
    SplitsInfo,
)
from auditor.audits.guard.tables import COLUMNS, LEADING

Rows = Sequence[Mapping[str, Any]]
N_LAYERS, N_HEADS = 30, 9


def made_findings(**more: Any) -> GuardFindings:
    """Findings of a certified run; fields of the certificate and the readout may be given as `certificate`, `readout`."""
    certificate = {
        "certified": True,
        "lambda_hat": 0.62,
        "epsilon": 0.05,
        "delta": 0.1,
        "delta_spent": 0.1,
        "options_tried": 1,
        "n": 120,
        "n_units": 120,
        "p_value": "wsr",
        "transform": "scale",
        "select": "fixed",
        "p_at": 0.021,
        "p_first": 0.002,
        "guaranteed": True,
        "lambda_uncorrected": 0.55,
        "cover": "mixture",
        "covered": ("mixture",),
        "mixture": 0.5,
        "primary": "cyclic:1",
        "sentence": "With probability at least 90% the guard loses at most 5 points against zero-shot on this mixture.",
        "fewest_harmless": 95,
        "fewest_helpful": 70,
    } | more.pop("certificate", {})
    readout = {
        "n_layers": N_LAYERS,
        "n_exits": N_LAYERS,
        "first_exit": 16,
        "confidence": "max",
        "contextual_calibration": True,
        "content_free": ("N/A", "[MASK]", ""),
    } | more.pop("readout", {})
    given: dict[str, Any] = {
        "audit": "guard",
        "verdict": Verdict(state="certified", sentence="Certified."),
        "n": 240,
        "state": "certified" if certificate["certified"] else "not certified",
        "model_name": "starter",
        "model_sha256": "0" * 64,
        "is_starter": True,
        "backend": "torch",
        "device": "CPU",
        "dtype": "float32",
        "labels": (
            LabelInfo(label="0", word="negative", spellings=("negative", " negative", " Negative")),
            LabelInfo(label="1", word="positive", spellings=("positive", " positive", " Positive")),
        ),
        "prompt": PromptInfo(
            instruction="Answer with one of: {labels}.",
            demonstration="Text: {text}\nLabel: {label}",
            query="Text: {text}\nLabel:",
            separator="\n\n",
            example="Answer with one of: negative, positive.\n\nText: dull\nLabel: negative\n\nText: a fine film\nLabel:",
            example_zero_shot="Answer with one of: negative, positive.\n\nText: a fine film\nLabel:",
            tokens=412.0,
            tokens_zero_shot=31.5,
        ),
        "readout": ReadoutInfo(**readout),
        "pools": PoolsInfo(
            n_calibration=120,
            n_test=120,
            n_demonstrations=64,
            n_per_prompt=16,
            demonstrations="resampled",
            n_groups=240,
        ),
        "conditions": ("zero-shot", "correct", "mixture", "cyclic:1", "cyclic:0.5"),
        "certificate": CertificateInfo(**certificate),
        "splits": SplitsInfo(n_splits=50, share=0.5, above=3, above_uncorrected=9),
        "n_influence": 20,
        "n_attention": 20,
        "n_timing": 20,
    }
    return GuardFindings(**(given | more))


def made_tables(folder: Path, rows: Mapping[str, Rows]) -> dict[str, Path]:
    """Write rows as tables with the columns of a run; what a row lacks is null."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = {}
    for name, found in rows.items():
        names = [column.name for column in COLUMNS[name][1]]
        columns = {column: [row.get(column) for row in found] for column in names}
        paths[name] = folder / f"{name}.parquet"
        pq.write_table(pa.table(columns), paths[name])
    return paths


def table_infos(rows: Mapping[str, Rows]) -> list[TableInfo]:
    """What findings say of tables."""
    return [
        TableInfo(
            name=name, title=COLUMNS[name][0], rows=len(found), columns=COLUMNS[name][1], leading=LEADING.get(name, 0)
        )
        for name, found in rows.items()
    ]


def smallest_rows() -> dict[str, Rows]:
    """A run of two queries with one attack and a model of a single exit; nothing optional."""
    return {
        "conditions": [
            condition_row("zero-shot", "zero-shot", 0.5, 0.5, n=2),
            condition_row("correct", "correct", 0.5, 0.5, n=2),
            condition_row("cyclic:1", "attack", 0.0, 0.5, n=2, attack="cyclic", strength=1.0),
        ],
        "layers": [layer_row(c, 1, 0.5, n=2) | {"depth": 1.0} for c in ("zero-shot", "correct", "cyclic:1")],
        "risk_curve": [
            {"condition": "mixture", "lambda": 1.0, "risk": 0.0, "harm": 0.0, "benefit": 0.0, "passed": True, "n": 2},
            {"condition": "mixture", "lambda": 0.0, "risk": 0.5, "low": -0.4, "high": 1.0, "harm": 0.5, "benefit": 0.0,
             "p_value": 0.9, "passed": False, "n": 2},
        ],
        "exits": [
            {"condition": "correct", "exit": None, "n": 2, "share": 1.0},
            {"condition": "cyclic:1", "exit": None, "n": 2, "share": 1.0},
        ],
        "cost": [
            {"condition": "correct", "lambda": at, "layer_passes": 2.0 - at, "accuracy": 0.5, "risk": 0.0, "n": 2}
            for at in (1.0, 0.0)
        ],
    }  # fmt: skip


def full_rows() -> dict[str, Rows]:
    """A run with every table, like one of a small model."""
    generator = np.random.default_rng(7)
    return {
        "conditions": _conditions(),
        "layers": _layers(),
        "risk_curve": _risk_curve(),
        "exits": _exits(),
        "splits": _splits(generator),
        "influence": _influence(generator),
        "attention": _attention(generator),
        "cost": _cost(),
        "timing": [
            {"exit": layer, "depth": layer / N_LAYERS, "seconds": 0.08 * layer / N_LAYERS + 0.004, "low": 0.01, "high": 0.1,
             "ratio": min(1.0, 0.96 * layer / N_LAYERS + 0.05), "n": 7}
            for layer in (15, 20, 25, 30)
        ],
    }  # fmt: skip


def condition_row(
    condition: str, kind: str, unguarded: float, guarded: float, *, zero: float = 0.5, n: int = 120, **more: Any
) -> dict[str, Any]:
    """A row of the table of conditions."""
    return {
        "condition": condition,
        "kind": kind,
        "n": n,
        "accuracy_zero_shot": zero,
        "accuracy_unguarded": unguarded,
        "unguarded_low": max(0.0, unguarded - 0.08),
        "unguarded_high": min(1.0, unguarded + 0.08),
        "accuracy_guarded": guarded,
        "guarded_low": max(0.0, guarded - 0.08),
        "guarded_high": min(1.0, guarded + 0.08),
        "risk_unguarded": zero - unguarded,
        "risk_guarded": zero - guarded,
        "risk_low": zero - guarded - 0.06,
        "risk_high": zero - guarded + 0.06,
        **more,
    }


def _conditions() -> Rows:
    rows = [
        condition_row("zero-shot", "zero-shot", 0.7, 0.7, zero=0.7),
        condition_row("correct", "correct", 0.79, 0.76, zero=0.7),
    ]
    rows += [
        condition_row(name, "mixture", 0.79 - 0.25 * share, 0.76 - 0.09 * share, zero=0.7, strength=share)
        for share, name in ((0.5, "mixture"), (0.05, "mixture:0.05"), (0.25, "mixture:0.25"))
    ]
    reach = {"cyclic": 0.26, "random": 0.21, "abstract": 0.1, "repeated": 0.3, "irrelevant": 0.02, "injection": 0.4}
    rows += [
        condition_row(f"{attack}:{share:g}", "attack", 0.79 - drop * share, 0.76 - 0.3 * drop * share, zero=0.7,
                      attack=attack, strength=share)
        for attack, drop in reach.items()
        for share in ((1.0, 0.75, 0.5, 0.25) if attack != "injection" else (0.25,))
    ]  # fmt: skip
    return [*rows, condition_row("cyclic:0.5+last:0.5", "attack", 0.6, 0.69, zero=0.7)]


def layer_row(condition: str, layer: int, accuracy: float, *, n: int = 120) -> dict[str, Any]:
    """A row of the table of layers."""
    low, high = max(0.0, accuracy - 0.08), min(1.0, accuracy + 0.08)
    return {"condition": condition, "exit": layer, "depth": layer / N_LAYERS, "accuracy": accuracy, "low": low, "high": high,
            "confidence": 0.6, "n": n}  # fmt: skip


def _layers() -> Rows:
    rows = []
    for layer in range(1, N_LAYERS + 1):
        rise = 1 / (1 + np.exp(-(layer - 17) / 2))
        late = 1 / (1 + np.exp(-(layer - 24) / 1.2))
        rows += [
            layer_row("zero-shot", layer, 0.5 + 0.2 * rise),
            layer_row("correct", layer, 0.5 + 0.29 * rise),
            layer_row("cyclic:1", layer, 0.5 + 0.24 * rise - 0.22 * late),
        ]
    return rows


def _risk_curve() -> Rows:
    rows = []
    for step in range(101):
        at = 1 - step / 100
        risk = 0.0 if at > 0.9 else 0.16 * (0.9 - at) ** 1.3 - 0.03 * (0.9 - at)
        reach = 0.002 + 0.045 * min(1.0, (1 - at) * 2.2)
        p = min(1.0, float(np.exp(-(0.055 - risk) * 90)))
        rows.append(
            {"condition": "mixture", "lambda": at, "risk": risk, "low": risk - reach, "high": risk + reach, "harm": 0.02,
             "benefit": 0.01, "p_value": None if step == 0 else p, "passed": at >= 0.62 - 1e-9,
             "risk_test": risk + 0.01 * np.sin(9 * at), "n": 120}
        )  # fmt: skip
    return rows


def _exits() -> Rows:
    rows = []
    for condition, fell in (("correct", 0.2), ("cyclic:1", 0.55), ("mixture", 0.38)):
        weight = np.array([np.exp(-((layer - 22) ** 2) / 18) for layer in range(16, N_LAYERS + 1)])
        share = (1 - fell) * weight / weight.sum()
        rows += [
            {"condition": condition, "exit": layer, "n": round(120 * s), "share": float(s)}
            for layer, s in zip(range(16, N_LAYERS + 1), share, strict=True)
        ]
        rows.append({"condition": condition, "exit": None, "n": round(120 * fell), "share": fell})
    return rows


def _splits(generator: np.random.Generator) -> Rows:
    rows = []
    for epsilon in (0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5):
        for split in range(1, 51):
            certified = bool(generator.random() < min(1.0, epsilon * 14))
            risk = float(min(0.12, 0.55 * epsilon) + generator.normal(0, 0.018)) if certified else 0.0
            rows.append(
                {"split": split, "epsilon": epsilon, "lambda": 0.6 if certified else 1.0, "certified": certified,
                 "risk_test": risk, "accuracy_guarded": 0.7 - risk, "accuracy_zero_shot": 0.7, "layer_passes": 1.1,
                 "n_calibration": 120, "n_test": 120}
            )  # fmt: skip
    return rows


def _influence(generator: np.random.Generator, n: int = 40) -> Rows:
    rows = []
    for number in range(n):
        corrupted = number % 3 == 0
        value = float(generator.normal(-0.09 if corrupted else 0.04, 0.05))
        text = (
            "an utterly tedious exercise in patience that never earns its running time"
            if corrupted
            else "warm and funny"
        )
        rows.append(
            {"demonstration": f"d{number}", "text": f"{text} {number}", "word": "positive", "source": "demonstrations.csv",
             "corrupted": corrupted, "influence": value, "low": value - 0.05, "high": value + 0.05,
             "accuracy_change": value / 2, "n": 20}
        )  # fmt: skip
    rows.sort(key=lambda row: row["influence"])
    return [row | {"place": place} for place, row in enumerate(rows, 1)]


def _attention(generator: np.random.Generator) -> Rows:
    rows = []
    for condition, span in (("correct", "correct"), ("cyclic:1", "corrupted")):
        for layer in range(1, N_LAYERS + 1):
            for head in range(1, N_HEADS + 1):
                late = np.exp(-((layer - 22) ** 2) / 30) * generator.random() ** 2
                mass = 0.01 + 0.45 * late * (1.0 if span == "corrupted" else 0.7)
                rows.append(
                    {"condition": condition, "layer": layer, "head": head, "span": span, "mass": float(mass), "n_labels": 16,
                     "n": 20}
                )  # fmt: skip
    return rows


def _cost() -> Rows:
    rows = []
    for condition, reach in (("correct", 0.1), ("cyclic:1", 0.35), ("mixture", 0.22)):
        for step in range(101):
            at = 1 - step / 100
            fell = float(1 / (1 + np.exp(-(at - 0.75) / 0.06)))
            rows.append(
                {"condition": condition, "lambda": at, "layer_passes": 0.55 + 0.35 * at + fell * (1 - 0.2 * reach),
                 "accuracy": 0.7, "risk": 0.01, "fallback": fell, "mean_exit": 20.0, "n": 120}
            )  # fmt: skip
    return rows
