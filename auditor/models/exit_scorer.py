"""Reading labels at every layer with torch. Worker processes only; see `auditor.models.exits` for what is promised.

A hook on every layer keeps the last position only. The last layer's hook ends the forward pass, so the head never runs
over the vocabulary: norm and label rows of the head are applied once to what was kept. An early exit is the same hook
ending the pass sooner. Batches are padded at the end, where causal attention never looks.
"""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import groupby
from types import TracebackType
from typing import Any, Self

import numpy as np
import torch
import transformers
from numpy.typing import NDArray
from transformers import DynamicCache

from auditor.errors import ModelError
from auditor.models import shared_prefix
from auditor.models.exits import Prompt, Stop, spellings
from auditor.models.readout import TOLERANCE, distance, hidden_of, some_tokens
from auditor.models.shared_prefix import Held, NotPlain, behind
from auditor.models.torch_fit import HELD_BYTES
from auditor.models.torch_model import PROBE, TorchModel, batch_tokens

#: Ways to go on after a prefix, the fastest first.
_IN_TWO_PARTS, _FILLED_CACHE, _NONE = "attention in two parts", "filled cache", "none"
#: A way to share a prefix may differ from the whole prompt by this much of what one lost token makes (ours).
_LESS_THAN_LOST = 0.75
#: What may differ in the readout when other tokens follow (ours; 0 where attention is causal).
_CAUSAL = 1e-4
#: Prefixes that are kept whatever they take: that of a prompt, and the one without demonstrations.
_FEWEST_HELD = 2
#: Exceptions by which models of other kinds say that they cannot go on after a prefix.
_CANNOT = (NotPlain, AttributeError, IndexError, KeyError, NotImplementedError, RuntimeError, TypeError, ValueError)


