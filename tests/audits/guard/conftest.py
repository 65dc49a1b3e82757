"""A small model of random weights with a real tokenizer, and the project's sample for the guard."""

import pytest
from auditor.audits import InputFile
from auditor.files import sha256_of
from auditor.models import ModelFile
from auditor.models.folder import inspect_folder
from auditor.resources import resource
from tests.audits.guard.small_model import write


def sample(role: str) -> InputFile:
    path = resource("samples", "guard", f"{role}.csv")
    return InputFile(path, path.name, sha256_of(path))


@pytest.fixture(scope="session")
def sample_inputs() -> dict[str, InputFile]:
    return {role: sample(role) for role in ("queries", "demonstrations")}


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> ModelFile:
    """A Llama of six layers whose answers are as good as guessed, in a folder as transformers writes it."""
    return inspect_folder(write(tmp_path_factory.mktemp("models") / "tiny"))
