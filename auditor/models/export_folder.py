"""A trained model as a folder of safetensors, merged, with its tokenizer. Imported by worker processes only.

Never a bare adapter: whoever takes it off again has the model back that was to forget. The folder is written under
another name. All weights are read again and compared bit for bit, the folder is loaded and its next-token probabilities
are compared with those of the model that was trained, and only then it gets its own name.
"""

import json
import secrets
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from auditor.errors import ModelError
from auditor.files import read_json, sync_folder, write_json
from auditor.models import gguf_to_tokenizer
from auditor.models.export_prompts import PROMPTS
from auditor.models.file import TRAINED_FROM_KEY, ModelFile, origin
from auditor.models.folder import CONFIG, INDEX, WEIGHTS, files_of, inspect_folder
from auditor.models.precision import DTYPES
from auditor.models.same_tokens import first_difference
from auditor.models.torch_model import MOST_VARIATION, module_of, own_logits, probabilities
from auditor.models.trainable import Trainable
from auditor.models.words import words_of

FolderType = Literal["float32", "bfloat16"]
#: What belongs to a model of a folder besides its weights and configuration.
_MORE = ("chat_template.jinja", "generation_config.json")
_SHARD = "4GB"
_CONTEXT = 512


def export_folder(learner: Trainable, target: Path, dtype: FolderType = "bfloat16") -> ModelFile:
    """Write a trained model as transformers does.

    Parameters
    ----------
    learner : Trainable
    target : Path
        A folder that is not there yet.
    dtype : str
        Precision of the weights.

    Returns
    -------
    ModelFile
        What was written, as the library would read it.

    Raises
    ------
    ModelError
        If the target is there, the disk refuses, the tokenizer cannot be carried over, or what is read again is not
        what was trained.
    """
    source = learner.model.file
    if target.exists():
        raise ModelError(f"{target} is there already: name a folder that is not.")
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f"{target.name}.{secrets.token_hex(4)}.part")
    try:
        part.mkdir()
        _write_tokenizer(learner, part)
        expected = _write_weights(learner, part, DTYPES[dtype])
        told = read_json(part / CONFIG)
        write_json(part / CONFIG, told | {"dtype": dtype, TRAINED_FROM_KEY.replace(".", "_"): origin(source)})
        _require_same(learner, expected, inspect_folder(part), DTYPES[dtype])
        part.replace(target)
        sync_folder(target.parent)
    except (OSError, ValueError, RuntimeError, MemoryError, SafetensorError) as error:
        raise ModelError(f"The folder {target} could not be written: {str(error)[:300]}") from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return inspect_folder(target)


def _write_weights(learner: Trainable, folder: Path, dtype: Any) -> list[NDArray[np.float64]]:
    """Write the weights and read them again; next-token probabilities of the model they are of."""
    module = learner.merged()
    expected = _probabilities(learner, module)
    weights = _cast(module.state_dict(), dtype)
    module.save_pretrained(folder, state_dict=dict(weights), max_shard_size=_SHARD)
    _compare(folder, weights)
    return expected


def _cast(weights: Mapping[str, Any], dtype: Any) -> dict[str, Any]:
    """Weights in a precision, in main memory; those that are one and the same stay so, since they are written once."""
    made: dict[tuple[int, tuple[int, ...]], Any] = {}
    found = {}
    for name, weight in weights.items():
        key = (weight.data_ptr(), tuple(weight.shape))
        if key not in made:
            made[key] = weight.detach().to("cpu", dtype if weight.is_floating_point() else weight.dtype)
        found[name] = made[key]
    return found


def _compare(folder: Path, weights: Mapping[str, Any]) -> None:
    """Read every tensor again and compare it bit for bit.

    Raises
    ------
    ModelError
        If one differs or is not there. One that is the same tensor as another is written once.
    """
    files = [WEIGHTS] if (folder / WEIGHTS).is_file() else sorted(set(read_json(folder / INDEX)["weight_map"].values()))
    known = set[int]()
    for file in files:
        with safe_open(folder / file, framework="pt") as read:
            for name in weights.keys() & set(read.keys()):
                known.add(id(weights[name]))
                if not torch.equal(read.get_tensor(name), weights[name]):
                    raise ModelError(
                        f"The weights {name} were written, but other ones were read again: check the disk."
                    )
    missing = sorted(name for name, weight in weights.items() if id(weight) not in known)
    if missing:
        raise ModelError(
            f"Of {len(weights):,} weights, {len(missing):,} are not in the folder that transformers wrote, {missing[0]} among "
            "them: whoever loads it would not have this model."
        )


def _require_same(learner: Trainable, expected: Sequence[NDArray[np.float64]], written: ModelFile, dtype: Any) -> None:
    """Load what was written, and compare its next-token probabilities.

    Raises
    ------
    ModelError
        If weights are missing, or the largest total variation distance over the prompts is above `MOST_VARIATION`.
    """
    found = _probabilities(learner, module_of(written, learner.device, dtype))
    most = max(float(np.abs(a - b).sum()) / 2 for a, b in zip(expected, found, strict=True))
    if not most <= MOST_VARIATION:
        raise ModelError(
            f"{learner.model.file.name} was written, but loaded again its next-token probabilities differ by up to {most:.0%} "
            f"(at most {MOST_VARIATION:.0%}): transformers does not carry this model over whole."
        )


def _probabilities(learner: Trainable, module: Any) -> list[NDArray[np.float64]]:
    """Next-token probabilities at the end of every prompt."""
    model = replace(learner.model, module=module)
    most = min(_CONTEXT, model.file.context_length or _CONTEXT) - 1
    return [probabilities(own_logits(model, model.words.tokenize(text, begin=True)[:most])) for text in PROMPTS]


def _write_tokenizer(learner: Trainable, folder: Path) -> None:
    source = learner.model.file
    if source.format == "gguf":
        gguf_to_tokenizer.write(source, folder)
    else:
        weights = {CONFIG, INDEX}
        for name in (*files_of(source.path), *_MORE):
            if name not in weights and not name.endswith(".safetensors") and (source.path / name).is_file():
                shutil.copyfile(source.path / name, folder / name)
    made = words_of(source.model_copy(update={"format": "folder", "path": folder}), folder)
    try:
        different = first_difference(learner.model.words, made)
    finally:
        made.close()
    if different is not None:
        raise ModelError(
            f"The tokenizer of {source.name} cannot be carried over to a folder: it cuts {json.dumps(different[:60])} "
            "differently there. Export a GGUF file instead."
        )
