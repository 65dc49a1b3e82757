"""A trained model as a GGUF file, merged, and compared with torch before it is offered. Imported by worker processes only.

Never a bare adapter: whoever takes it off again has the model back that was to forget. The file is written under another
name, read by llama.cpp as a judge is read, and gets its own name only if its logits are those of the trained model.
"""

import copy
import os
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from gguf import GGUFWriter
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from auditor.errors import ModelError, printable
from auditor.files import is_disk_full, sha256_of, sync_folder
from auditor.models.export_prompts import PROMPTS
from auditor.models.file import Kind, ModelFile
from auditor.models.gguf_layout import DTYPES, FloatKind, add_metadata, add_tensor, architecture_of, tensors
from auditor.models.inspect import inspect
from auditor.models.llama import ENGINE, LabelScorer
from auditor.models.quantise import requantise
from auditor.models.same_tokens import first_difference
from auditor.models.torch_model import own_logits, probabilities
from auditor.models.trainable import Trainable
from auditor.models.words import words_of

GgufKind = Literal["F32", "F16", "BF16", "Q8_0", "Q4_0"]
#: What is written from the weights, and what llama.cpp then makes of that.
_WRITTEN: dict[GgufKind, FloatKind] = {"F32": "F32", "F16": "F16", "BF16": "BF16", "Q8_0": "BF16", "Q4_0": "BF16"}
_QUANTISED: dict[GgufKind, Kind] = {"Q8_0": "Q8_0", "Q4_0": "Q4_0"}
#: Largest root mean square difference over the vocabulary that passes, in logits, or over their standard deviation for
#: models whose logits spread widely (ours; measured with the starter: .037 in BF16, where llama.cpp rounds activations to
#: bfloat16, .004 in F32; wrongly laid out queries and keys make some .5 and more).
MOST_DIFFERENCE = MOST_RELATIVE = 0.05
_CONTEXT = 512


class LogitCheck(BaseModel):
    """How the logits of a file that llama.cpp reads compare with those of the trained model in torch."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    prompts: int = Field(description="Prompts at whose end logits were compared.")
    difference: float = Field(
        description="Largest root mean square difference over the vocabulary, each less its mean, over the prompts."
    )
    relative: float = Field(description="The same over the standard deviation of the trained model's logits.")
    largest: float = Field(description="Largest difference of a single token's logit, over all prompts.")
    total_variation: float = Field(description="Largest total variation distance of next-token probabilities.")
    same_first: int = Field(description="Prompts on which both find the same token most probable.")
    engine: str = Field(description="What read the file.")


class ExportedGguf(BaseModel):
    """A GGUF file that was written, and what was seen when it was read."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    file: ModelFile
    kind: GgufKind
    check: LogitCheck = Field(
        description="Of this file. A quantised one may differ as far as its quantisation makes it."
    )


def export_gguf(learner: Trainable, target: Path, kind: GgufKind = "BF16") -> ExportedGguf:
    """Write a trained model as a GGUF file.

    A quantised file is made by llama.cpp from one in bfloat16, which is compared first.

    Parameters
    ----------
    learner : Trainable
        Of the architecture llama or qwen2.
    target : Path
        A file that is not there yet.
    kind : str
        "F32", "F16", "BF16", "Q8_0" or "Q4_0".

    Raises
    ------
    ModelError
        If the architecture or the tokenizer cannot be carried over, the target is there, the disk refuses, or llama.cpp
        does not compute what torch does.
    OSError
        If the disk is full: with more room the same would do.
    """
    architecture_of(learner.model.file, learner.module.config)
    if target.exists():
        raise ModelError(f"{target} is there already: name a file that is not.")
    target.parent.mkdir(parents=True, exist_ok=True)
    mark = secrets.token_hex(4)
    part = target.with_name(f"{target.stem}.{mark}.part.gguf")
    quantised = target.with_name(f"{target.stem}.{mark}.quantised.part.gguf")
    try:
        module = learner.merged()
        _write(learner.model.file, module, part, _WRITTEN[kind])
        own = _own_logits(learner, module, DTYPES[_WRITTEN[kind]])
        del module
        check = _checked(learner, part, own)
        if (smaller := _QUANTISED.get(kind)) is not None:
            requantise(part, quantised, smaller, made_from=sha256_of(part))
            check = _compare(inspect(quantised), own)
            quantised.replace(part)
        part.replace(target)
        sync_folder(target.parent)
    except OSError as error:
        if is_disk_full(error):
            raise
        raise ModelError(f"The file {target} could not be written: {error.strerror or error}.") from error
    except (RuntimeError, MemoryError) as error:
        # torch tells with a RuntimeError that memory has run out.
        raise ModelError(f"The file {target} could not be written or compared: {str(error)[:300]}") from error
    finally:
        part.unlink(missing_ok=True)
        quantised.unlink(missing_ok=True)
    return ExportedGguf(file=inspect(target), kind=kind, check=check)


