"""Prefixes that prompts share: their keys and values, and how a model goes on after them. Worker processes only.

Which way a model takes is found out when it is loaded, by comparing with the same prompt computed whole; see
`auditor.models.shared_prefix` for the ways.
"""

from collections.abc import Sequence
from typing import Any

import torch
from transformers import DynamicCache

from auditor.errors import ModelError
from auditor.models import shared_prefix
from auditor.models.kept_prefixes import KeptPrefixes, Prefix
from auditor.models.layer_passes import LayerPasses, Way
from auditor.models.readout import TOLERANCE, distance, some_tokens
from auditor.models.shared_prefix import Held, NotPlain
from auditor.models.torch_fit import HELD_BYTES
from auditor.models.torch_model import PROBE, TorchModel

#: The fastest way first.
_WAYS: tuple[Way, ...] = ("attention in two parts", "filled cache")
#: A way to share a prefix may differ from the whole prompt by this much of what one lost token makes (ours).
_LESS_THAN_LOST = 0.75
#: What may differ in the readout when other tokens follow (ours; 0 where attention is causal).
_CAUSAL = 1e-4
#: Exceptions by which models of other kinds say that they cannot go on after a prefix.
CANNOT = (NotPlain, AttributeError, IndexError, KeyError, NotImplementedError, RuntimeError, TypeError, ValueError)


class HeldPrefixes:
    """Computes prefixes once and keeps the latest few.

    Parameters
    ----------
    loaded : TorchModel
        The model.
    passes : LayerPasses
        Runs it; how it goes on after a prefix is set here.

    Raises
    ------
    ModelError
        If padding changes what the model computes.
    """

    def __init__(self, loaded: TorchModel, passes: LayerPasses) -> None:
        self._loaded, self._passes = loaded, passes
        self._kept = KeptPrefixes[Held](lambda held: held.nbytes, HELD_BYTES)
        self._find_way()

    def __contains__(self, prefix: Prefix) -> bool:
        return prefix in self._kept

    def hold(self, prefix: Prefix) -> Held | None:
        """Keys and values of a prefix, computed unless they are kept; None where prefixes cannot be shared."""
        if not prefix or self._passes.way == "none":
            return None
        return self._kept.get(prefix, self._computed)

    def clear(self) -> None:
        """Forget every prefix."""
        self._kept.clear()

    def _computed(self, prefix: Prefix) -> Held | None:
        self._passes.require_length(len(prefix))
        cache = DynamicCache()
        self._passes.run([prefix], None, lambda _exit, _hidden: None, cache=cache)
        return shared_prefix.of_cache(prefix, cache, self._passes.n_layers)

    def _find_way(self) -> None:
        """Check padding, and find the fastest way to go on after a prefix that gives what the whole prompt gives."""
        tokens = tuple(self._loaded.words.tokenize(PROBE, begin=True))
        half = len(tokens) // 2
        whole = self.probed([tokens], None)
        # Whatever follows a prompt must not matter. In equal shapes that holds to the bit in any precision.
        ends = [len(tokens) - 1]
        followed = [self.probed([tokens + after], None, ends) for after in (tokens[1:half], tokens[:1] * (half - 1))]
        if distance(*followed) > _CAUSAL:
            name = self._loaded.file.name
            raise ModelError(f"The model {name} cannot be read in batches: padding changes what it computes.")
        allowed = min(TOLERANCE[self._loaded.dtype], _LESS_THAN_LOST * self._lost(tokens, half, whole))
        for way in _WAYS:
            self._passes.set_way(way)
            try:
                held = self.hold(tokens[:half])
                behind_it = self.probed([tokens[half:], tokens[half:-2]], held) if held is not None else None
                same = behind_it is not None and distance(behind_it, whole) <= allowed
            except CANNOT:
                same = False
            self._kept.clear()
            if same:
                return
        self._passes.set_way("none")

    def _lost(self, tokens: Prefix, half: int, whole: Any) -> float:
        """The least that a token makes which is lost from the first half of a prompt, but for the one that begins it."""
        rows = [tokens[:at] + tokens[at + 1 :] for at in range(1, half)]
        read = self._read_all(self._passes.gathered(rows, None))
        return min(distance(read[:, row], whole) for row in range(len(rows)))

    def _read_all(self, hidden: Any) -> Any:
        """Logits of tokens from all over the vocabulary."""
        parts = self._loaded.parts
        with torch.inference_mode():
            return parts.read(hidden, *parts.rows(some_tokens(parts.head.weight.shape[0])))

    def probed(self, rows: Sequence[Sequence[int]], held: Held | None, ends: Sequence[int] | None = None) -> Any:
        """Logits of tokens from all over the vocabulary after the first prompt, shape (n_exits, n_tokens)."""
        return self._read_all(self._passes.gathered(rows, held, ends)[:, 0])
