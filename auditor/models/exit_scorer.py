"""Reading labels at every layer with torch. Worker processes only; see `auditor.models.exits` for what is promised.

Of every layer the last position only is kept. The pass ends behind the last layer, so the head never runs over the
vocabulary: norm and label rows of the head are applied once to what was kept. An early exit ends the pass sooner.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from types import TracebackType
from typing import Any, Self

import numpy as np
import torch
import transformers
from numpy.typing import NDArray
from transformers import DynamicCache

from auditor.errors import ModelError
from auditor.models.exits import Prompt, Stop, spellings
from auditor.models.held_prefixes import CANNOT, HeldPrefixes
from auditor.models.layer_passes import Enough, LayerPasses
from auditor.models.shared_prefix import Held
from auditor.models.torch_model import TorchModel, batch_tokens


class ExitScorer:
    """Reads the logits of labels at every layer.

    Parameters
    ----------
    loaded : TorchModel
        The model, which belongs to the scorer from here on and is freed with it.

    Raises
    ------
    ModelError
        If padding changes what the model computes.
    """

    def __init__(self, loaded: TorchModel) -> None:
        self.file = loaded.file
        self._loaded: TorchModel | None = loaded
        self._parts = loaded.parts
        self.n_exits = len(self._parts.layers)
        self._batch_tokens = batch_tokens(loaded.device)
        self._rows: dict[tuple[int, ...], tuple[Any, Any]] = {}
        self._passes = LayerPasses(loaded)
        try:
            self._prefixes = HeldPrefixes(loaded, self._passes)
        except BaseException:
            self._passes.close()
            self._free()
            raise

    @property
    def model(self) -> TorchModel:
        """The loaded model.

        Raises
        ------
        ModelError
            If the scorer was closed.
        """
        if self._loaded is None:
            raise ModelError(f"The model {self.file.name} was closed.")
        return self._loaded

    @property
    def device(self) -> str:
        """What computes, in words."""
        return self.model.device_name

    @property
    def settings(self) -> dict[str, Any]:
        """Everything a score depends on beside its tokens."""
        model = self.model
        return {
            "engine": f"torch {torch.__version__}, transformers {transformers.__version__}",
            "backend": "torch",
            "device": model.device_name,
            "device_kind": str(model.device.type),
            "dtype": model.precision.dtype,
            "dtype_milliseconds": model.precision.milliseconds,
            "threads": torch.get_num_threads(),
            "waiting": os.environ.get("OMP_WAIT_POLICY", "active").lower(),
            "turns_before_waiting": os.environ.get("GOMP_SPINCOUNT", "unset"),
            "attention": self._passes.stock,
            "shared_prefix": self._passes.way,
            "batch_tokens": self._batch_tokens,
            "padding": "at the end",
            "n_exits": self.n_exits,
        }

    def tokenize(self, text: str, *, begin: bool) -> list[int]:
        """Token ids of a text, in which nothing is read as a special token."""
        return self.model.words.tokenize(text, begin=begin)

    def text(self, tokens: Sequence[int]) -> str:
        """What tokens stand for."""
        return self.model.words.text(tokens)

    def label_tokens(self, word: str) -> tuple[int, ...]:
        """Spellings of a word that are a single token, sorted; empty if there is none."""
        found = (self.model.words.tokenize(spelling, begin=False) for spelling in spellings(word))
        return tuple(sorted({tokens[0] for tokens in found if len(tokens) == 1}))

    def hold(self, prefix: Sequence[int]) -> None:
        """Compute the keys and values of a prefix once; the latest few are kept."""
        self._prefixes.hold(tuple(prefix))

    def release(self) -> None:
        """Forget every prefix that is held."""
        self._prefixes.clear()

    def scores(self, prompts: Sequence[Prompt], labels: Sequence[Sequence[int]]) -> NDArray[np.float32]:
        """Logits of the labels at the end of each prompt, at every exit: shape (n_prompts, n_exits, n_labels)."""
        for prompt in prompts:
            self._passes.require_length(len(prompt))
        reader = _Reader(self, labels)
        result = np.empty((len(prompts), self.n_exits, len(labels)), np.float32)
        for places, held in self._shares(prompts):
            rows = {place: prompts[place].query if held else prompts[place].tokens for place in places}
            for batch in _batches(rows, self._batch_tokens):
                read = reader.read(self._passes.gathered([rows[place] for place in batch], held))
                result[batch] = read.swapaxes(0, 1)
        if not np.isfinite(result).all():
            raise ModelError(f"The model {self.file.name} failed: it gave logits that are no numbers.")
        return result

    def _shares(self, prompts: Sequence[Prompt]) -> Iterator[tuple[list[int], Held | None]]:
        """Places of prompts that are computed together: those that share a prefix, and all that share none."""
        alone: list[int] = []
        for prefix, group in groupby(range(len(prompts)), key=lambda place: prompts[place].prefix):
            places = list(group)
            held = self._prefixes.hold(prefix) if len(places) > 1 or prefix in self._prefixes else None
            if held is None:
                alone += places
            else:
                yield places, held
        if alone:
            yield alone, None

    def answer(
        self, prompt: Prompt, labels: Sequence[Sequence[int]], stop: Stop, *, first_exit: int
    ) -> tuple[int, NDArray[np.float32]]:
        """Run layer after layer until `stop` says so: the exit reached, and the logits there, shape (n_labels,)."""
        self._passes.require_length(len(prompt))
        reader = _Reader(self, labels)
        held = self._prefixes.hold(prompt.prefix) if prompt.prefix in self._prefixes else None
        tokens = prompt.query if held else prompt.tokens
        found: list[tuple[int, NDArray[np.float32]]] = []

        def look(place: int, hidden: Any) -> None:
            last = place == self.n_exits - 1
            if place < first_exit and not last:
                return
            logits = reader.read(hidden[:, -1:])[0, 0]
            if not np.isfinite(logits).all():
                raise ModelError(f"The model {self.file.name} failed: it gave logits that are no numbers.")
            if stop(place, logits) or last:
                found.append((place, logits))
                raise Enough

        self._passes.run([tokens], held, look)
        return found[0]

    def attention(self, prompt: Prompt, spans: Sequence[tuple[int, int]]) -> NDArray[np.float32]:
        """Share of the last position's attention that falls on spans of tokens: shape (n_layers, n_heads, n_spans).

        All but the last token are computed as usual; only the last one is computed with attention spelled out, so
        that no square matrix of the prompt is kept.
        """
        self._passes.require_length(len(prompt))
        *before, last = prompt.tokens
        if not before:
            raise ModelError("Attention is read over two tokens at least.")
        cache = DynamicCache()
        self._passes.set_attention(self._passes.stock)
        try:
            self._passes.run([before], None, lambda _exit, _hidden: None, cache=cache)
            self._passes.set_attention("eager")
            output = self._passes.run([[last]], None, lambda _exit, _hidden: None, cache=cache, output_attentions=True)
        except CANNOT:
            output = None
        finally:
            self._passes.set_way(self._passes.way)
        weights = getattr(output, "attentions", None)
        if not weights or any(found is None or found.shape[-1] != len(prompt) for found in weights):
            raise ModelError(f"The model {self.file.name} does not tell where it attends.")
        layers = [found[0, :, -1].float() for found in weights]
        masses = [[layer[:, begin:end].sum(-1) for begin, end in spans] for layer in layers]
        result: NDArray[np.float32] = torch.stack([torch.stack(row, -1) for row in masses]).cpu().numpy()
        return result

    def rows_of(self, tokens: tuple[int, ...]) -> tuple[Any, Any]:
        """Rows of the head for some tokens; kept, since labels stay the same."""
        if tokens not in self._rows:
            self._rows[tokens] = self._parts.rows(tokens)
        return self._rows[tokens]

    def read(self, hidden: Any, tokens: tuple[int, ...]) -> NDArray[np.float32]:
        """Logits of some tokens from hidden states, shape (..., n_tokens)."""
        with torch.inference_mode():
            found: NDArray[np.float32] = self._parts.read(hidden, *self.rows_of(tokens)).cpu().numpy()
        return found

    def close(self) -> None:
        """Free the model. The object cannot be used afterwards."""
        self._passes.close()
        self._prefixes.clear()
        self._free()

    def _free(self) -> None:
        self._rows.clear()
        if self._loaded is not None:
            self._loaded.words.close()
            self._loaded = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class _Reader:
    """From hidden states to a logit for each label: the largest of its spellings."""

    def __init__(self, scorer: ExitScorer, labels: Sequence[Sequence[int]]) -> None:
        if not labels or not all(labels):
            raise ValueError("every label needs a token")
        self._scorer = scorer
        self._tokens = tuple(dict.fromkeys(token for label in labels for token in label))
        place = {token: column for column, token in enumerate(self._tokens)}
        self._columns = [[place[token] for token in label] for label in labels]

    def read(self, hidden: Any) -> NDArray[np.float32]:
        """Logits of shape (..., n_labels)."""
        logits = self._scorer.read(hidden, self._tokens)
        return np.stack([logits[..., columns].max(-1) for columns in self._columns], -1)


def _batches(rows: Mapping[int, Sequence[int]], most_tokens: int) -> Iterator[list[int]]:
    """Places of prompts of like length, as many as fit with their padding."""
    batch: list[int] = []
    for place in sorted(rows, key=lambda found: len(rows[found])):
        if batch and (len(batch) + 1) * len(rows[place]) > most_tokens:
            yield batch
            batch = []
        batch.append(place)
    if batch:
        yield batch
