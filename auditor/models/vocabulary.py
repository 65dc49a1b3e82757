"""The vocabulary of a model file alone: text to tokens and back, without its weights.

Imported by worker processes only: native code may take its process along.
"""

import ctypes
import os
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

import llama_cpp

from auditor.errors import ModelError
from auditor.models.file import ModelFile
from auditor.models.identity import require_gguf, require_there

_MOST_TOKENS_A_BYTE = 4
# llama.cpp would print to the terminal; it keeps the callback without owning it.
_SILENT = llama_cpp.llama_log_callback(lambda _level, _text, _data: None)


def chat_template_of(model: Any) -> str | None:
    """The chat template stored in a model's file, a Jinja text, or None."""
    found = llama_cpp.llama_model_chat_template(model, None)
    return found.decode(errors="replace") if found else None


def spelling_of(vocabulary: Any, token: int) -> str:
    """How a token is spelled in the vocabulary; empty for a token that a model lacks (below 0)."""
    if token < 0:
        return ""
    found = llama_cpp.llama_vocab_get_text(vocabulary, token)
    return found.decode(errors="replace") if found else ""


def tokenize(vocabulary: Any, text: str, *, special: bool, begin: bool = False) -> list[int]:
    """Token ids of a text.

    Parameters
    ----------
    vocabulary : llama_vocab pointer
        As llama.cpp gives it.
    text : str
        UTF-8 of it is tokenised.
    special : bool
        Whether spellings of special tokens become those tokens. False for anything that comes from data.
    begin : bool
        Put the token that begins a prompt in front, where the vocabulary asks for one and the text has none.

    Raises
    ------
    ModelError
        If the tokenizer refuses the text.
    """
    data = text.encode()
    room = len(data) + 8
    tokens = (llama_cpp.llama_token * room)()
    count = llama_cpp.llama_tokenize(vocabulary, data, len(data), tokens, room, False, special)
    # A space that the vocabulary lacks takes three tokens, one for each of its bytes: it says how many it needs.
    if len(data) < -count <= _MOST_TOKENS_A_BYTE * len(data) + 8:
        room = -count
        tokens = (llama_cpp.llama_token * room)()
        count = llama_cpp.llama_tokenize(vocabulary, data, len(data), tokens, room, False, special)
    if count < 0:
        raise ModelError("The model's tokenizer refused a text.")
    found = list(tokens[:count])
    bos = llama_cpp.llama_vocab_bos(vocabulary)
    if begin and llama_cpp.llama_vocab_get_add_bos(vocabulary) and found[:1] != [bos]:
        found.insert(0, bos)
    return found


def text_of(vocabulary: Any, tokens: Sequence[int]) -> str:
    """What tokens stand for, special ones as they are spelled; half of a character becomes U+FFFD."""
    return b"".join(_piece(vocabulary, token) for token in tokens).decode(errors="replace")


def _piece(vocabulary: Any, token: int) -> bytes:
    buffer = ctypes.create_string_buffer(256)
    count = llama_cpp.llama_token_to_piece(vocabulary, token, buffer, len(buffer), 0, True)
    if count < 0:  # it is longer than the buffer, and so long
        buffer = ctypes.create_string_buffer(-count)
        count = llama_cpp.llama_token_to_piece(vocabulary, token, buffer, len(buffer), 0, True)
    return buffer.raw[: max(count, 0)]


class Vocabulary:
    """A model's tokenizer and chat template; a `Tokenizer` of `auditor.audits.rating.prompt`.

    Parameters
    ----------
    model : ModelFile
        The file. Its hash is not recomputed, since nothing that counts as evidence is read from it.

    Raises
    ------
    ModelError
        If the file is gone, has another size than when it was added, or llama.cpp refuses it.
    """

    def __init__(self, model: ModelFile) -> None:
        self._model: Any = None
        require_gguf(model)
        require_there(model)
        if model.path.stat().st_size != model.size_bytes:
            raise ModelError(f"The file of model {model.name} has changed since it was added: {model.path}.")
        llama_cpp.llama_log_set(_SILENT, ctypes.c_void_p(0))
        llama_cpp.llama_backend_init()
        parameters = llama_cpp.llama_model_default_params()
        parameters.vocab_only = True
        self._model = llama_cpp.llama_model_load_from_file(os.fsencode(model.path), parameters)
        if not self._model:
            raise ModelError(f"The model {model.name} failed: llama.cpp cannot read its vocabulary.")
        self._vocabulary = llama_cpp.llama_model_get_vocab(self._model)

    @property
    def chat_template(self) -> str | None:
        """The chat template stored in the file, a Jinja text, or None."""
        return chat_template_of(self._model)

    @property
    def bos(self) -> str:
        """Text of the token that begins a prompt."""
        return spelling_of(self._vocabulary, llama_cpp.llama_vocab_bos(self._vocabulary))

    @property
    def eos(self) -> str:
        """Text of the token that ends a turn."""
        return spelling_of(self._vocabulary, llama_cpp.llama_vocab_eos(self._vocabulary))

    def tokenize(self, text: str, *, special: bool, begin: bool = False) -> list[int]:
        """Token ids of a text; see `tokenize`."""
        return tokenize(self._vocabulary, text, special=special, begin=begin)

    def text(self, tokens: Sequence[int]) -> str:
        """What tokens stand for; see `text_of`."""
        return text_of(self._vocabulary, tokens)

    def close(self) -> None:
        """Free the model. The object cannot be used afterwards."""
        if self._model:
            llama_cpp.llama_model_free(self._model)
            self._model = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
