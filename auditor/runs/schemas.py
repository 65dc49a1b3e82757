"""JSON schemas of the run directory, made from the contract: ``python -m auditor.runs.schemas`` writes them."""

from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from auditor.audits.findings import Findings
from auditor.files import write_json
from auditor.runs.contract import Event, RunSpec, Seal

_DIALECT = "https://json-schema.org/draft/2020-12/schema"


def schemas() -> dict[str, dict[str, Any]]:
    """Schema by file: spec, events (of one line), findings (what all audits share), seal."""
    findings = Findings.model_json_schema()
    # Every audit adds its own fields to the shared ones.
    findings["additionalProperties"] = True
    made = {
        "spec": RunSpec.model_json_schema(),
        "events": TypeAdapter(Event).json_schema(),
        "findings": findings,
        "seal": Seal.model_json_schema(),
    }
    return {name: {"$schema": _DIALECT, **schema} for name, schema in made.items()}


if __name__ == "__main__":
    for name, schema in schemas().items():
        write_json(Path(__file__).parents[2] / "resources" / "schemas" / f"{name}.schema.json", schema)
