"""Room that an unlearning run takes on the disk, and whether it is there before anything is trained."""

import shutil
from pathlib import Path

from auditor.audits import Context
from auditor.audits.unlearning.spec import UnlearningSpec
from auditor.errors import ModelError
from auditor.models.disk_fit import DiskFit, estimate_disk
from auditor.models.file import Kind, ModelFile


def room(spec: UnlearningSpec, model: ModelFile, free_bytes: int) -> DiskFit:
    """What a run writes at most, beside what is free.

    Parameters
    ----------
    model : ModelFile
        The start model.
    free_bytes : int
        Free on the disk of the run's folder, with what the run has written already.
    """
    gguf: tuple[Kind, ...] = ("BF16", *spec.quantised) if spec.gguf and spec.unlearns else ()
    return estimate_disk(
        model,
        lora_rank=spec.lora_rank or None,
        keeps_best=spec.unlearns,
        # What was learnt may be written in float32, which is decided where it is loaded.
        folder_bytes=2 if spec.unlearns or spec.dtype == "bfloat16" else 4,
        gguf=gguf,
        free_bytes=free_bytes,
    )


def require_room(spec: UnlearningSpec, model: ModelFile, context: Context) -> None:
    """Refuse to begin, or to go on, where checkpoints and files would fill the disk before the run is done.

    Raises
    ------
    ModelError
        With what is missing, and what may be done.
    """
    written = sum(map(_size, (context.checkpoints, context.artefacts)))
    found = room(spec, model, shutil.disk_usage(context.artefacts).free + written)
    if not found.fits:
        raise ModelError(found.sentence)


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
