"""`python -m auditor.models.inspect_child FILE MEMORY_BYTES`: a GGUF file's metadata as JSON on stdout.

A process of its own, because a damaged file may make the reader loop, eat memory or die.
"""

import json
import sys
from pathlib import Path
from typing import Any

from auditor.models.file import MADE_FROM_KEY, TRAINED_FROM_KEY

_TEXT_LIMIT = 200
#: Types of which llama.cpp makes a second, rearranged copy for the processor's vector units.
_REPACKED = ("Q4_0", "Q4_K", "Q2_K", "IQ4_NL", "MXFP4")
#: Rows that are rearranged together.
_REPACKED_ROWS = 8


def main(arguments: list[str]) -> int:
    """Read the file named first; exit 0 with {"metadata": …} or {"error": sentence}."""
    path, memory_bytes = Path(arguments[0]), int(arguments[1])
    _limit_memory(path.stat().st_size + memory_bytes)
    try:
        answer: dict[str, Any] = {"metadata": _metadata(path)}
    except MemoryError:
        answer = {"error": "reading its header takes more memory than a sound file needs. Fetch it again."}
    except Exception as error:  # noqa: BLE001  # whatever a damaged file provokes becomes a sentence
        answer = {"error": f"its metadata is damaged ({type(error).__name__}: {str(error)[:_TEXT_LIMIT]})."}
    sys.stdout.write(json.dumps(answer))
    return 0


def _limit_memory(bytes_allowed: int) -> None:
    try:
        import resource
    except ImportError:  # Windows has no such limit; the time limit of the parent remains
        return
    resource.setrlimit(resource.RLIMIT_AS, (bytes_allowed, bytes_allowed))


def _is_repacked(tensor: Any) -> bool:
    if tensor.name.startswith("token_embd") or len(tensor.shape) < 2:
        return False
    return tensor.tensor_type.name in _REPACKED and tensor.shape[1] % _REPACKED_ROWS == 0


def _metadata(path: Path) -> dict[str, Any]:
    from gguf import GGUFReader, LlamaFileType

    reader = GGUFReader(path)

    def value(key: str, default: Any) -> Any:
        field = reader.get_field(key)
        return default if field is None else field.contents()

    architecture = str(value("general.architecture", ""))
    if not architecture or reader.get_field(f"{architecture}.block_count") is None:
        raise ValueError("it does not describe a language model")

    def number(key: str) -> int:
        found = value(f"{architecture}.{key}", 0)
        found = max(found) if isinstance(found, list) else found
        return int(found)

    heads = number("attention.head_count")
    embedding = number("embedding_length")
    file_type = value("general.file_type", None)
    known = {member.value for member in LlamaFileType}
    name = LlamaFileType(file_type).name if file_type in known else ""
    vocabulary = reader.get_field("tokenizer.ggml.tokens")
    return {
        "architecture": architecture[:_TEXT_LIMIT],
        "quantisation": name.removeprefix("MOSTLY_").removeprefix("ALL_") or "not stated",
        "parameters": sum(int(tensor.n_elements) for tensor in reader.tensors),
        "context_length": number("context_length"),
        "layers": number("block_count"),
        "embedding": embedding,
        "feed_forward": number("feed_forward_length"),
        "heads": heads,
        "kv_heads": number("attention.head_count_kv") or heads,
        "head_dim": number("attention.key_length") or (embedding // heads if heads else 0),
        "vocabulary": len(vocabulary.data) if vocabulary is not None else number("vocab_size"),
        "repacked_bytes": sum(int(tensor.n_bytes) for tensor in reader.tensors if _is_repacked(tensor)),
        "has_chat_template": reader.get_field("tokenizer.chat_template") is not None,
        "made_from": str(value(MADE_FROM_KEY, ""))[:64],
        "trained_from": str(value(TRAINED_FROM_KEY, ""))[:64],
        "licence": str(value("general.license", "not stated"))[:_TEXT_LIMIT],
    }


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
