"""Text to tokens and back, for a GGUF file and for a folder. Imported by worker processes only.

Texts are data: nothing in them is read as a special token, but for what a chat template writes. A GGUF file's own vocabulary
is read by llama.cpp, which the file was made for; a folder's by the library `tokenizers`.
"""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

from auditor.errors import ModelError
from auditor.models.file import ModelFile


class Words(Protocol):
    """A tokenizer."""

    @property
    def chat_template(self) -> str | None:
        """Jinja text of the model's chat template, or None."""
        ...

    @property
    def bos(self) -> str:
        """Spelling of the token that begins a text; empty if there is none."""
        ...

    @property
    def eos(self) -> str:
        """Spelling of the token that ends a text or a turn; empty if there is none."""
        ...

    def marked(self, text: str, *, begin: bool) -> list[int]:
        """Token ids of what a chat template writes: spellings of special tokens are these tokens. Never for data.

        `begin` puts the token in front that the model wants there, unless the text begins with it.
        """
        ...

    def tokenize(self, text: str, *, begin: bool) -> list[int]:
        """Token ids of a text that begins a prompt, with the token in front that the model wants there; or of one inside."""
        ...

    def text(self, tokens: Sequence[int]) -> str:
        """What tokens stand for."""
        ...

    def close(self) -> None:
        """Free it."""
        ...


class Inside:
    """Tokens of a text that goes on after others, as they are within a prompt.

    Tokenizers of the SentencePiece family put a blank before every text they are given. A piece of a prompt is
    therefore read behind an anchor, whose tokens are dropped again. Other tokenizers read the piece as it is.

    Parameters
    ----------
    encode : callable
        Token ids of a text on its own.
    """

    _ANCHORS = ("\n", ":", "a")

    def __init__(self, encode: Callable[[str], list[int]]) -> None:
        self._encode = encode
        self._anchors = [(anchor, encode(anchor)) for anchor in self._ANCHORS]
        self._adds_blank = self._behind("b") not in (None, encode("b"))

    def _behind(self, text: str) -> list[int] | None:
        for anchor, known in self._anchors:
            found = self._encode(anchor + text)
            if found[: len(known)] == known:
                return found[len(known) :]
        return None

    def __call__(self, text: str) -> list[int]:
        """Token ids of a piece of a prompt that is not its first."""
        if self._adds_blank and (found := self._behind(text)) is not None:
            return found
        return self._encode(text)


def words_of(model: ModelFile, folder: Path) -> Words:
    """The tokenizer of a model.

    Raises
    ------
    ModelError
        If it has none that can be read.
    """
    return _GgufWords(model) if model.format == "gguf" else _FolderWords(model, folder)


class _GgufWords:
    def __init__(self, model: ModelFile) -> None:
        from auditor.models.vocabulary import Vocabulary

        self._vocabulary = Vocabulary(model)
        self._inside = Inside(lambda text: self._vocabulary.tokenize(text, special=False))
        self._inside_marked = Inside(lambda text: self._vocabulary.tokenize(text, special=True))

    @property
    def chat_template(self) -> str | None:
        return self._vocabulary.chat_template

    @property
    def bos(self) -> str:
        return self._vocabulary.bos

    @property
    def eos(self) -> str:
        return self._vocabulary.eos

    def marked(self, text: str, *, begin: bool) -> list[int]:
        return self._vocabulary.tokenize(text, special=True, begin=True) if begin else self._inside_marked(text)

    def tokenize(self, text: str, *, begin: bool) -> list[int]:
        return self._vocabulary.tokenize(text, special=False, begin=True) if begin else self._inside(text)

    def text(self, tokens: Sequence[int]) -> str:
        return self._vocabulary.text(tokens)

    def close(self) -> None:
        self._vocabulary.close()


class _FolderWords:
    def __init__(self, model: ModelFile, folder: Path) -> None:
        os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
        from transformers import AutoTokenizer

        try:
            found = AutoTokenizer.from_pretrained(str(folder), local_files_only=True, trust_remote_code=False)
        except (OSError, ValueError, KeyError, TypeError, AttributeError, ImportError) as error:
            first = (str(error).strip().splitlines() or ["no reason given"])[0]
            raise ModelError(f"The tokenizer of {model.name} cannot be read: {first[:300]}") from error
        self._tokenizer: Any = getattr(found, "backend_tokenizer", None)
        if self._tokenizer is None:
            raise ModelError(
                f"The tokenizer of {model.name} cannot be read: the folder needs a tokenizer.json. Write one with "
                "save_pretrained of transformers."
            )
        # Spellings of special tokens in a text stay text.
        self._tokenizer.encode_special_tokens = True
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        plain, framed = self._ids("a", special=False), self._ids("a", special=True)
        bos = getattr(found, "bos_token_id", None)
        self._inside = Inside(lambda text: self._ids(text, special=False))
        self._inside_marked = Inside(self._marked)
        self._bos = [bos] if bos is not None and framed[:1] == [bos] and plain[:1] != [bos] else []
        template = getattr(found, "chat_template", None)
        self.chat_template: str | None = template if isinstance(template, str) else None
        self.bos, self.eos = (str(getattr(found, name, None) or "") for name in ("bos_token", "eos_token"))

    def marked(self, text: str, *, begin: bool) -> list[int]:
        if not begin:
            return self._inside_marked(text)
        ids = self._marked(text)
        return ids if ids[:1] == self._bos else [*self._bos, *ids]

    def _marked(self, text: str) -> list[int]:
        self._tokenizer.encode_special_tokens = False
        try:
            return self._ids(text, special=False)
        finally:
            self._tokenizer.encode_special_tokens = True

    def _ids(self, text: str, *, special: bool) -> list[int]:
        return list(self._tokenizer.encode(text, add_special_tokens=special).ids)

    def tokenize(self, text: str, *, begin: bool) -> list[int]:
        return [*self._bos, *self._ids(text, special=False)] if begin else self._inside(text)

    def text(self, tokens: Sequence[int]) -> str:
        return str(self._tokenizer.decode(list(tokens), skip_special_tokens=False))

    def close(self) -> None:
        self._tokenizer = None
