"""Losses of a language model's head without its logits. Worker processes only.

A loss over a vocabulary of V tokens usually holds logits of shape (n, V), their softmax and both gradients. Here the rows
are taken a chunk at a time, so that nothing of that shape lives. Three functions on hidden states and head:

- `cross_entropy`: weighted sum of negative log-likelihoods, or of cross-entropies to a teacher's distribution. The weights are
  known beforehand, so the gradients are computed while the logits of a chunk are there: three products with the head [1]_.
- `token_nll`: one loss a token, for objectives that are not linear in them; logits are computed again for the gradient.
- `squared_margin`: weighted sum of (max_v z_v - mean_v z_v)^2, the loss that flattens logits [2]_. Since mean_v z_v = h . w_bar
  with w_bar the mean row of the head, only the largest logit is looked for; the gradient needs no further product:
  dL/dh = 2 m (max - mean) (W[argmax] - w_bar), and dL/dW is a sparse matrix of rows and one row that all share.

Losses and sums over rows are float32 at least, whatever the model computes in.

References
----------
.. [1] Hsu, P.-L. et al. (2024). Liger Kernel: Efficient Triton Kernels for LLM Training. arXiv:2410.10989.
.. [2] Entesari, T. et al. (2025). Constrained Entropic Unlearning: A Primal-Dual Framework for Large Language Models.
   arXiv:2506.05314.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from auditor.errors import ModelError
from auditor.models.own_gradient import with_gradient

#: Logits that live at once: enough to keep the device busy, and on a processor more than the 32 MiB below which the allocator
#: of the system keeps what is freed.
_CHUNK = {"cpu": 3 * 2**22, "cuda": 2**26}
#: Target of rows that count for nothing.
IGNORED = -100


@dataclass(frozen=True)
class Head:
    """What makes logits of hidden states.

    Attributes
    ----------
    weight : tensor of shape (V, width)
    bias : tensor of shape (V,), optional
    scale : float
        Logits are multiplied by it; above 0.
    soft_cap : float, optional
        c, where logits become c tanh(logit / c) after scaling.
    """

    weight: Any
    bias: Any = None
    scale: float = 1.0
    soft_cap: float | None = None

    def __post_init__(self) -> None:
        """Check what the losses rely on."""
        if not self.scale > 0:
            raise ValueError("the scale of logits is above 0")


@dataclass(frozen=True)
class Teacher:
    """A model whose distribution is the target (self-distillation with adjusted logits).

    Attributes
    ----------
    hidden : tensor of shape (n, width)
        Its hidden states, without gradient.
    head : Head
    strength : float
        Taken off its logit of the token that stands in the text.
    """

    hidden: Any
    head: Head
    strength: float

    def probabilities(self, rows: slice, tokens: Any) -> Any:
        """Its adjusted distribution in some rows, shape (n, V); `tokens` has shape (n, 1)."""
        logits = _logits(self.hidden[rows], self.head.weight, self.head.bias, self.head.scale, self.head.soft_cap)
        return torch.softmax(_added(logits, tokens, -self.strength), -1)


def cross_entropy(hidden: Any, targets: Any, weights: Any, head: Head, *, teacher: Teacher | None = None) -> Any:
    """Weighted sum of cross-entropies, with gradients for hidden states, head and bias.

    Parameters
    ----------
    hidden : tensor of shape (n, width)
    targets : tensor of shape (n,), int64
        Token that each row is to predict, from 0.
    weights : tensor of shape (n,), or float
        Weight of each row; 1 / n gives the mean. No gradient flows into it. A factor of the loss is better put here than before
        the result: it then costs nothing.
    head : Head
    teacher : Teacher, optional
        Its distribution is the target in place of all probability on `targets`.

    Returns
    -------
    tensor, scalar
        0 if there are no rows.
    """
    how = (head.scale, head.soft_cap, torch.is_grad_enabled())
    weights = _as_weights(weights, hidden)
    return _CrossEntropy.apply(hidden, head.weight, head.bias, targets, weights, how, teacher)


def token_nll(hidden: Any, targets: Any, head: Head) -> Any:
    """Negative log-likelihood of each token, with gradients for hidden states, head and bias.

    Parameters
    ----------
    hidden : tensor of shape (n, width)
    targets : tensor of shape (n,), int64
    head : Head

    Returns
    -------
    tensor of shape (n,), float32 at least
    """
    return _TokenNll.apply(hidden, head.weight, head.bias, targets, (head.scale, head.soft_cap))


def squared_margin(hidden: Any, weights: Any, head: Head) -> Any:
    """Weighted sum of the squared distance of the largest logit from the mean logit.

    In half precision the largest logit is the largest after rounding; the distance is computed from its row of the head.

    Parameters
    ----------
    hidden : tensor of shape (n, width)
    weights : tensor of shape (n,), or float
        Weight of each row; 1 / n gives the mean. No gradient flows into it.
    head : Head

    Returns
    -------
    tensor, scalar
        0 if there are no rows.

    Raises
    ------
    ModelError
        If the model caps its logits: their mean is then no product with the mean row of the head.
    """
    if head.soft_cap is not None:
        raise ModelError(
            f"This model caps its logits at {head.soft_cap:g} (soft-capping), so the loss that flattens them does not hold as it "
            "is. Choose another method, for example npo or grad_diff, or a model without soft-capping."
        )
    return _SquaredMargin.apply(hidden, head.weight, head.bias, _as_weights(weights, hidden), head.scale)


def _as_weights(weights: Any, hidden: Any) -> Any:
    kind = _exact(hidden.dtype)
    if isinstance(weights, (int, float)):
        return torch.full((hidden.shape[0],), float(weights), dtype=kind, device=hidden.device)
    return weights.detach().to(hidden.device, kind)


def _exact(dtype: Any) -> Any:
    """The type in which losses and sums are kept."""
    return torch.promote_types(dtype, torch.float32)


def _chunks(hidden: Any, n_tokens: int) -> Iterator[slice]:
    """Slices of rows whose logits may live at once."""
    n = max(1, _CHUNK.get(hidden.device.type, 2**25) // n_tokens)
    return (slice(begin, min(begin + n, len(hidden))) for begin in range(0, len(hidden), n))


def _logits(hidden: Any, weight: Any, bias: Any, scale: float, cap: float | None) -> Any:
    """Logits of some rows, shape (n, V), float32 at least."""
    logits = torch.nn.functional.linear(hidden, weight, bias).to(_exact(hidden.dtype))
    if scale != 1:
        logits.mul_(scale)
    if cap is not None:
        logits.div_(cap).tanh_().mul_(cap)
    return logits


def _through_shape(gradient: Any, logits: Any, scale: float, cap: float | None) -> Any:
    """Gradient for the product of head and hidden states from that for shaped logits, in place."""
    if cap is not None:
        gradient.mul_(1 - (logits / cap).square())
    if scale != 1:
        gradient.mul_(scale)
    return gradient


class _Sums:
    """Gradients of a head that are summed over chunks, for those inputs that want one."""

    def __init__(self, hidden: Any, weight: Any, bias: Any, needs: Sequence[bool]) -> None:
        self.hidden = torch.empty_like(hidden) if needs[0] else None
        self.weight = torch.zeros_like(weight, dtype=_exact(weight.dtype)) if needs[1] else None
        self.bias = torch.zeros_like(bias, dtype=_exact(bias.dtype)) if needs[2] else None

    def add(self, rows: slice, gradient: Any, row_weights: Any, hidden: Any, weight: Any) -> None:
        """Add the rows of a chunk.

        Parameters
        ----------
        gradient : tensor of shape (n, V)
            For logits before weighting; the weights go to the narrow factor of each product.
        """
        gradient = gradient.to(hidden.dtype)
        column = row_weights[:, None]
        if self.hidden is not None:
            self.hidden[rows] = torch.matmul(gradient, weight).mul_(column)
        if self.weight is not None:
            weighted = (hidden[rows] * column).to(hidden.dtype)
            if self.weight.dtype == hidden.dtype:
                self.weight.addmm_(gradient.T, weighted)
            else:
                self.weight.add_(gradient.T @ weighted)
        if self.bias is not None:
            self.bias.add_(row_weights.to(self.bias.dtype) @ gradient.to(self.bias.dtype))


def _entropy(
    ctx: Any,
    hidden: Any,
    weight: Any,
    bias: Any,
    targets: Any,
    row_weights: Any,
    how: tuple[float, float | None, bool],
    teacher: Teacher | None,
) -> Any:
    scale, cap, wanted = how
    needs = [wanted and need for need in ctx.needs_input_grad[:3]]
    sums = _Sums(hidden, weight, bias, needs)
    total = row_weights.new_zeros(())
    for rows in _chunks(hidden, len(weight)):
        logits = _logits(hidden[rows], weight, bias, scale, cap)
        logs, aim = torch.log_softmax(logits, -1), targets[rows, None]
        soft = None if teacher is None else teacher.probabilities(rows, aim).to(logs.dtype)
        loss = -(logs.gather(1, aim)[:, 0] if soft is None else (soft * logs).sum(-1))
        total += row_weights[rows] @ loss
        capped = None if cap is None else logits
        del logits  # only a cap looks at them again
        if any(needs):
            gradient = logs.exp_()
            gradient = _added(gradient, aim, -1.0) if soft is None else gradient.sub_(soft)
            sums.add(rows, _through_shape(gradient, capped, scale, cap), row_weights[rows], hidden, weight)
    ctx.save_for_backward(sums.hidden, sums.weight, sums.bias)
    ctx.kinds = (hidden.dtype, weight.dtype, None if bias is None else bias.dtype)
    return total


def _entropy_gradient(ctx: Any, upstream: Any) -> Any:
    # Weights that hold the whole factor of the loss save a copy that is as large as the head.
    is_plain = float(upstream) == 1
    found = (
        None if total is None else (total if is_plain else total * upstream).to(kind)
        for total, kind in zip(ctx.saved_tensors, ctx.kinds, strict=True)
    )
    return (*found, None, None, None, None)


def _nll(ctx: Any, hidden: Any, weight: Any, bias: Any, targets: Any, shape: tuple[float, float | None]) -> Any:
    losses = hidden.new_empty(len(hidden), dtype=_exact(hidden.dtype))
    for rows in _chunks(hidden, len(weight)):
        logits = _logits(hidden[rows], weight, bias, *shape)
        losses[rows] = torch.logsumexp(logits, -1) - logits.gather(1, targets[rows, None])[:, 0]
    ctx.save_for_backward(hidden, weight, bias, targets)
    ctx.shape = shape
    return losses


def _nll_gradient(ctx: Any, upstream: Any) -> Any:
    hidden, weight, bias, targets = ctx.saved_tensors
    sums = _Sums(hidden, weight, bias, ctx.needs_input_grad[:3])
    for rows in _chunks(hidden, len(weight)):
        logits = _logits(hidden[rows], weight, bias, *ctx.shape)
        gradient = _added(torch.softmax(logits, -1), targets[rows, None], -1.0)
        sums.add(rows, _through_shape(gradient, logits, *ctx.shape), upstream[rows], hidden, weight)
    return (
        sums.hidden,
        None if sums.weight is None else sums.weight.to(weight.dtype),
        None if sums.bias is None else sums.bias.to(bias.dtype),
        None,
        None,
    )


def _margin(ctx: Any, hidden: Any, weight: Any, bias: Any, row_weights: Any, scale: float) -> Any:
    largest = _largest(hidden, weight, bias)
    kind = _exact(hidden.dtype)
    mean_row = weight.mean(0, dtype=kind)
    # From the rows themselves: logits in half precision would round the largest one.
    margins = torch.linalg.vecdot(weight.index_select(0, largest).to(kind).sub_(mean_row), hidden.to(kind))
    if bias is not None:
        margins += bias.index_select(0, largest).to(kind) - bias.mean(dtype=kind)
    margins *= scale
    ctx.save_for_backward(hidden, weight, bias, largest, mean_row, 2 * scale * row_weights * margins)
    return row_weights @ margins.square()


def _margin_gradient(ctx: Any, upstream: Any) -> Any:
    hidden, weight, bias, largest, mean_row, slopes = ctx.saved_tensors
    slopes = slopes * upstream
    for_hidden = for_weight = for_bias = None
    if ctx.needs_input_grad[0]:
        above = weight.index_select(0, largest).to(mean_row.dtype).sub_(mean_row)
        for_hidden = above.mul_(slopes[:, None]).to(hidden.dtype)
    if ctx.needs_input_grad[1]:
        for_weight = _spread(hidden.to(mean_row.dtype) * slopes[:, None], largest, weight)
    if ctx.needs_input_grad[2]:
        for_bias = _spread(slopes, largest, bias)
    return for_hidden, for_weight, for_bias, None, None


def _spread(rows: Any, tokens: Any, like: Any) -> Any:
    """Each row added to that of its token, less the mean of all rows over the vocabulary at every token."""
    shared = rows.sum(0) / -len(like)
    found = torch.empty_like(like).copy_(shared)
    seen, places = torch.unique(tokens, return_inverse=True)
    sums = torch.zeros_like(rows[: len(seen)]).index_add_(0, places, rows)
    return found.index_copy_(0, seen, (sums + shared).to(like.dtype))


_CrossEntropy = with_gradient(_entropy, _entropy_gradient)
_TokenNll = with_gradient(_nll, _nll_gradient)
_SquaredMargin = with_gradient(_margin, _margin_gradient)


def _largest(hidden: Any, weight: Any, bias: Any) -> Any:
    """Token with the largest logit in each row, shape (n,)."""
    found = torch.empty(len(hidden), dtype=torch.int64, device=hidden.device)
    for rows in _chunks(hidden, len(weight)):
        found[rows] = torch.nn.functional.linear(hidden[rows], weight, bias).argmax(-1)
    return found


def _added(table: Any, columns: Any, amount: float) -> Any:
    """A table with an amount added, in place, to one column of each row; `columns` has shape (n, 1)."""
    return table.scatter_(1, columns, table.gather(1, columns) + amount)
