"""How probable a GGUF file finds given answers, token by token, as llama.cpp computes them. Worker processes only.

Every text has a sequence of its own in the cache, and several are computed at once. Logits are read over the whole
vocabulary at the places that answers are predicted from, and nowhere else. Attention is computed with its whole matrix: the
other way sums in float16 on processors, which moved single tokens by some hundredths of a nat.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from auditor.errors import ModelError
from auditor.models.batch_plan import candidates
from auditor.models.file import ModelFile
from auditor.models.fit import estimate, require
from auditor.models.llama import LabelScorer
from auditor.models.native_batch import Tokens, in_sequence, joined

#: Places whose logits are held at once: as many as the estimate of memory counts.
_MOST_WANTED = 60

Answer = tuple[Sequence[int], int]


class AnswerReader(LabelScorer):
    """Reads log-probabilities of answers; see `LabelScorer`, whose parameters it has."""

    def log_probabilities(
        self, answers: Sequence[Answer], tell: Callable[[int], None] | None = None
    ) -> list[NDArray[np.float64]]:
        """Log-probability of every token of every answer, each after all tokens before it.

        Parameters
        ----------
        answers : sequence of (ids, answer_from)
            Tokens of prompt and answer, and the place at which the answer begins. The very first token of a text has
            nothing before it and is never read.
        tell : callable, optional
            Called after each batch with the number of answers read so far; may raise to stop.

        Returns
        -------
        list of ndarray of shape (n_tokens,)
            Nats, in the order of `answers`.

        Raises
        ------
        ModelError
            If a text exceeds the context, or llama.cpp cannot decode it or gives logits that are no numbers.
        ValueError
            If an answer has no token that can be read.
        """
        for ids, answer_from in answers:
            if len(ids) <= max(answer_from, 1):
                raise ValueError("an answer needs a token behind the first token of its text")
            if len(ids) > self._n_ctx:
                raise ModelError(f"A text of {len(ids):,} tokens exceeds {self._n_ctx:,}.")
        self.release()
        found: dict[int, NDArray[np.float64]] = {}
        for group in self._groups([len(ids) for ids, _ in answers]):
            found.update(zip(group, self._read([answers[place] for place in group]), strict=True))
            if tell is not None:
                tell(len(found))
        return [found[place] for place in range(len(answers))]

    def _groups(self, lengths: Sequence[int]) -> Iterator[list[int]]:
        """Places of texts that stand in the cache together."""
        group: list[int] = []
        n_tokens = 0
        for place, length in enumerate(lengths):
            if group and (n_tokens + length > self.plan.capacity or len(group) == self.max_leaves):
                yield group
                group, n_tokens = [], 0
            group.append(place)
            n_tokens += length
        if group:
            yield group

    def _read(self, answers: Sequence[Answer]) -> list[NDArray[np.float64]]:
        import llama_cpp

        llama_cpp.llama_memory_clear(self._memory, True)
        texts, targets = [], list[int]()
        for sequence, (ids, answer_from) in enumerate(answers):
            first = max(answer_from, 1)
            # Nothing is predicted from the last token.
            text = in_sequence(ids[:-1], 0, sequence, last_is_wanted=False)
            texts.append(replace(text, wanted=np.arange(len(text)) >= first - 1))
            targets += ids[first:]
        shape, values = (self.n_tokens,), list[float]()
        for part in _parts(joined(texts), self.plan.n_ubatch):
            for place in self._decoded(part):
                found = np.ctypeslib.as_array(llama_cpp.llama_get_logits_ith(self._context, place), shape)
                values.append(_log_probability(found, targets[len(values)]))
        if not np.isfinite(values).all():
            raise self._failure("it gave logits that are no numbers")
        ends = np.cumsum([len(ids) - max(answer_from, 1) for ids, answer_from in answers])[:-1]
        return np.split(np.array(values, np.float64), ends)


def _parts(tokens: Tokens, most: int) -> Iterator[Tokens]:
    """Tokens that are computed at once: at most so many, and with few enough places to be read."""
    n_wanted = np.concatenate([[0], np.cumsum(tokens.wanted)])
    begin = 0
    while begin < len(tokens):
        room = int(np.searchsorted(n_wanted, n_wanted[begin] + _MOST_WANTED, side="right")) - 1
        end = min(begin + most, room)
        yield tokens.part(begin, end)
        begin = end


def _log_probability(logits: NDArray[np.float32], token: int) -> float:
    exact = logits.astype(np.float64)
    highest = exact.max()
    return float(exact[token] - highest - np.log(np.exp(exact - highest).sum()))


def answer_reader(file: ModelFile, longest: int) -> AnswerReader:
    """Load a file such that answers can be read, if the memory is there.

    Parameters
    ----------
    file : ModelFile
        Its hash was just recomputed.
    longest : int
        Tokens of the longest text.

    Raises
    ------
    ModelError
        If it does not fit, or llama.cpp refuses it.
    """
    plan = next(found for found in candidates(on_gpu=False) if not found.flash_attention)
    require(estimate(file, n_ctx=longest, plan=plan))
    return AnswerReader(file, n_ctx=longest, plan=plan, check=False)
