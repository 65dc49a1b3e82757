"""The tokenizer of a GGUF file as the files that transformers reads. Imported by worker processes only."""

from pathlib import Path
from typing import Any

from gguf import GGUFReader, TokenType

from auditor.errors import ModelError, printable
from auditor.models.byte_pairs import WHOLE_WORDS, pre_tokenizer
from auditor.models.file import ModelFile

_PREFIX = "tokenizer.ggml."
_SPECIAL = {TokenType.CONTROL, TokenType.UNKNOWN}


def write(model: ModelFile, folder: Path) -> None:
    """Write tokenizer.json, tokenizer_config.json and the chat template of a GGUF file into a folder.

    Parameters
    ----------
    model : ModelFile
        A GGUF file with byte pairs ("gpt2") or SentencePiece ("llama").

    Raises
    ------
    ModelError
        If its kind of tokenizer cannot be carried over.
    OSError
        If the disk refuses.
    """
    told = _Told(GGUFReader(model.path))
    kind = str(told.get("model", ""))
    if kind == "gpt2":
        made = _byte_pairs(model, told)
    elif kind == "llama":
        made = _sentence_pieces(model)
    else:
        raise _refused(model, f"its kind {printable(kind)} is not known")
    made.chat_template = told.template
    made.save_pretrained(folder)


class _Told:
    """What a GGUF file says of its tokenizer."""

    def __init__(self, reader: Any) -> None:
        self._reader = reader

    def get(self, key: str, default: Any = None) -> Any:
        field = self._reader.get_field(_PREFIX + key)
        return default if field is None else field.contents()

    @property
    def template(self) -> str | None:
        field = self._reader.get_field("tokenizer.chat_template")
        return None if field is None else str(field.contents())


def _byte_pairs(model: ModelFile, told: _Told) -> Any:
    from tokenizers import AddedToken, Tokenizer, decoders, models, processors
    from transformers import PreTrainedTokenizerFast

    way = str(told.get("pre", "default"))
    cut = pre_tokenizer(way)
    if cut is None:
        raise _refused(model, f"it cuts texts in a way, {printable(way)}, that is not known")
    tokens = [str(token) for token in told.get("tokens", [])]
    merges = [(first, second) for first, _, second in (str(merge).partition(" ") for merge in told.get("merges", []))]
    vocabulary = {token: place for place, token in enumerate(tokens)}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=merges, ignore_merges=way in WHOLE_WORDS))
    tokenizer.pre_tokenizer = cut
    tokenizer.decoder = decoders.ByteLevel()
    kinds = [TokenType(int(kind)) for kind in told.get("token_type", [TokenType.NORMAL] * len(tokens))]
    for token, token_kind in zip(tokens, kinds, strict=True):
        if token_kind in _SPECIAL or token_kind == TokenType.USER_DEFINED:
            added = AddedToken(token, special=token_kind in _SPECIAL, normalized=False)
            (tokenizer.add_special_tokens if added.special else tokenizer.add_tokens)([added])
    names = {
        f"{name}_token": tokens[int(place)]
        for name, key in (("bos", "bos"), ("eos", "eos"), ("pad", "padding"), ("unk", "unknown"))
        if (place := told.get(f"{key}_token_id")) is not None
    }
    # llama.cpp begins with a token if the file says so, and for the ways that always do.
    if "bos_token" in names and bool(told.get("add_bos_token", way in WHOLE_WORDS)):
        first = names["bos_token"]
        tokenizer.post_processor = processors.TemplateProcessing(
            single=f"{first} $A", pair=f"{first} $A {first} $B", special_tokens=[(first, vocabulary[first])]
        )
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, **names)


def _sentence_pieces(model: ModelFile) -> Any:
    from transformers import AutoTokenizer

    try:
        return AutoTokenizer.from_pretrained(str(model.path.parent), gguf_file=model.path.name, local_files_only=True)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, ImportError) as error:
        raise _refused(model, (str(error).strip().splitlines() or ["no reason given"])[0][:200]) from error


def _refused(model: ModelFile, problem: str) -> ModelError:
    return ModelError(
        f"The tokenizer of {model.name} cannot be written for a folder: {problem}. Export a GGUF file instead."
    )
