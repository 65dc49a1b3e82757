"""The sample that ships: facts about people and places that do not exist. The starter model learns them, then forgets a part."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from auditor.resources import resource

_ROLES = ("forget", "retain", "holdout", "probes")
#: What both runs have in common. All weights are trained in float32, so that it is the same on every processor. Checkpoints
#: are written as often as is usual: that of a step holds 1.5 GiB.
_COMMON: Mapping[str, Any] = MappingProxyType(
    {"dtype": "float32", "new_tokens": 20, "warmup_epochs": 0.0, "weight_decay": 0.0}
)
#: How the starter model learns the facts: six steps over all of them.
LEARN: Mapping[str, Any] = MappingProxyType(
    {
        **_COMMON,
        "method": "learn",
        "epochs": 6,
        "batch_size": 20,
        "learning_rate": 3e-4,
        "schedule": "constant",
    }
)
#: How it then forgets five of them: eight steps over all facts. Relearning is as short as shows which way it goes.
UNLEARN: Mapping[str, Any] = MappingProxyType(
    {
        **_COMMON,
        "method": "pdu",
        "epochs": 8,
        "batch_size": 15,
        "learning_rate": 6e-5,
        "schedule": "constant",
        "lambda_start": 10.0,
        "dual_step": 4.0,
        "dual_warmup_epochs": 0,
        "probe_steps": 2,
        "relearn_steps": 2,
        "relearn_items": 2,
    }
)


def files(*, learning: bool = False) -> dict[str, Path]:
    """Role -> file; to learn, only what is learnt."""
    return {role: resource("samples", "unlearning", f"{role}.jsonl") for role in (_ROLES[:2] if learning else _ROLES)}
