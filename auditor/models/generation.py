"""Greedy generation in batches, with a cache of keys and values. Worker processes only.

Nothing is drawn: every step takes the likeliest token, whatever a model's own settings for generation say. Prompts of
a batch are padded in front, so that all of them end where the next token is read; whether a model's answers are the same
then is tried out, and where they are not, only prompts of one length are put together.
"""

import inspect
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any

import torch

from auditor.errors import ModelError
from auditor.models.readable import Readable, context_length, evaluating, require_length
from auditor.models.readout import agree
from auditor.models.torch_model import TorchModel, batch_tokens, free_bytes

#: Prompts that are continued together at most, and how many times a batch of reading their tokens may make (ours: one
#: token a prompt is computed at a time, but the cache holds them all).
_MOST_PROMPTS, _TIMES = 64, 4


def end_ids(model: TorchModel) -> tuple[int, ...]:
    """Tokens that end a text, as the model's configuration names them; the first one is written behind an answer."""
    found: list[int] = []
    for config in (model.config, model.module.config, getattr(model.module, "generation_config", None)):
        named = getattr(config, "eos_token_id", None)
        found += named if isinstance(named, list) else [named] if named is not None else []
    return tuple(dict.fromkeys(int(token) for token in found))


def generate(
    reader: Readable,
    prompts: Sequence[Sequence[int]],
    *,
    max_new_tokens: int,
    tell: Callable[[int], None] | None = None,
) -> list[list[int]]:
    """Continue each prompt by its likeliest tokens; of a model that is trained, as it is now.

    Parameters
    ----------
    prompts : sequence of sequences of int
        Token ids, at least one each.
    max_new_tokens : int
        Tokens after which an answer is cut; sooner where the model's context ends.
    tell : callable, optional
        Called after every token of a batch with the number of prompts that are done; may raise to stop.

    Returns
    -------
    list of list of int
        New tokens of each prompt, without the token that ends it.

    Raises
    ------
    ModelError
        If a prompt fills the model's context, or the model gives logits that are no numbers.
    ValueError
        If a prompt is empty.
    """
    if not all(prompts):
        raise ValueError("a prompt needs at least one token")
    for prompt in prompts:
        require_length(reader, len(prompt) + 1)
    found: dict[int, list[int]] = {}
    pads = _may_be_padded(reader, prompts)
    lengths = [len(prompt) for prompt in prompts]
    for batch in _batches(lengths, max_new_tokens, _most_tokens(reader), context_length(reader), pads=pads):
        say = partial(tell, len(found)) if tell is not None else _nothing
        new = _continued(reader, [prompts[place] for place in batch], max_new_tokens, say)
        found.update(zip(batch, new, strict=True))
        if tell is not None:
            tell(len(found))
    return [found[place] for place in range(len(prompts))]


def cut(text: str, stops: Iterable[str]) -> str:
    """A text up to the first of some spellings, without blanks around it."""
    for stop in stops:
        text = text.split(stop, 1)[0]
    return text.strip()


def _nothing() -> None:
    return None


def _most_tokens(reader: Readable) -> int:
    """Tokens that the cache of a batch may hold: enough to keep the device busy, and in half of the memory that is free."""
    file, wanted = reader.model.file, _TIMES * batch_tokens(reader.device)
    one = 2 * file.layers * file.kv_heads * file.head_dim * reader.head_weight.element_size()
    return min(wanted, free_bytes(reader.device) // 2 // one) if one else wanted


def _batches(
    lengths: Sequence[int], new: int, most_tokens: int, context: int | None, *, pads: bool
) -> Iterator[list[int]]:
    """Places of prompts of like length, or of the same where they cannot be padded, as many as the cache may hold.

    A prompt whose answer ends with the context is alone, since places behind the context may not be computed at all.
    """
    batch: list[int] = []
    for place in sorted(range(len(lengths)), key=lambda found: lengths[found]):
        is_full = len(batch) == _MOST_PROMPTS or (len(batch) + 1) * (lengths[place] + new) > most_tokens
        is_long = context is not None and lengths[place] + new > context
        if batch and (is_full or is_long or not (pads or lengths[place] == lengths[batch[0]])):
            yield batch
            batch = []
        batch.append(place)
    if batch:
        yield batch


class _Continuing:
    """A batch of prompts that is gone on with token by token."""

    def __init__(self, reader: Readable, prompts: Sequence[Sequence[int]]) -> None:
        self._reader = reader
        width = max(map(len, prompts))
        padded = [[0] * (width - len(prompt)) + list(prompt) for prompt in prompts]
        self._ids = torch.tensor(padded, device=reader.device)
        mask = [[0] * (width - len(prompt)) + [1] * len(prompt) for prompt in prompts]
        self._is_padded = any(len(prompt) < width for prompt in prompts)
        self._mask = torch.tensor(mask, device=reader.device)
        self._positions = (self._mask.cumsum(-1) - 1).clamp_min(0)
        self._takes_positions = "position_ids" in inspect.signature(reader.module.forward).parameters
        self._cache: Any = None

    def logits(self) -> Any:
        """Logits of the next token of every prompt, shape (n, n_vocabulary).

        Raises
        ------
        ModelError
            If they are no numbers.
        """
        more: dict[str, Any] = {"attention_mask": self._mask} if self._is_padded else {}
        if self._takes_positions:
            more["position_ids"] = self._positions
        output = self._reader.module(input_ids=self._ids, cache=self._cache, use_cache=True, logits_to_keep=1, **more)
        self._cache, last = output.cache, output.logits[:, -1]
        if not bool(torch.isfinite(last).all()):
            raise ModelError(f"The model {self._reader.model.file.name} failed: it gave logits that are no numbers.")
        return last

    def add(self, tokens: Any) -> None:
        """Put a token behind every prompt; `tokens` has shape (n,)."""
        self._ids = tokens[:, None]
        self._mask = torch.cat([self._mask, self._mask.new_ones(len(tokens), 1)], -1)
        self._positions = self._positions[:, -1:] + 1


def _may_be_padded(reader: Readable, prompts: Sequence[Sequence[int]]) -> bool:
    """Whether the shortest prompt goes on the same beside the longest one as alone: not so of models that keep states."""
    short, long = min(prompts, key=len, default=()), max(prompts, key=len, default=())
    if len(short) == len(long):
        return True
    with evaluating(reader):
        alone, beside = _Continuing(reader, [short]), _Continuing(reader, [short, long])
        first, second = alone.logits(), beside.logits()
        alone.add(first.argmax(-1))
        beside.add(first.argmax(-1).expand(2))
        later = torch.cat([first, alone.logits()]), torch.cat([second[:1], beside.logits()[:1]])
    return agree(later[0].float(), later[1].float(), reader.model.dtype)


def _continued(
    reader: Readable, prompts: Sequence[Sequence[int]], max_new_tokens: int, say: Callable[[], None]
) -> list[list[int]]:
    ends = set(end_ids(reader.model))
    context = context_length(reader)
    room = max_new_tokens if context is None else min(max_new_tokens, context - max(map(len, prompts)))
    answers: list[list[int]] = [[] for _ in prompts]
    open_rows = set(range(len(prompts)))
    with evaluating(reader):
        batch = _Continuing(reader, prompts)
        for _ in range(room):
            chosen = batch.logits().argmax(-1)
            for row, token in enumerate(chosen.tolist()):
                if row in open_rows and token in ends:
                    open_rows.discard(row)
                elif row in open_rows:
                    answers[row].append(token)
            say()
            if not open_rows:
                break
            batch.add(chosen)
    return answers
