"""A small model of random weights once it knows some facts, for every test that has it forget them."""

from typing import Any

import pytest
from auditor.audits import InputFile, unlearning
from auditor.audits.memory import MemoryContext
from auditor.audits.unlearning.findings import UnlearningFindings
from auditor.audits.unlearning.work import FOLDER
from auditor.models import ModelFile
from auditor.models.folder import inspect_folder
from tests.audits.unlearning.files import facts, jsonl
from tests.audits.unlearning.small_runs import LEARN
from tests.models import small


@pytest.fixture(scope="session")
def given(tmp_path_factory: pytest.TempPathFactory) -> dict[str, InputFile]:
    """What is to be forgotten and kept, what was never learnt, and a question in other words."""
    folder = tmp_path_factory.mktemp("files")
    forget = [row | {"paraphrased_question": f"Say what {row['question'][10:-6]} keeps!"} for row in facts(3)]
    return {
        "forget": jsonl(folder / "forget.jsonl", forget),
        "retain": jsonl(folder / "retain.jsonl", facts(6, first=3)),
        "holdout": jsonl(folder / "holdout.jsonl", facts(3, first=20)),
        "probes": jsonl(
            folder / "probes.jsonl", [{"question": "Ada 0 keeps what?", "answer": "A kettle from year 1900."}]
        ),
    }


@pytest.fixture(scope="session")
def blank(tmp_path_factory: pytest.TempPathFactory) -> ModelFile:
    """The small model before it knows anything."""
    return inspect_folder(small.write(tmp_path_factory.mktemp("models") / "blank"))


@pytest.fixture(scope="session")
def learnt(
    tmp_path_factory: pytest.TempPathFactory, given: dict[str, InputFile], blank: ModelFile
) -> tuple[UnlearningFindings, ModelFile]:
    """The small model once it knows the facts, and the findings of its learning."""
    context = MemoryContext({"model": blank}, seed=3, folder=tmp_path_factory.mktemp("learnt"))
    files = {role: given[role] for role in ("forget", "retain")}
    settings: dict[str, Any] = LEARN
    findings = unlearning.run(unlearning.Spec(**settings), files, context)
    return findings, inspect_folder(context.artefacts / FOLDER)