class _Enough(Exception):
    """Ends a forward pass: the layers above are not needed."""


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
        self._visit: Callable[[int, Any], None] | None = None
        self._held: dict[tuple[int, ...], Held] = {}
        self._rows: dict[tuple[int, ...], tuple[Any, Any]] = {}
        self._handles = [
            layer.register_forward_hook(self._hook(place)) for place, layer in enumerate(self._parts.layers)
        ]
        self._stock = loaded.module.config._attn_implementation
        self._reuse = _NONE
        try:
            self._reuse = self._find_reuse()
        except BaseException:
            self.close()
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

    def _hook(self, place: int) -> Callable[[Any, Any, Any], None]:
        def hook(_layer: Any, _inputs: Any, output: Any) -> None:
            if self._visit is not None:
                self._visit(place, hidden_of(output))

        return hook

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
            "attention": self._stock,
            "shared_prefix": self._reuse,
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

    # --- a shared prefix

    def hold(self, prefix: Sequence[int]) -> None:
        """Compute the keys and values of a prefix once; the latest few are kept."""
        self._hold(tuple(prefix))

    def release(self) -> None:
        """Forget every prefix that is held."""
        self._held.clear()

    def _hold(self, prefix: tuple[int, ...]) -> Held | None:
        if not prefix or self._reuse == _NONE:
            return None
        held = self._held.pop(prefix, None) or self._computed(prefix)
        if held is not None:
            self._held[prefix] = held
            while len(self._held) > _FEWEST_HELD and sum(one.nbytes for one in self._held.values()) > HELD_BYTES:
                del self._held[next(iter(self._held))]
        return held

    def _computed(self, prefix: tuple[int, ...]) -> Held | None:
        self._require_length(len(prefix))
        cache = DynamicCache()
        self._run([prefix], None, lambda _exit, _hidden: None, cache=cache)
        return shared_prefix.of_cache(prefix, cache, self.n_exits)

    def _find_reuse(self) -> str:
        """Check padding, and find the fastest way to go on after a prefix that gives what the whole prompt gives."""
        tokens = tuple(self.model.words.tokenize(PROBE, begin=True))
        half = len(tokens) // 2
        whole = self._probed([tokens], None)
        # Whatever follows a prompt must not matter. In equal shapes that holds to the bit in any precision.
        ends = [len(tokens) - 1]
        followed = [self._probed([tokens + after], None, ends) for after in (tokens[1:half], tokens[:1] * (half - 1))]
        if distance(*followed) > _CAUSAL:
            raise ModelError(f"The model {self.file.name} cannot be read in batches: padding changes what it computes.")
        allowed = min(TOLERANCE[self.model.dtype], _LESS_THAN_LOST * self._lost(tokens, half, whole))
        for way in (_IN_TWO_PARTS, _FILLED_CACHE):
            self._set_way(way)
            try:
                held = self._hold(tokens[:half])
                behind_it = self._probed([tokens[half:], tokens[half:-2]], held) if held is not None else None
                same = behind_it is not None and distance(behind_it, whole) <= allowed
            except _CANNOT:
                same = False
            self._held.clear()
            if same:
                return way
        self._set_way(_NONE)
        return _NONE

    def _lost(self, tokens: tuple[int, ...], half: int, whole: Any) -> float:
        """The least that a token makes which is lost from the first half of a prompt, but for the one that begins it."""
        rows = [tokens[:at] + tokens[at + 1 :] for at in range(1, half)]
        read = self._read_all(self._gathered(rows, None))
        return min(distance(read[:, row], whole) for row in range(len(rows)))

    def _read_all(self, hidden: Any) -> Any:
        """Logits of tokens from all over the vocabulary."""
        with torch.inference_mode():
            return self._parts.read(hidden, *self._parts.rows(some_tokens(self._parts.head.weight.shape[0])))

    def _probed(self, rows: Sequence[Sequence[int]], held: Held | None, ends: Sequence[int] | None = None) -> Any:
        """Logits of tokens from all over the vocabulary after the first prompt, shape (n_exits, n_tokens)."""
        return self._read_all(self._gathered(rows, held, ends)[:, 0])

    def _set_way(self, way: str) -> None:
        self._reuse = way
        self._set_attention(shared_prefix.NAME if way == _IN_TWO_PARTS else self._stock)

    def _set_attention(self, name: str) -> None:
        self.model.module.set_attn_implementation(name)

    # --- running layers

    def _run(
        self,
        rows: Sequence[Sequence[int]],
        held: Held | None,
        visit: Callable[[int, Any], None],
        *,
        cache: Any = None,
        **more: Any,
    ) -> Any:
        """One forward pass over prompts of different length; `visit` sees every layer's hidden states."""
        width = max(map(len, rows))
        ids = torch.tensor([[*row, *[0] * (width - len(row))] for row in rows], device=self.model.device)
        arguments: dict[str, Any] = {"input_ids": ids, "use_cache": cache is not None, "logits_to_keep": 1, **more}
        two_parts = held is not None and self._reuse == _IN_TWO_PARTS
        if two_parts and held is not None:
            begin = len(held.tokens)
            arguments["position_ids"] = torch.arange(begin, begin + width, device=ids.device).unsqueeze(0)
        elif held is not None:
            cache = held.filled(len(rows))
            arguments["use_cache"] = True
        if cache is not None:
            arguments["cache"] = cache
        self._visit = visit
        try:
            with torch.inference_mode(), behind(held if two_parts else None):
                return self.model.module(**arguments)
        except _Enough:
            return None
        finally:
            self._visit = None

    def _gathered(self, rows: Sequence[Sequence[int]], held: Held | None, ends: Sequence[int] | None = None) -> Any:
        """Hidden states at the end of each prompt, or where it is said: shape (n_exits, n_rows, width)."""
        places = torch.tensor(ends or [len(row) - 1 for row in rows], device=self.model.device)
        at = torch.arange(len(rows), device=self.model.device)
        kept: list[Any] = []

        def keep(_exit: int, hidden: Any) -> None:
            kept.append(hidden[at, places])
            if len(kept) == self.n_exits:
                raise _Enough

        self._run(rows, held, keep)
        return torch.stack(kept)

    # --- scores

    def scores(self, prompts: Sequence[Prompt], labels: Sequence[Sequence[int]]) -> NDArray[np.float32]:
        """Logits of the labels at the end of each prompt, at every exit: shape (n_prompts, n_exits, n_labels)."""
        for prompt in prompts:
            self._require_length(len(prompt))
        reader = _Reader(self, labels)
        result = np.empty((len(prompts), self.n_exits, len(labels)), np.float32)
        for places, held in self._shares(prompts):
            rows = {place: prompts[place].query if held else prompts[place].tokens for place in places}
            for batch in _batches(rows, self._batch_tokens):
                read = reader.read(self._gathered([rows[place] for place in batch], held))
                result[batch] = read.swapaxes(0, 1)
        if not np.isfinite(result).all():
            raise ModelError(f"The model {self.file.name} failed: it gave logits that are no numbers.")
        return result

    def _shares(self, prompts: Sequence[Prompt]) -> Iterator[tuple[list[int], Held | None]]:
        """Places of prompts that are computed together: those that share a prefix, and all that share none."""
        alone: list[int] = []
        for prefix, group in groupby(range(len(prompts)), key=lambda place: prompts[place].prefix):
            places = list(group)
            held = self._hold(prefix) if len(places) > 1 or prefix in self._held else None
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
        self._require_length(len(prompt))
        reader = _Reader(self, labels)
        held = self._hold(prompt.prefix) if prompt.prefix in self._held else None
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
                raise _Enough

        self._run([tokens], held, look)
        return found[0]

    def attention(self, prompt: Prompt, spans: Sequence[tuple[int, int]]) -> NDArray[np.float32]:
        """Share of the last position's attention that falls on spans of tokens: shape (n_layers, n_heads, n_spans).

        All but the last token are computed as usual; only the last one is computed with attention spelled out, so
        that no square matrix of the prompt is kept.
        """
        self._require_length(len(prompt))
        *before, last = prompt.tokens
        if not before:
            raise ModelError("Attention is read over two tokens at least.")
        cache = DynamicCache()
        self._set_attention(self._stock)
        try:
            self._run([before], None, lambda _exit, _hidden: None, cache=cache)
            self._set_attention("eager")
            output = self._run([[last]], None, lambda _exit, _hidden: None, cache=cache, output_attentions=True)
        except _CANNOT:
            output = None
        finally:
            self._set_way(self._reuse)
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

    def _require_length(self, n_tokens: int) -> None:
        most = int(getattr(self.model.config, "max_position_embeddings", 0) or 0)
        if most and n_tokens > most:
            raise ModelError(
                f"A prompt of {n_tokens:,} tokens is longer than the {most:,} that {self.file.name} was trained to attend "
                "to: use fewer or shorter demonstrations."
            )

    def close(self) -> None:
        """Free the model. The object cannot be used afterwards."""
        for handle in self._handles:
            handle.remove()
        self._handles = []
        self._held.clear()
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
