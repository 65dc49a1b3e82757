"""Greedy text under a grammar, for several sequences side by side. Imported by worker processes only."""

import ctypes
import math
from types import TracebackType
from typing import Any, Self

import llama_cpp
import numpy as np

from auditor.errors import ModelError
from auditor.models import vocabulary

_CANDIDATE = np.dtype([("id", np.int32), ("logit", np.float32), ("p", np.float32)])


class Speaker:
    """Chooses the next token of each of several texts: the most likely one that the grammar allows.

    Parameters
    ----------
    context, vocabulary : llama.cpp pointers
        The context that computes the logits, and the model's vocabulary.
    grammar : str
        GBNF with a rule ``root``.
    n : int
        Number of texts.

    Raises
    ------
    ModelError
        If llama.cpp refuses the grammar.
    """

    def __init__(self, context: Any, vocab: Any, grammar: str, n: int) -> None:
        self._context, self._vocabulary = context, vocab
        self._size = llama_cpp.llama_vocab_n_tokens(vocab)
        self._texts: list[list[int]] = [[] for _ in range(n)]
        self._rules: list[Any] = []
        for _ in range(n):
            rule = llama_cpp.llama_sampler_init_grammar(vocab, grammar.encode(), b"root")
            if not rule:
                self.close()
                raise ModelError("llama.cpp refused the grammar of explanations.")
            self._rules.append(rule)

    def next(self, text: int, place: int) -> int | None:
        """Choose a text's next token from the logits at a place of the batch decoded last; None ends the text."""
        pointer = llama_cpp.llama_get_logits_ith(self._context, place)
        logits = np.ctypeslib.as_array(pointer, (self._size,))
        token = int(logits.argmax())
        # The grammar looks at the likeliest token first: at the whole vocabulary only when it refuses that.
        if not self._allowed(text, np.array([token]), logits):
            token = self._likeliest_allowed(text, logits)
        if token < 0 or llama_cpp.llama_vocab_is_eog(self._vocabulary, token):
            return None
        llama_cpp.llama_sampler_accept(self._rules[text], token)
        self._texts[text].append(token)
        return token

    def _allowed(self, text: int, ids: Any, logits: Any) -> Any:
        """Which of some tokens the grammar allows, as a list of places in `ids`."""
        candidates = np.zeros(len(ids), _CANDIDATE)
        candidates["id"], candidates["logit"] = ids, logits[ids]
        kind = ctypes.POINTER(llama_cpp.llama_token_data)
        array = llama_cpp.llama_token_data_array(
            ctypes.cast(candidates.ctypes.data, kind), len(ids), ctypes.c_int64(-1), False
        )
        llama_cpp.llama_sampler_apply(self._rules[text], ctypes.byref(array))
        return [place for place in range(len(ids)) if math.isfinite(candidates["logit"][place])]

    def _likeliest_allowed(self, text: int, logits: Any) -> int:
        """The likeliest token that the grammar allows, -1 if there is none; looks at ever more of them."""
        for n in (64, 4096, self._size):
            ids = np.argpartition(-logits, min(n, self._size) - 1)[:n]
            ids = ids[np.argsort(-logits[ids], kind="stable")]
            if places := self._allowed(text, ids, logits):
                return int(ids[places[0]])
        return -1

    def text(self, text: int) -> str:
        """What was chosen so far; half of a character at the cut becomes U+FFFD."""
        return vocabulary.text_of(self._vocabulary, self._texts[text]).strip()

    def close(self) -> None:
        """Free the grammars."""
        while self._rules:
            llama_cpp.llama_sampler_free(self._rules.pop())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
