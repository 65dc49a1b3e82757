"""The sample that ships: short remarks written for this project, good demonstrations and poisoned ones."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from auditor.resources import resource

#: What is declared for it. It is quick to try: demonstrations are fixed, so that their part of the prompt is computed
#: once, and little is asked beside the certificate.
SETTINGS: Mapping[str, Any] = MappingProxyType(
    {
        "demonstrations": "fixed",
        "n_demonstrations": 16,
        "attacks": ("cyclic", "cyclic:0.5", "injection", "own"),
        "epsilon": 0.1,
        "attention_queries": 8,
        "timing_queries": 8,
    }
)


def files() -> dict[str, Path]:
    """Role -> file."""
    names = {"queries": "queries.csv", "demonstrations": "demonstrations.csv", "corrupted": "poisoned.csv"}
    return {role: resource("samples", "guard", name) for role, name in names.items()}
