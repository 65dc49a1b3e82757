"""Weights of transformers as tensors of a GGUF file, and the metadata that describes them. Worker processes only.

Llama's queries and keys lie in another order there: llama.cpp turns neighbours, transformers turns halves. Matrices get the
precision that is asked for, vectors stay in float32, as llama.cpp's own converter has it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from gguf import MODEL_ARCH, GGMLQuantizationType, GGUFReader, GGUFValueType, GGUFWriter, LlamaFileType
from gguf.tensor_mapping import get_tensor_name_map

from auditor.errors import ModelError, printable
from auditor.models import tokenizer_to_gguf
from auditor.models.file import MADE_FROM_KEY, TRAINED_FROM_KEY, ModelFile, origin

FloatKind = Literal["F32", "F16", "BF16"]
DTYPES: dict[FloatKind, Any] = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}
_TYPES: dict[FloatKind, tuple[Any, Any]] = {
    "F32": (GGMLQuantizationType.F32, LlamaFileType.ALL_F32),
    "F16": (GGMLQuantizationType.F16, LlamaFileType.MOSTLY_F16),
    "BF16": (GGMLQuantizationType.BF16, LlamaFileType.MOSTLY_BF16),
}
_ARCHITECTURES = {"llama": MODEL_ARCH.LLAMA, "qwen2": MODEL_ARCH.QWEN2}
_TURNED = ("q_proj", "k_proj")
_ROPE_FACTORS = "rope_freqs.weight"
#: Metadata that is not carried over from a source file: it is about the file, not the model.
_OWN = ("GGUF.", "general.architecture", "general.file_type", "general.quantization_version", MADE_FROM_KEY)


@dataclass(frozen=True)
class Tensor:
    """A tensor of a GGUF file, its values made when they are written."""

    name: str
    weight: Any
    #: Heads whose halves are interleaved; 0 if they are not.
    turned: int
    kind: FloatKind

    @property
    def shape(self) -> tuple[int, ...]:
        """Rows first."""
        return tuple(self.weight.shape)

    @property
    def nbytes(self) -> int:
        """Bytes in the file."""
        return int(self.weight.numel()) * (4 if self.kind == "F32" else 2)

    def values(self) -> Any:
        """What is written, as numpy has it: bfloat16 as its bits."""
        weight = self.weight.detach().to("cpu", torch.float32)
        if self.turned:
            rows = weight.shape[0]
            weight = weight.reshape(self.turned, 2, rows // self.turned // 2, *weight.shape[1:]).swapaxes(1, 2)
            weight = weight.reshape(self.shape)
        weight = weight.to(DTYPES[self.kind]).contiguous()
        return weight.view(torch.int16).numpy() if self.kind == "BF16" else weight.numpy()


def tensors(model: ModelFile, module: Any, kind: FloatKind) -> list[Tensor]:
    """Every weight of a model, as a GGUF file names it and lays it out.

    Raises
    ------
    ModelError
        If the architecture cannot be written, or a weight has no name there.
    """
    architecture = architecture_of(model, module.config)
    config = module.config.get_text_config(decoder=True)
    names = get_tensor_name_map(_ARCHITECTURES[architecture], config.num_hidden_layers)
    found = []
    for name, weight in module.state_dict().items():
        if config.tie_word_embeddings and name == "lm_head.weight":
            continue  # llama.cpp takes the embeddings where there is no head
        written = names.get_name(name, try_suffixes=(".weight", ".bias"))
        if written is None:
            raise _refused(model, f"its weights {printable(name)} have no name there")
        turned = 0
        if architecture == "llama" and name.split(".")[-2] in _TURNED:
            turned = config.num_attention_heads if "q_proj" in name else config.num_key_value_heads
        found.append(Tensor(written, weight, turned, kind if weight.ndim > 1 else "F32"))
    return [*found, *_rope_factors(model, config)]


def architecture_of(model: ModelFile, config: Any) -> str:
    """The architecture as GGUF names it.

    Raises
    ------
    ModelError
        If it cannot be written.
    """
    kind = str(config.model_type)
    if kind not in _ARCHITECTURES:
        known = " and ".join(_ARCHITECTURES)
        raise _refused(model, f"its architecture {printable(kind)} is not among those that can be ({known})")
    return kind


def _rope_factors(model: ModelFile, config: Any) -> Iterator[Tensor]:
    """What rotary frequencies are divided by, where they are."""
    given = dict(getattr(config, "rope_parameters", None) or {})
    kind = given.get("rope_type", "default")
    if kind == "default":
        return
    if kind == "longrope" and model.format == "gguf":
        factors = torch.tensor(given["long_factor"], dtype=torch.float32)
    elif kind == "llama3":
        factors = torch.from_numpy(_llama3_factors(config, given))
    else:
        raise _refused(model, f"its positions are scaled by {printable(kind)}, which cannot be carried over")
    yield Tensor(_ROPE_FACTORS, factors, 0, "F32")


def _llama3_factors(config: Any, given: dict[str, Any]) -> Any:
    """Llama 3.1's scaling as one factor for each frequency: long waves are stretched, those between in part."""
    width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    waves = 2 * np.pi * given["rope_theta"] ** (np.arange(0, width, 2) / width)
    most, low, high = given["factor"], given["low_freq_factor"], given["high_freq_factor"]
    turns = given["original_max_position_embeddings"] / waves
    part = np.clip((turns - low) / (high - low), 0, 1)
    return (1 / ((1 - part) / most + part)).astype(np.float32)


