"""A GGUF file's weights as a folder that transformers reads. Imported by worker processes only.

Names and layouts of tensors are those of transformers' own GGUF reader. Every tensor of the file must find a place and
every weight of the model a tensor, since what is left out would change the numbers without a word. Values are kept
exactly: quantised weights as float32, float16 and bfloat16 ones as they are.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from gguf import GGMLQuantizationType, GGUFReader, dequantize
from safetensors.torch import save_file
from transformers import AutoConfig, AutoModelForCausalLM
from transformers import modeling_gguf_pytorch_utils as of_transformers

from auditor.errors import ModelError, printable
from auditor.files import sync_folder, write_json
from auditor.models.file import ModelFile
from auditor.models.folder import INDEX

#: Tensors are written together up to this size, so that memory holds no more than one such file.
_SHARD_BYTES = 1024**3
#: Factors by which llama.cpp divides the frequencies of rotary positions.
_ROPE_FACTORS = "rope_freqs.weight"
_HALVES = {GGMLQuantizationType.F16: torch.float16, GGMLQuantizationType.BF16: torch.bfloat16}


@dataclass
class _Shards:
    """Tensors on their way to files, never more than one file of them in memory."""

    folder: Path
    waiting: dict[str, Any] = field(default_factory=dict)
    size: int = 0
    total: int = 0
    written: dict[str, str] = field(default_factory=dict)
    count: int = 0

    def add(self, name: str, tensor: Any) -> None:
        nbytes = tensor.numel() * tensor.element_size()
        if self.waiting and self.size + nbytes > _SHARD_BYTES:
            self.flush()
        self.waiting[name] = tensor.contiguous()
        self.size += nbytes
        self.total += nbytes

    def flush(self) -> None:
        if not self.waiting:
            return
        self.count += 1
        file = self.folder / f"model-{self.count:05d}.safetensors"
        save_file(self.waiting, file, metadata={"format": "pt"})
        self.written |= dict.fromkeys(self.waiting, file.name)
        self.waiting, self.size = {}, 0

    def finish(self) -> None:
        self.flush()
        write_json(self.folder / INDEX, {"metadata": {"total_size": self.total}, "weight_map": self.written})
        sync_folder(self.folder)


def config_of(model: ModelFile) -> Any:
    """The configuration of transformers that describes a GGUF file.

    Raises
    ------
    ModelError
        If the architecture, or its way of scaling positions, cannot be carried over.
    """
    reader = GGUFReader(model.path)
    if model.architecture not in of_transformers.GGUF_SUPPORTED_ARCHITECTURES:
        raise _refused(model, f"its architecture {printable(model.architecture)} is not among those that can be")
    _refuse_scaling(model, reader)
    told = dict(of_transformers.load_gguf_checkpoint(str(model.path), return_tensors=False)["config"])
    told.pop("_model_name_or_path", None)
    try:
        config = AutoConfig.for_model(told.pop("model_type"), **told)
    except (KeyError, TypeError, ValueError) as error:
        raise _refused(model, f"its metadata does not describe one ({str(error)[:200]})") from error
    if model.architecture == "llama" and getattr(config, "sliding_window", None) is not None:
        # A file named "mistral" gets Mistral's window of 4,096 tokens, of which the file and llama.cpp know nothing.
        config.sliding_window = None
    factors = next((t for t in reader.tensors if t.name == _ROPE_FACTORS), None)
    if factors is not None:
        config.rope_parameters = _divided(config, np.asarray(factors.data, np.float32).ravel().tolist())
    return config


def _refuse_scaling(model: ModelFile, reader: Any) -> None:
    kind = reader.get_field(f"{model.architecture}.rope.scaling.type")
    if kind is not None and (named := str(kind.contents())) != "none":
        raise _refused(model, f"its positions are scaled by {printable(named)}, which cannot be carried over")


def _divided(config: Any, factors: list[float]) -> dict[str, Any]:
    """Rotary frequencies divided by factors: what transformers calls longrope, with the same factors at any length."""
    given = dict(config.rope_parameters)
    if given.get("rope_type", "default") != "default":
        raise ValueError("frequencies cannot be scaled twice")
    return {
        "rope_type": "longrope",
        "rope_theta": given["rope_theta"],
        "short_factor": factors,
        "long_factor": factors,
        "factor": 1.0,
        "attention_factor": 1.0,
        "original_max_position_embeddings": config.max_position_embeddings,
    }


def write(model: ModelFile, folder: Path) -> None:
    """Write configuration and weights of a GGUF file into an empty folder.

    Raises
    ------
    ModelError
        If the architecture cannot be carried over, or a tensor finds no place.
    OSError
        If the disk refuses.
    """
    config = config_of(model)
    with torch.device("meta"):
        shape = AutoModelForCausalLM.from_config(config)
    config.architectures = [type(shape).__name__]
    config.dtype = torch.float32
    config.save_pretrained(folder)
    wanted = {name: tuple(tensor.shape) for name, tensor in shape.state_dict().items()}
    if config.tie_word_embeddings:
        for tied in getattr(shape, "all_tied_weights_keys", {}):
            wanted.pop(tied, None)
    shards = _Shards(folder)
    for name, tensor in _tensors(model, config, shape):
        if wanted.pop(name, None) != tuple(tensor.shape):
            raise _refused(model, f"its tensor {printable(name)} of shape {tuple(tensor.shape)} finds no place")
        shards.add(name, tensor)
    if wanted:
        raise _refused(model, f"it has no tensor for {printable(min(wanted))}")
    shards.finish()


def _tensors(model: ModelFile, config: Any, shape: Any) -> Iterator[tuple[str, Any]]:
    """Name and values of every weight, as transformers names and lays them out."""
    processor = of_transformers.TENSOR_PROCESSORS.get(model.architecture, of_transformers.TensorProcessor)(
        config=config.to_dict()
    )
    places = of_transformers.get_gguf_hf_weights_map(shape, processor)
    # A processor that joins several tensors to one, such as the experts of a layer, gathers them here.
    gathered: dict[str, Any] = {"config": config.to_dict(), "tensors": {}}
    for tensor in GGUFReader(model.path).tensors:
        if tensor.name == _ROPE_FACTORS:
            continue
        done = processor.process(
            weights=dequantize(tensor.data, tensor.tensor_type),
            name=tensor.name,
            tensor_key_mapping=places,
            parsed_parameters=gathered,
        )
        if done.name in places:
            yield places[done.name], _kept(np.array(done.weights), tensor.tensor_type)
        elif done.name is not None:
            raise _refused(model, f"its tensor {printable(tensor.name)} finds no place")
    yield from gathered["tensors"].items()


def _kept(values: Any, kind: Any) -> Any:
    """Values as float32, or in the half precision of the file where that holds them exactly."""
    tensor = torch.from_numpy(values)
    if kind in _HALVES:
        half = tensor.to(_HALVES[kind])
        if torch.equal(half.float(), tensor):
            return half
    return tensor


def _refused(model: ModelFile, problem: str) -> ModelError:
    return ModelError(
        f"{model.name} cannot be turned into a torch model: {problem}. Take its folder of safetensors, or choose the "
        "llama.cpp backend, which reads its last layer only."
    )
