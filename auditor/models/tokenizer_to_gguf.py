"""The tokenizer of a folder as metadata of a GGUF file. Imported by worker processes only.

Byte pairs only, cut in a way that llama.cpp knows. Whether llama.cpp then cuts texts as the folder's own tokenizer does is
tried when the file is there.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gguf import GGUFWriter, TokenType

from auditor.errors import ModelError, printable
from auditor.models.byte_pairs import name_of
from auditor.models.file import ModelFile

_TOKENIZER, _TEMPLATE = "tokenizer.json", "chat_template.jinja"


def add(writer: GGUFWriter, model: ModelFile, config: Any, rows: int) -> None:
    """Add a folder's tokenizer to a GGUF file that is being written.

    Parameters
    ----------
    writer : GGUFWriter
    model : ModelFile
        The folder.
    config : configuration of transformers
        Names the special tokens.
    rows : int
        Tokens that the model has weights for; those without a spelling get one that no text has.

    Raises
    ------
    ModelError
        If the tokenizer is of a kind that cannot be carried over.
    """
    told = _read(model, model.path / _TOKENIZER)
    kind = told.get("model", {})
    way = name_of(told.get("pre_tokenizer"))
    if kind.get("type") != "BPE" or way is None:
        raise _refused(model, f"it is no byte-pair tokenizer of a known kind ({printable(str(kind.get('type')))})")
    added = {int(token["id"]): token for token in told.get("added_tokens", [])}
    spelled = {int(place): token for token, place in kind["vocab"].items()} | {
        place: str(token["content"]) for place, token in added.items()
    }
    if max(spelled) >= rows:
        raise _refused(model, f"it has {max(spelled) + 1:,} tokens, the model weights for {rows:,}")
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(way)
    writer.add_token_list([spelled.get(place, f"[PAD{place}]") for place in range(rows)])
    writer.add_token_types([_kind(place, spelled, added) for place in range(rows)])
    merges = [merge if isinstance(merge, str) else " ".join(merge) for merge in kind.get("merges", [])]
    if not merges:
        raise _refused(model, "it merges no byte pairs, and llama.cpp reads none such")
    writer.add_token_merges(merges)
    _add_special(writer, model, config, spelled, told)


def _kind(place: int, spelled: Mapping[int, str], added: Mapping[int, Mapping[str, Any]]) -> TokenType:
    if place not in spelled:
        return TokenType.UNUSED
    if place not in added:
        return TokenType.NORMAL
    return TokenType.CONTROL if added[place].get("special") else TokenType.USER_DEFINED


def _add_special(writer: GGUFWriter, model: ModelFile, config: Any, spelled: Mapping[int, str], told: Any) -> None:
    named = _read(model, path) if (path := model.path / "tokenizer_config.json").is_file() else {}
    places = {token: place for place, token in spelled.items()}
    text = config.get_text_config(decoder=True)

    def place_of(name: str) -> int | None:
        token = named.get(f"{name}_token")
        token = token.get("content") if isinstance(token, dict) else token
        found = places.get(token) if token is not None else getattr(text, f"{name}_token_id", None)
        return (found[0] if found else None) if isinstance(found, list) else found

    for name, write in (
        ("bos", writer.add_bos_token_id),
        ("eos", writer.add_eos_token_id),
        ("pad", writer.add_pad_token_id),
        ("unk", writer.add_unk_token_id),
    ):
        if (place := place_of(name)) is not None:
            write(place)
    first = place_of("bos")
    writer.add_add_bos_token(first is not None and _begins_with(told.get("post_processor"), spelled.get(first)))
    template = model.path / _TEMPLATE
    words = template.read_text(encoding="utf-8") if template.is_file() else named.get("chat_template")
    if isinstance(words, str):
        writer.add_chat_template(words)


def _begins_with(processor: Any, token: str | None) -> bool:
    """Whether a prompt gets a token in front."""
    if token is None or not isinstance(processor, dict):
        return False
    steps = processor.get("processors", [processor])
    firsts = [step["single"][0] for step in steps if step.get("type") == "TemplateProcessing" and step.get("single")]
    return any(first.get("SpecialToken", {}).get("id") == token for first in firsts)


def _read(model: ModelFile, path: Path) -> Any:
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise _refused(model, f"{path.name} cannot be read") from error


def _refused(model: ModelFile, problem: str) -> ModelError:
    return ModelError(
        f"The tokenizer of {model.name} cannot be written into a GGUF file: {problem}. Export a folder instead."
    )
