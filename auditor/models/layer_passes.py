"""Forward passes in which every layer is looked at. Worker processes only.

A hook on every layer shows its hidden states to who asked for the pass, and whoever has seen enough ends it there: the
layers above are not computed. Batches are padded at the end, where causal attention never looks.
"""

from collections.abc import Callable, Sequence
from typing import Any, Literal

import torch

from auditor.errors import ModelError
from auditor.models import shared_prefix
from auditor.models.readout import hidden_of
from auditor.models.shared_prefix import Held, behind
from auditor.models.torch_model import TorchModel

#: Ways to go on after a prefix.
Way = Literal["attention in two parts", "filled cache", "none"]
#: Called with the place of a layer, from 0, and its hidden states, shape (n_rows, length, width).
Visit = Callable[[int, Any], None]


class Enough(Exception):
    """Ends a forward pass: the layers above are not needed."""


class LayerPasses:
    """Runs prompts through the layers of a model.

    Parameters
    ----------
    loaded : TorchModel
        The model.

    Attributes
    ----------
    n_layers : int
    stock : str
        The attention that the model was loaded with.
    way : str
        How passes go on after a prefix.
    """

    def __init__(self, loaded: TorchModel) -> None:
        self._name = loaded.file.name
        self._module, self._device = loaded.module, loaded.device
        self._most_tokens = int(getattr(loaded.config, "max_position_embeddings", 0) or 0)
        self._visit: Visit | None = None
        layers = loaded.parts.layers
        self.n_layers = len(layers)
        self._handles = [layer.register_forward_hook(self._hook(place)) for place, layer in enumerate(layers)]
        self.stock: str = loaded.module.config._attn_implementation
        self.way: Way = "none"

    def _hook(self, place: int) -> Callable[[Any, Any, Any], None]:
        def hook(_layer: Any, _inputs: Any, output: Any) -> None:
            if self._visit is not None:
                self._visit(place, hidden_of(output))

        return hook

    def set_way(self, way: Way) -> None:
        """Go on after prefixes in another way, with the attention that it takes."""
        self.way = way
        self.set_attention(shared_prefix.NAME if way == "attention in two parts" else self.stock)

    def set_attention(self, name: str) -> None:
        """Compute attention otherwise, until a way is set again."""
        self._module.set_attn_implementation(name)

    def require_length(self, n_tokens: int) -> None:
        """Refuse a prompt that is longer than the model's context.

        Raises
        ------
        ModelError
            With both lengths.
        """
        if self._most_tokens and n_tokens > self._most_tokens:
            raise ModelError(
                f"A prompt of {n_tokens:,} tokens is longer than the {self._most_tokens:,} that {self._name} was trained to "
                "attend to: use fewer or shorter demonstrations."
            )

    def run(
        self,
        rows: Sequence[Sequence[int]],
        held: Held | None,
        visit: Visit,
        *,
        cache: Any = None,
        **more: Any,
    ) -> Any:
        """One forward pass over prompts of different length; `visit` sees every layer's hidden states.

        Parameters
        ----------
        rows : sequence of sequences of int
            Tokens of each prompt, behind the prefix if there is one.
        held : Held or None
            The prefix.
        cache : cache of transformers, optional
            Takes the keys and values of the prompts.

        Returns
        -------
        What the model returns; None if `visit` has raised `Enough`.
        """
        width = max(map(len, rows))
        ids = torch.tensor([[*row, *[0] * (width - len(row))] for row in rows], device=self._device)
        arguments: dict[str, Any] = {"input_ids": ids, "use_cache": cache is not None, "logits_to_keep": 1, **more}
        two_parts = held is not None and self.way == "attention in two parts"
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
                return self._module(**arguments)
        except Enough:
            return None
        finally:
            self._visit = None

    def gathered(self, rows: Sequence[Sequence[int]], held: Held | None, ends: Sequence[int] | None = None) -> Any:
        """Hidden states at the end of each prompt, or where it is said: shape (n_layers, n_rows, width)."""
        places = torch.tensor(ends or [len(row) - 1 for row in rows], device=self._device)
        at = torch.arange(len(rows), device=self._device)
        kept: list[Any] = []

        def keep(_exit: int, hidden: Any) -> None:
            kept.append(hidden[at, places])
            if len(kept) == self.n_layers:
                raise Enough

        self.run(rows, held, keep)
        return torch.stack(kept)

    def close(self) -> None:
        """Look at the layers no more."""
        for handle in self._handles:
            handle.remove()
        self._handles = []
