"""Where a model of any architecture can be read: its layers, what follows them, its head. Worker processes only.

Nothing is known of architectures by name. One forward pass is watched: the layers are the list of as many modules as
the configuration counts that run in order; what runs between the last of them and the head is the final norm (of some
models, a projection too). Whether head(norm(last layer)) is what the model itself says is checked on that pass.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from auditor.errors import ModelError
from auditor.models.file import ModelFile

#: What rounding may make of logits, as root mean square of the difference over their standard deviation (ours: measured
#: 2e-6 in float32 and .04 in bfloat16).
TOLERANCE = {torch.float32: 1e-3, torch.float16: 2e-2, torch.bfloat16: 1e-1}
#: Tokens, evenly over the vocabulary, whose logits are compared.
_TOKENS_CHECKED = 512


@dataclass(frozen=True)
class Parts:
    """A model taken apart for reading.

    Attributes
    ----------
    layers : list of modules
        In the order in which they run.
    norm : list of modules
        What runs on the last layer's output before the head, in order.
    head : module
        With ``weight`` of shape (n_tokens, width), and ``bias`` or none.
    shape_logits : callable
        What the architecture does to logits: scaling and soft cap.
    """

    layers: list[Any]
    norm: list[Any]
    head: Any
    shape_logits: Callable[[Any], Any]

    def read(self, hidden: Any, rows: Any, bias: Any) -> Any:
        """Logits of some tokens from hidden states.

        Parameters
        ----------
        hidden : tensor of shape (..., width)
            Output of a layer.
        rows, bias : tensors of shape (n, width) and (n,)
            Rows of the head, float32.

        Returns
        -------
        tensor of shape (..., n), float32
        """
        for module in self.norm:
            hidden = module(hidden)
        logits = torch.nn.functional.linear(hidden.float(), rows, bias)
        return self.shape_logits(logits)

    def rows(self, tokens: Sequence[int]) -> tuple[Any, Any]:
        """Rows and bias of the head for some tokens, float32."""
        places = torch.tensor(list(tokens), device=self.head.weight.device)
        bias = getattr(self.head, "bias", None)
        return (
            self.head.weight.index_select(0, places).float(),
            None if bias is None else bias.index_select(0, places).float(),
        )


def hidden_of(output: Any) -> Any:
    """The hidden states in what a layer returns, shape (batch, length, width)."""
    return output[0] if isinstance(output, tuple) else output


def take_apart(file: ModelFile, module: Any, tokens: Sequence[int]) -> Parts:
    """Find the parts of a model and check that they say what it says.

    Parameters
    ----------
    module : transformers causal language model
        Evaluating, on its device.
    tokens : sequence of int
        A short prompt to watch.

    Raises
    ------
    ModelError
        If the parts cannot be found, or do not give the model's own logits.
    """
    head = module.get_output_embeddings()
    if head is None or getattr(head, "weight", None) is None:
        raise _unreadable(file, "it has no head that gives logits of tokens")
    count = int(module.config.get_text_config(decoder=True).num_hidden_layers)
    lists = {
        name: found
        for name, found in module.named_modules()
        if isinstance(found, torch.nn.ModuleList) and len(found) == count
    }
    seen, last, own = _watched(module, lists, tokens)
    name = _list_that_ran(seen, lists)
    if name is None:
        raise _unreadable(file, f"its {count} layers cannot be found")
    parts = Parts(list(lists[name]), _after(seen, module, lists[name], head), head, _shaping(module.config))
    _check(file, parts, last[id(lists[name][-1])], own)
    return parts


def _watched(module: Any, lists: Any, tokens: Sequence[int]) -> tuple[list[Any], dict[int, Any], Any]:
    """One forward pass: modules in the order in which they ended, last layers' outputs, and the model's logits."""
    seen: list[Any] = []
    outputs: dict[int, Any] = {}
    lasts = {id(found[-1]) for found in lists.values()}

    def note(ran: Any, _inputs: Any, output: Any) -> None:
        seen.append(ran)
        if id(ran) in lasts:
            outputs[id(ran)] = hidden_of(output)[:, -1]

    handles = [part.register_forward_hook(note) for part in module.modules() if part is not module]
    try:
        with torch.inference_mode():
            ids = torch.tensor([list(tokens)], device=module.device)
            own = module(input_ids=ids, use_cache=False).logits[:, -1].float()
    finally:
        for handle in handles:
            handle.remove()
    return seen, outputs, own


def _list_that_ran(seen: list[Any], lists: Any) -> str | None:
    """Name of the outermost list whose modules all ran, once each and in order."""
    order = {id(part): place for place, part in enumerate(seen)}
    runs = [id(part) for part in seen]
    for name, found in lists.items():
        places = [order.get(id(layer), -1) for layer in found]
        if min(places) >= 0 and places == sorted(places) and all(runs.count(id(layer)) == 1 for layer in found):
            return str(name)
    return None


def _after(seen: list[Any], module: Any, layers: Any, head: Any) -> list[Any]:
    """What ran between the last layer and the head, siblings of the list of layers only, in order."""
    siblings = {
        id(child)
        for parent in module.modules()
        if any(child is layers for child in parent.children())
        for child in parent.children()
    }
    begin = max(place for place, part in enumerate(seen) if part is layers[-1])
    end = max((place for place, part in enumerate(seen) if part is head), default=len(seen))
    return [part for part in seen[begin + 1 : end] if id(part) in siblings]


def _shaping(config: Any) -> Callable[[Any], Any]:
    """What configurations say is done to logits."""
    text = config.get_text_config(decoder=True)
    times = getattr(text, "logit_scale", None)
    over = getattr(text, "logits_scaling", None)
    cap = getattr(text, "final_logit_softcapping", None)

    def shape(logits: Any) -> Any:
        if times is not None:
            logits = logits * times
        if over is not None:
            logits = logits / over
        return logits if cap is None else torch.tanh(logits / cap) * cap

    return shape


def _check(file: ModelFile, parts: Parts, last: Any, own: Any) -> None:
    tokens = [*some_tokens(own.shape[-1]), int(own.argmax())]
    with torch.inference_mode():
        read = parts.read(last, *parts.rows(tokens))
    if not agree(read, own[:, tokens], parts.head.weight.dtype):
        raise _unreadable(file, "reading its last layer does not give the model's own logits")


def some_tokens(n_tokens: int) -> list[int]:
    """Tokens from all over a vocabulary."""
    return list(range(0, n_tokens, max(1, n_tokens // _TOKENS_CHECKED)))


def distance(first: Any, second: Any) -> float:
    """Largest root mean square of the difference of logits over the standard deviation of the second.

    Parameters
    ----------
    first, second : tensors of shape (..., n_tokens)
    """
    if not bool(torch.isfinite(first).all() and torch.isfinite(second).all()):
        return float("inf")
    spread = second.std(-1).clamp_min(torch.finfo(second.dtype).tiny)
    return float(((first - second).square().mean(-1).sqrt() / spread).max())


def agree(first: Any, second: Any, dtype: Any) -> bool:
    """Whether logits of shape (..., n_tokens) differ by no more than rounding in a precision."""
    return distance(first, second) <= TOLERANCE[dtype]


def _unreadable(file: ModelFile, problem: str) -> ModelError:
    named = f" ({file.architecture})" if file.architecture else ""
    return ModelError(f"The layers of {file.name}{named} cannot be read: {problem}. Choose another model.")
