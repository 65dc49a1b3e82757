"""Whether a model is the one that was added: its file or folder hashed again."""

from auditor.errors import ModelError
from auditor.files import sha256_of
from auditor.models.file import ModelFile
from auditor.models.folder import folder_sha256


def require_there(model: ModelFile) -> None:
    """Refuse a model whose file or folder is not where it was.

    Raises
    ------
    ModelError
        If it is gone.
    """
    if not (model.path.is_file() if model.format == "gguf" else model.path.is_dir()):
        raise ModelError(
            f"The {_kind(model)} of model {model.name} is gone: {model.path}. Put it back, or add the model anew."
        )


def require_unchanged(model: ModelFile) -> None:
    """Hash a model's file or folder again.

    Raises
    ------
    ModelError
        If it is gone, cannot be read, or is another than when it was added.
    """
    require_there(model)
    try:
        found = sha256_of(model.path) if model.format == "gguf" else folder_sha256(model.path)
    except OSError as error:
        raise ModelError(
            f"The {_kind(model)} of model {model.name} cannot be read: {error.strerror or error}."
        ) from error
    if found != model.sha256:
        raise ModelError(
            f"The {_kind(model)} of model {model.name} has changed since it was added ({model.path}): do not use it."
        )


def require_gguf(model: ModelFile) -> None:
    """Refuse a folder where llama.cpp is to run the model.

    Raises
    ------
    ModelError
        If it is no GGUF file.
    """
    if model.format != "gguf":
        raise ModelError(f"{model.name} is a folder of weights; llama.cpp runs GGUF files: choose one.")


def _kind(model: ModelFile) -> str:
    return "file" if model.format == "gguf" else "folder"