def add_metadata(writer: GGUFWriter, model: ModelFile, module: Any, kind: FloatKind) -> None:
    """Describe the model: a GGUF file's own words where it came from one, else its configuration and tokenizer.

    Raises
    ------
    ModelError
        If the tokenizer or a setting cannot be carried over.
    """
    if model.format == "gguf":
        _copy_metadata(writer, model)
    else:
        _add_config(writer, model, module)
        tokenizer_to_gguf.add(writer, model, module.config, module.get_output_embeddings().weight.shape[0])
    writer.add_file_type(int(_TYPES[kind][1]))
    writer.add_string(TRAINED_FROM_KEY, origin(model))


def add_tensor(writer: GGUFWriter, tensor: Tensor) -> None:
    """Announce a tensor."""
    kind = np.dtype(np.float32) if tensor.kind == "F32" else np.dtype(np.uint16)
    writer.add_tensor_info(tensor.name, tensor.shape, kind, tensor.nbytes, raw_dtype=_TYPES[tensor.kind][0])


def _copy_metadata(writer: GGUFWriter, model: ModelFile) -> None:
    for field in GGUFReader(model.path).fields.values():
        if field.name.startswith(_OWN) or field.name == TRAINED_FROM_KEY:
            continue
        inner = field.types[-1] if field.types[0] == GGUFValueType.ARRAY else None
        value = field.contents()
        if inner is not None and not value:
            continue  # an empty list says nothing, and cannot be written
        writer.add_key_value(field.name, value, field.types[0], inner)


def _add_config(writer: GGUFWriter, model: ModelFile, module: Any) -> None:
    config = module.config.get_text_config(decoder=True)
    if getattr(config, "use_sliding_window", False):
        raise _refused(model, "it attends within a sliding window, which cannot be carried over")
    heads = config.num_attention_heads
    width = getattr(config, "head_dim", None) or config.hidden_size // heads
    writer.add_name(model.name)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_key_length(width)
    writer.add_value_length(width)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_dimension_count(width)
    writer.add_rope_freq_base(float((config.rope_parameters or {}).get("rope_theta", 10000.0)))
    writer.add_vocab_size(module.get_output_embeddings().weight.shape[0])


def _refused(model: ModelFile, problem: str) -> ModelError:
    return ModelError(
        f"{model.name} cannot be written as a GGUF file: {problem}. Export a folder of safetensors instead."
    )
