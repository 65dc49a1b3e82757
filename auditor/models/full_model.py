"""A GGUF file read at its last layer by llama.cpp: a scorer with one exit. Worker processes only.

See `auditor.models.exits` for what is promised. llama.cpp gives no inner layers out.
"""

from collections.abc import Sequence
from itertools import groupby
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from auditor.errors import ModelError
from auditor.models.batch_plan import BatchPlan, candidates
from auditor.models.exits import Prompt, Stop, spellings
from auditor.models.file import ModelFile
from auditor.models.llama import LabelScorer
from auditor.models.tree import Unit, batches
from auditor.models.words import Inside

#: Context that is made at first; a longer prompt gets a longer one.
_N_CTX = 2048


class FullModelScorer:
    """Reads the logits of labels at the last layer.

    Parameters
    ----------
    model : ModelFile
        A GGUF file.
    threads : int, optional
        Threads of the processor; its physical cores if not given.

    Raises
    ------
    ModelError
        If the file is gone, has changed, is a folder, or llama.cpp refuses it.
    """

    n_exits = 1

    def __init__(self, model: ModelFile, *, threads: int | None = None) -> None:
        self.file = model
        self._plan: BatchPlan | None = None
        self._scorer = LabelScorer(model, n_ctx=_N_CTX)
        if threads is not None:
            plan = candidates(on_gpu=self._scorer.on_gpu)[0]
            self._plan = plan.model_copy(update={"n_threads": threads})
            self._scorer.use(self._plan)
        self._n_ctx = _N_CTX
        self._inside = Inside(self._encode)

    @property
    def device(self) -> str:
        """What computes, in words."""
        return self._scorer.device

    @property
    def settings(self) -> dict[str, Any]:
        """Everything a score depends on beside its tokens."""
        known = {name: value for name, value in self._scorer.settings.items() if name != "n_ctx"}
        return {"backend": "llama.cpp", **known, "threads": self._scorer.plan.n_threads, "n_exits": self.n_exits}

    def tokenize(self, text: str, *, begin: bool) -> list[int]:
        """Token ids of a text, in which nothing is read as a special token."""
        return self._encode(text, begin=True) if begin else self._inside(text)

    def _encode(self, text: str, *, begin: bool = False) -> list[int]:
        return self._scorer.tokenize(text, special=False, begin=begin)

    def text(self, tokens: Sequence[int]) -> str:
        """What tokens stand for."""
        return self._scorer.text(tokens)

    def label_tokens(self, word: str) -> tuple[int, ...]:
        """Spellings of a word that are a single token, sorted; empty if there is none."""
        found = (self.tokenize(spelling, begin=False) for spelling in spellings(word))
        return tuple(sorted({tokens[0] for tokens in found if len(tokens) == 1}))

    def hold(self, prefix: Sequence[int]) -> None:
        """Decode what prompts that follow begin with; the latest few are kept."""
        if prefix:
            self._make_room(len(prefix) + 1)
            self._scorer.hold(prefix)

    def release(self) -> None:
        """Forget every prefix that is held."""
        self._scorer.release()

    def scores(self, prompts: Sequence[Prompt], labels: Sequence[Sequence[int]]) -> NDArray[np.float32]:
        """Logits of the labels at the end of each prompt: shape (n_prompts, 1, n_labels)."""
        if not labels or not all(labels):
            raise ValueError("every label needs a token")
        tokens = list(dict.fromkeys(token for label in labels for token in label))
        columns = [[tokens.index(token) for token in label] for label in labels]
        logits = np.empty((len(prompts), len(tokens)), np.float32)
        self._make_room(max(map(len, prompts), default=0))
        for prefix, group in groupby(range(len(prompts)), key=lambda place: prompts[place].prefix):
            places = list(group)
            if prefix and (len(places) > 1 or self._scorer.holds(prefix)):
                logits[places] = self._behind(prefix, [prompts[place].query for place in places], tokens)
            else:
                for place in places:
                    logits[place] = self._scorer.prefill(prompts[place].tokens, tokens)
        if not np.isfinite(logits).all():
            raise ModelError(f"The model {self.file.name} failed: it gave logits that are no numbers.")
        return np.stack([logits[:, found].max(-1) for found in columns], -1)[:, None, :]

    def _behind(
        self, prefix: tuple[int, ...], queries: Sequence[Sequence[int]], tokens: Sequence[int]
    ) -> NDArray[np.float32]:
        self._scorer.hold(prefix)
        units = [Unit(np.array(query[:-1], np.int32), (np.array(query[-1:], np.int32),)) for query in queries]
        found = np.empty((len(queries), len(tokens)), np.float32)
        cut = batches(units, capacity=self._scorer.plan.capacity, max_leaves=self._scorer.max_leaves)
        for batch, logits in self._scorer.scores(cut, tokens):
            found[[unit for unit, _ in batch.leaves]] = logits
        return found

    def answer(
        self, prompt: Prompt, labels: Sequence[Sequence[int]], stop: Stop, *, first_exit: int
    ) -> tuple[int, NDArray[np.float32]]:
        """The only exit, 0, and the logits there, shape (n_labels,)."""
        del first_exit  # there is but one
        logits = self.scores([prompt], labels)[0, 0]
        stop(0, logits)
        return 0, logits

    def attention(self, prompt: Prompt, spans: Sequence[tuple[int, int]]) -> NDArray[np.float32]:
        """Refused: llama.cpp does not tell where a model attends.

        Raises
        ------
        ModelError
            Always.
        """
        raise ModelError(
            f"llama.cpp does not tell where {self.file.name} attends ({len(prompt)} tokens, {len(spans)} spans asked): "
            "choose the torch backend to see attention."
        )

    def _make_room(self, n_tokens: int) -> None:
        """Load again with a longer context, where a prompt needs one."""
        if n_tokens <= self._n_ctx:
            return
        most = self.file.context_length
        if most and n_tokens > most:
            raise ModelError(
                f"A prompt of {n_tokens:,} tokens is longer than the {most:,} that {self.file.name} was trained to attend "
                "to: use fewer or shorter demonstrations."
            )
        while self._n_ctx < n_tokens:
            self._n_ctx *= 2
        self._scorer.close()
        self._scorer = LabelScorer(self.file, n_ctx=self._n_ctx, plan=self._plan, check=False)

    def close(self) -> None:
        """Free the model. The object cannot be used afterwards."""
        self._scorer.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