def _write(model: ModelFile, module: Any, path: Path, kind: FloatKind) -> None:
    """Write metadata and weights, one tensor in memory at a time."""
    every = tensors(model, module, kind)
    writer = GGUFWriter(path, architecture_of(model, module.config))
    try:
        add_metadata(writer, model, module, kind)
        for tensor in every:
            add_tensor(writer, tensor)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_ti_data_to_file()
        for tensor in every:
            writer.write_tensor_data(tensor.values())
    finally:
        writer.close()
    with path.open("r+b") as written:
        os.fsync(written.fileno())


class _Prompt(BaseModel):
    """A prompt in tokens, and the trained model's logits at its end."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    tokens: list[int]
    logits: NDArray[np.float32]


def _own_logits(learner: Trainable, module: Any, dtype: Any) -> list[_Prompt]:
    """Logits of the weights as they stand in the file, computed in float32."""
    most = min(_CONTEXT, learner.model.file.context_length or _CONTEXT) - 1
    prompts = [learner.model.words.tokenize(text, begin=True)[:most] for text in PROMPTS]
    with _in_float32(module, dtype) as whole:
        model = replace(learner.model, module=whole)
        return [_Prompt(tokens=tokens, logits=own_logits(model, tokens)) for tokens in prompts]


@contextmanager
def _in_float32(module: Any, dtype: Any) -> Iterator[Any]:
    """The model in float32, with its matrices as the file holds them: itself where that changes none, else a copy."""
    weights = list(module.parameters())
    if all(weight.ndim == 1 or torch.equal(weight, weight.to(dtype).to(weight.dtype)) for weight in weights):
        was = [weight.dtype for weight in weights]
        for weight in weights:
            weight.data = weight.data.float()
        try:
            yield module
        finally:
            # Every number was one of its first precision before, and still is.
            for weight, first in zip(weights, was, strict=True):
                weight.data = weight.data.to(first)
        return
    whole = copy.deepcopy(module).float()
    with torch.no_grad():
        for weight in whole.parameters():
            if weight.ndim > 1:
                weight.copy_(weight.to(dtype).float())
    yield whole


def _checked(learner: Trainable, path: Path, own: Sequence[_Prompt]) -> LogitCheck:
    """Compare a file that was written with the model it was written from.

    Raises
    ------
    ModelError
        If its tokenizer or its logits are other ones.
    """
    file, name = inspect(path), learner.model.file.name
    words = words_of(file, path)
    try:
        different = first_difference(learner.model.words, words)
    finally:
        words.close()
    if different is not None:
        raise ModelError(
            f"{name} cannot be written as a GGUF file: llama.cpp cuts the text {printable(different)} into other tokens. "
            "Export a folder of safetensors instead."
        )
    check = _compare(file, own)
    if not (check.difference <= MOST_DIFFERENCE or check.relative <= MOST_RELATIVE):
        raise ModelError(
            f"{name} was written as a GGUF file, but its logits there differ from torch's by {check.difference:.3g} (at most "
            f"{MOST_DIFFERENCE:g}): llama.cpp does not compute this model as torch does. Export a folder of safetensors."
        )
    return check


def _compare(file: ModelFile, own: Sequence[_Prompt]) -> LogitCheck:
    with LabelScorer(file, n_ctx=_CONTEXT) as scorer:
        every = range(scorer.n_tokens)
        pairs = [(prompt.logits[: scorer.n_tokens], scorer.prefill(prompt.tokens, every)) for prompt in own]
    differences = [theirs.astype(np.float64) - ours for ours, theirs in pairs]
    rms = [float(np.sqrt(np.mean((d - d.mean()) ** 2))) for d in differences]
    return LogitCheck(
        prompts=len(pairs),
        difference=max(rms),
        relative=max(found / float(ours.std()) for found, (ours, _) in zip(rms, pairs, strict=True)),
        largest=max(float(np.abs(d).max()) for d in differences),
        total_variation=max(
            float(np.abs(probabilities(ours) - probabilities(theirs)).sum()) / 2 for ours, theirs in pairs
        ),
        same_first=sum(int(ours.argmax()) == int(theirs.argmax()) for ours, theirs in pairs),
        engine=ENGINE,
    )
