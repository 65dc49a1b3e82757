"""A model that can be read: hidden states of all positions, and the head that turns them into logits. Worker processes only.

What is read here never holds the logits of a whole batch: whoever needs some asks for a few positions at a time.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import torch

from auditor.errors import ModelError
from auditor.models.readout import agree
from auditor.models.shaping import shaping_of
from auditor.models.torch_model import PROBE, TorchModel, own_logits


class Readable(Protocol):
    """A model that gives hidden states, loaded for reading (`readable`) or for training (`auditor.models.trainable`)."""

    @property
    def model(self) -> TorchModel:
        """What it was loaded as, with its tokenizer."""
        ...

    @property
    def module(self) -> Any:
        """The model of transformers as it computes now, adapters included."""
        ...

    @property
    def device(self) -> Any:
        """Where it computes, a torch device."""
        ...

    @property
    def head_weight(self) -> Any:
        """Weights of the head, shape (n_vocabulary, width)."""
        ...

    @property
    def head_bias(self) -> Any:
        """Bias of the head, shape (n_vocabulary,), or None."""
        ...

    @property
    def soft_cap(self) -> float | None:
        """Bound of the logits, of architectures that press them between bounds."""
        ...

    @property
    def logit_scale(self) -> float:
        """What the head's products are multiplied by, before the bound."""
        ...

    def hidden(self, ids: Any, attention_mask: Any) -> Any:
        """Hidden states after the final norm.

        Parameters
        ----------
        ids, attention_mask : tensors of shape (n, t)

        Returns
        -------
        tensor of shape (n, t, width)
        """
        ...


class Reading:
    """A loaded model that is only read; see `readable`.

    Parameters
    ----------
    model : TorchModel
    """

    def __init__(self, model: TorchModel) -> None:
        self.model = model
        self._shaping = shaping_of(model.module.config)

    @property
    def module(self) -> Any:
        """The model of transformers."""
        return self.model.module

    @property
    def device(self) -> Any:
        """Where it computes."""
        return self.model.device

    @property
    def head_weight(self) -> Any:
        """Weights of the head, shape (n_vocabulary, width)."""
        return self.model.parts.head.weight

    @property
    def head_bias(self) -> Any:
        """Bias of the head, or None."""
        return getattr(self.model.parts.head, "bias", None)

    @property
    def soft_cap(self) -> float | None:
        """Bound of the logits, or None."""
        return self._shaping.soft_cap

    @property
    def logit_scale(self) -> float:
        """What the head's products are multiplied by."""
        return self._shaping.scale

    def hidden(self, ids: Any, attention_mask: Any) -> Any:
        """Hidden states after the final norm, shape (n, t, width)."""
        decoder = self.module.get_decoder()
        return decoder(input_ids=ids, attention_mask=attention_mask, use_cache=False).last_hidden_state


def readable(model: TorchModel) -> Reading:
    """A loaded model for reading, once its hidden states and head are seen to give its own logits.

    Raises
    ------
    ModelError
        If they do not: every figure would then be another model's.
    """
    reading = Reading(model)
    prompt = model.words.tokenize(PROBE, begin=True)
    own = torch.from_numpy(own_logits(model, prompt))
    with torch.no_grad():
        ids = torch.tensor([prompt], device=model.device)
        found = logits(reading, reading.hidden(ids, torch.ones_like(ids))[0, -1:])[0].cpu()
    if not agree(found, own, model.dtype):
        raise ModelError(
            f"{model.file.name} cannot be read token by token: its last hidden states do not give its own logits. "
            "Choose another model."
        )
    return reading


def logits(reader: Readable, hidden: Any) -> Any:
    """Logits of all tokens of the vocabulary at a few positions.

    Parameters
    ----------
    hidden : tensor of shape (m, width)
        After the final norm.

    Returns
    -------
    tensor of shape (m, n_vocabulary), float32
    """
    found = torch.nn.functional.linear(hidden.to(reader.head_weight.dtype), reader.head_weight, reader.head_bias)
    found = found.float()
    if reader.logit_scale != 1:
        found = found * reader.logit_scale
    return found if reader.soft_cap is None else torch.tanh(found / reader.soft_cap) * reader.soft_cap


@contextmanager
def evaluating(reader: Readable) -> Iterator[None]:
    """Compute without dropout and without gradients, and leave the model as it was found.

    Nothing that is made within is an inference tensor: a model that is being trained may keep it.
    """
    was_training = reader.module.training
    reader.module.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        reader.module.train(was_training)


def context_length(reader: Readable) -> int | None:
    """Tokens that the model can attend to, if its configuration says so."""
    return int(getattr(reader.model.config, "max_position_embeddings", 0) or 0) or None


def require_length(reader: Readable, n_tokens: int) -> None:
    """Refuse a text that is longer than the model can attend to.

    Raises
    ------
    ModelError
    """
    most = context_length(reader)
    if most is not None and n_tokens > most:
        raise ModelError(
            f"A text of {n_tokens:,} tokens is longer than the {most:,} that {reader.model.file.name} was trained to "
            "attend to: shorten it."
        )
