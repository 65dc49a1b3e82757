"""What a model says of every token of given answers. Worker processes only.

A batch is read as hidden states; logits are made for a few positions at a time and reduced at once, so that no tensor
over the whole vocabulary is held for a batch.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from auditor.errors import ModelError
from auditor.models.readable import Readable, evaluating, logits, require_length
from auditor.models.torch_model import batch_tokens

#: Logits that are held at once: 64 MiB in float32 (ours).
_LOGITS = 2**24


@dataclass(frozen=True)
class TokenStatistics:
    """What the model says of the tokens of one answer, each after all tokens before it.

    Attributes
    ----------
    log_p : ndarray of float64, shape (n_tokens,)
        Log-probability of the token that stands there, nats.
    hit : ndarray of bool, shape (n_tokens,)
        Whether it is the likeliest token.
    mean, variance : ndarray of float64, shape (n_tokens,)
        Of the log-probability of a token drawn from the model at that place; empty where they were not asked for.
    """

    log_p: NDArray[np.float64]
    hit: NDArray[np.bool_]
    mean: NDArray[np.float64]
    variance: NDArray[np.float64]

    @property
    def loss(self) -> float:
        """Mean negative log-probability, nats a token."""
        return float(-self.log_p.mean())


def token_statistics(
    reader: Readable,
    answers: Sequence[tuple[Sequence[int], int]],
    *,
    moments: bool = False,
    tell: Callable[[int], None] | None = None,
) -> list[TokenStatistics]:
    """Read answers token by token.

    Parameters
    ----------
    answers : sequence of (ids, answer_from)
        Tokens of prompt and answer, and the place at which the answer begins. The very first token of a text has
        nothing before it and is never read.
    moments : bool
        Also mean and variance, which cost as much again as the rest.
    tell : callable, optional
        Called after each batch with the number of answers read so far; may raise to stop.

    Returns
    -------
    list of TokenStatistics
        In the order of `answers`.

    Raises
    ------
    ModelError
        If a text is longer than the model's context, or the model gives logits that are no numbers.
    ValueError
        If an answer has no token that can be read.
    """
    for ids, answer_from in answers:
        if len(ids) <= max(answer_from, 1):
            raise ValueError("an answer needs a token behind the first token of its text")
        require_length(reader, len(ids))
    found: dict[int, TokenStatistics] = {}
    for batch in _batches([len(ids) for ids, _ in answers], batch_tokens(reader.device)):
        found.update(zip(batch, _read(reader, [answers[place] for place in batch], moments=moments), strict=True))
        if tell is not None:
            tell(len(found))
    return [found[place] for place in range(len(answers))]


def _batches(lengths: Sequence[int], most_tokens: int) -> Iterator[list[int]]:
    """Places of texts of like length, as many as fit with their padding."""
    batch: list[int] = []
    for place in sorted(range(len(lengths)), key=lambda found: lengths[found]):
        if batch and (len(batch) + 1) * lengths[place] > most_tokens:
            yield batch
            batch = []
        batch.append(place)
    if batch:
        yield batch


def _read(reader: Readable, answers: Sequence[tuple[Sequence[int], int]], *, moments: bool) -> list[TokenStatistics]:
    width = max(len(ids) for ids, _ in answers)
    ids = torch.zeros(len(answers), width, dtype=torch.long)
    mask = torch.zeros_like(ids)
    rows, places = [], []
    for row, (text, answer_from) in enumerate(answers):
        ids[row, : len(text)] = torch.tensor(list(text))
        mask[row, : len(text)] = 1
        read = range(max(answer_from, 1), len(text))
        rows += [row] * len(read)
        places += list(read)
    targets = ids[rows, places].to(reader.device)
    with evaluating(reader):
        hidden = reader.hidden(ids.to(reader.device), mask.to(reader.device))
        before = hidden[rows, [place - 1 for place in places]]  # what is read there predicts the next token
        values = torch.cat(list(_parts(reader, before, targets, moments=moments))).double().cpu().numpy()
    if not np.isfinite(values).all():
        raise ModelError(f"The model {reader.model.file.name} failed: it gave logits that are no numbers.")
    ends = np.flatnonzero(np.diff(np.array(rows))) + 1
    return [_statistics(part, moments=moments) for part in np.split(values, ends)]


def _statistics(columns: NDArray[np.float64], *, moments: bool) -> TokenStatistics:
    none = columns[:0, 0]
    mean, variance = (columns[:, 2], columns[:, 3]) if moments else (none, none)
    return TokenStatistics(columns[:, 0], columns[:, 1] > 0, mean, variance)


def _parts(reader: Readable, hidden: Any, targets: Any, *, moments: bool) -> Iterator[Any]:
    """Log-probability, hit, and moments of some positions at a time, shape (m, 2 or 4)."""
    step = max(1, _LOGITS // int(reader.head_weight.shape[0]))
    for hid, target in zip(torch.split(hidden, step), torch.split(targets, step), strict=True):
        log_p = torch.log_softmax(logits(reader, hid), -1)
        columns = [log_p.gather(-1, target[:, None])[:, 0], (log_p.argmax(-1) == target).float()]
        if moments:
            p = log_p.exp()
            mean = (p * log_p).sum(-1)
            columns += [mean, (p * (log_p - mean[:, None]).square_()).sum(-1)]
        yield torch.stack(columns, -1)
