"""A small model of transformers in double precision, as objectives see a model that is trained."""

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from tests.models.tiny import CONFIGS
from transformers import AutoConfig, AutoModelForCausalLM

_SIZES = {"hidden_size": 32, "intermediate_size": 40, "num_hidden_layers": 3, "vocab_size": 61}
#: Kind of head -> architecture and what is set differently.
HEADS: dict[str, tuple[str, dict[str, Any]]] = {
    "tied": ("llama", {"tie_word_embeddings": True}),
    "untied": ("llama", {"tie_word_embeddings": False}),
    "biased": ("phi", {"tie_word_embeddings": False}),
    "scaled": ("cohere", {"logit_scale": 0.5}),
    "capped": ("gemma2", {"final_logit_softcapping": 4.0}),
}


class SmallLearner:
    """A model of random weights, and the one that it was before they were moved a little."""

    def __init__(self, head: str) -> None:
        architecture, changes = HEADS[head]
        usual = CONFIGS.get(architecture, CONFIGS["llama"])
        config = AutoConfig.for_model(architecture, **usual | _SIZES | changes)
        torch.manual_seed(3)
        self.start = AutoModelForCausalLM.from_config(config).double().eval()
        with torch.no_grad():
            for weight in self.start.parameters():
                weight.add_(torch.randn_like(weight), alpha=0.2)
            self.start.requires_grad_(False)
            self.module = copy.deepcopy(self.start).requires_grad_(True)
            for weight in self.module.parameters():
                weight.add_(torch.randn_like(weight), alpha=0.02)
        self._active = self.module
        self.soft_cap = getattr(config, "final_logit_softcapping", None)
        self.logit_scale = float(getattr(config, "logit_scale", None) or 1.0)

    @property
    def head_weight(self) -> Any:
        return self._active.get_output_embeddings().weight

    @property
    def head_bias(self) -> Any:
        return self._active.get_output_embeddings().bias

    def hidden(self, ids: Any, attention_mask: Any) -> Any:
        decoder = self._active.get_decoder()
        return decoder(input_ids=ids, attention_mask=attention_mask, use_cache=False).last_hidden_state

    def hidden_at(self, ids: Any, attention_mask: Any, places: Any) -> Any:
        return self.hidden(ids, attention_mask).flatten(0, 1)[places]

    def layer_output(self, ids: Any, attention_mask: Any, layer: int) -> Any:
        decoder = self._active.get_decoder()
        found = decoder(input_ids=ids, attention_mask=attention_mask, use_cache=False, output_hidden_states=True)
        return found.hidden_states[layer + 1]

    @contextmanager
    def reference(self) -> Iterator[None]:
        self._active = self.start
        try:
            yield
        finally:
            self._active = self.module

    def gradients(self) -> dict[str, Any]:
        """What was added to each weight, which is then forgotten; 0 where nothing was."""
        found = {
            name: torch.zeros_like(weight) if weight.grad is None else weight.grad.clone()
            for name, weight in self.module.named_parameters()
        }
        self.module.zero_grad()
        return found
