"""A folder of weights as transformers writes it: what it says of itself, and its hash. Nothing in it is run.

Weights are read from safetensors only. Other formats are pickles, which can run code when they are opened.
"""

import json
import struct
from collections import Counter
from collections.abc import Callable, Mapping
from math import prod
from pathlib import Path
from typing import Any

from auditor.errors import ModelError, printable
from auditor.files import sha256_of, sha256_of_json
from auditor.models.file import TRAINED_FROM_KEY, ModelFile

CONFIG = "config.json"
WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"
#: What a tokenizer may be made of.
_TOKENIZER = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    "tokenizer.model",
)
_TEMPLATE = "chat_template.jinja"
_PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")
_MAX_HEADER_BYTES = 100 * 1024**2
_MAX_JSON_BYTES = 256 * 1024**2


def inspect_folder(path: Path, *, name: str | None = None, progress: Callable[[int], None] | None = None) -> ModelFile:
    """Read the configuration, the headers of the weights, and the hash of a folder.

    Parameters
    ----------
    path : Path
        The folder.
    name : str, optional
        Name in the library; the folder's name if not given.
    progress : callable, optional
        Called with the bytes hashed so far.

    Raises
    ------
    ModelError
        If it is missing, is no model, holds its weights as pickle only, or a file in it is damaged.
    """
    path = path.expanduser().resolve()
    if not path.is_dir():
        raise ModelError(f"There is no folder {path}.")
    files = files_of(path)
    config = _read_json(path / CONFIG)
    text = config.get("text_config")
    text = config | text if isinstance(text, dict) else config
    if (made_by := config.get("quantization_config")) is not None:
        method = made_by.get("quant_method", "unknown") if isinstance(made_by, dict) else "unknown"
        raise ModelError(
            f"{path.name} holds weights quantised by {printable(method)}, which cannot be read: take the weights in "
            "float or bfloat16, or a GGUF file of the model."
        )
    sizes = Counter[str]()
    for file in files:
        if file.endswith(".safetensors"):
            for kind, shape in read_header(path / file).values():
                sizes[kind] += prod(shape)

    def number(*keys: str) -> int:
        found = next((text[key] for key in keys if isinstance(text.get(key), int)), 0)
        return max(int(found), 0)

    heads, embedding = number("num_attention_heads", "n_head"), number("hidden_size", "n_embd")
    tokenizer = _read_json(path / "tokenizer_config.json") if "tokenizer_config.json" in files else {}
    return ModelFile(
        name=name or path.name,
        format="folder",
        path=path,
        sha256=folder_sha256(path, progress),
        size_bytes=sum((path / file).stat().st_size for file in files),
        architecture=str(config.get("model_type", ""))[:200],
        quantisation=sizes.most_common(1)[0][0] if sizes else "not stated",
        parameters=sum(sizes.values()),
        context_length=number("max_position_embeddings", "n_positions"),
        layers=number("num_hidden_layers", "n_layer"),
        embedding=embedding,
        feed_forward=number("intermediate_size", "n_inner", "ffn_dim") or 4 * embedding,
        heads=heads,
        kv_heads=number("num_key_value_heads") or heads,
        head_dim=number("head_dim") or (embedding // heads if heads else 0),
        vocabulary=number("vocab_size"),
        has_chat_template=(path / _TEMPLATE).is_file() or "chat_template" in tokenizer,
        licence="not stated",
        trained_from=str(config.get(TRAINED_FROM_KEY.replace(".", "_"), ""))[:64],
    )


def is_model_folder(path: Path) -> bool:
    """Whether a path is a folder that looks like a model's; `inspect_folder` says whether it can be used."""
    return (path / CONFIG).is_file()


def has_weights(path: Path) -> bool:
    """Whether a folder holds weights, be they in a format that can be used or a pickle."""
    return (path / INDEX).is_file() or any(any(path.glob(pattern)) for pattern in ("*.safetensors", *_PICKLES))


def files_of(path: Path) -> list[str]:
    """Names of the files of a folder that matter to what the model computes, sorted.

    Raises
    ------
    ModelError
        If the folder is no model, or its weights are pickles.
    """
    if not is_model_folder(path):
        raise ModelError(f"{path} is no folder of a model: it has no {CONFIG}.")
    if (path / INDEX).is_file():
        weights = _shards(path)
    elif (path / WEIGHTS).is_file():
        weights = {WEIGHTS}
    else:
        raise ModelError(_without_weights(path))
    extra = {name for name in (*_TOKENIZER, INDEX) if (path / name).is_file()}
    return sorted({CONFIG, *weights, *extra})


def _without_weights(path: Path) -> str:
    pickles = sorted(file.name for pattern in _PICKLES for file in path.glob(pattern))
    if pickles:
        return (
            f"{path.name} holds its weights as pickle ({pickles[0]}), which can run code when it is opened, so it is "
            "never read: take the safetensors of the model, or write them with save_pretrained of transformers on a "
            "machine where you trust the file."
        )
    return f"{path} holds no weights: neither {WEIGHTS} nor {INDEX} is there."


def _shards(path: Path) -> set[str]:
    placed = _read_json(path / INDEX).get("weight_map")
    if not isinstance(placed, dict) or not placed:
        raise ModelError(f"{path.name} cannot be used: {INDEX} has no weight_map. Fetch it again.")
    shards = {str(file) for file in placed.values()}
    for shard in sorted(shards):
        if Path(shard).name != shard or not shard.endswith(".safetensors"):
            raise ModelError(f"{path.name} cannot be used: {INDEX} names {printable(shard)} as a file of weights.")
        if not (path / shard).is_file():
            raise ModelError(f"{path.name} is not complete: {shard} is missing. Fetch it again.")
    return shards


def folder_sha256(path: Path, progress: Callable[[int], None] | None = None) -> str:
    """Hash over the names and hashes of the files that matter.

    Raises
    ------
    ModelError
        As `files_of` does.
    OSError
        If a file cannot be read.
    """
    done = 0
    hashes = {}
    for file in files_of(path):
        begun = done

        def add(read: int, begun: int = begun) -> None:
            if progress is not None:
                progress(begun + read)

        hashes[file] = sha256_of(path / file, add)
        done += (path / file).stat().st_size
    return sha256_of_json(hashes)


def read_header(path: Path) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Type and shape of every tensor of a safetensors file.

    Raises
    ------
    ModelError
        If the file is damaged or cut short.
    """
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            start = file.read(8)
            length = struct.unpack("<Q", start)[0] if len(start) == 8 else size
            if length > min(size - 8, _MAX_HEADER_BYTES):
                raise _damaged(path, "its header is longer than the file")
            told = json.loads(file.read(length))
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror or error}.") from error
    except (ValueError, RecursionError):
        raise _damaged(path, "its header is no JSON") from None
    try:
        tensors = {str(name): _tensor(entry) for name, entry in told.items() if name != "__metadata__"}
        end = max((entry["data_offsets"][1] for name, entry in told.items() if name != "__metadata__"), default=0)
    except (AttributeError, KeyError, TypeError, ValueError, IndexError):
        raise _damaged(path, "its header does not describe tensors") from None
    if end != size - 8 - length:
        raise _damaged(path, f"its tensors end at byte {end:,} of {size - 8 - length:,}")
    return tensors


def _tensor(entry: Mapping[str, Any]) -> tuple[str, tuple[int, ...]]:
    return str(entry["dtype"]), tuple(int(side) for side in entry["shape"])


def _damaged(path: Path, problem: str) -> ModelError:
    return ModelError(f"{path.name} is not a usable safetensors file: {problem}. Fetch it again from its source.")


def _read_json(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > _MAX_JSON_BYTES:
            raise ModelError(f"{path} cannot be used: it is too large for a description.")
        found = json.loads(path.read_bytes())
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror or error}.") from error
    except (ValueError, RecursionError):
        raise ModelError(f"{path} is no JSON: fetch it again.") from None
    if not isinstance(found, dict):
        raise ModelError(f"{path} cannot be used: it does not hold an object.")
    return found
