import json
from pathlib import Path

import jsonschema
import pytest
from auditor.files import read_json
from auditor.resources import resource
from auditor.runs.schemas import schemas


@pytest.mark.parametrize("name", ["spec", "events", "findings", "seal"])
def test_shipped_schema_is_the_contract(name: str) -> None:
    assert read_json(resource("schemas", f"{name}.schema.json")) == schemas()[name]


@pytest.mark.parametrize("name", ["spec", "findings", "seal"])
def test_a_real_run_fulfils_the_schema(finished_run: Path, name: str) -> None:
    jsonschema.validate(read_json(finished_run / f"{name}.json"), read_json(resource("schemas", f"{name}.schema.json")))


def test_every_event_of_a_real_run_fulfils_the_schema_and_is_numbered(finished_run: Path) -> None:
    validator = jsonschema.Draft202012Validator(read_json(resource("schemas", "events.schema.json")))
    events = [json.loads(line) for line in (finished_run / "events.jsonl").read_text().splitlines()]
    for event in events:
        validator.validate(event)
    assert [event["n"] for event in events] == list(range(len(events)))
    assert {"state", "progress", "row", "warning"} <= {event["kind"] for event in events}
    assert [event["state"] for event in events if event["kind"] == "state"] == ["starting", "running", "done"]
