"""A model made ready to train: all of its weights, or low-rank adapters on them. Worker processes only.

Losses read hidden states and the head, never logits (see `auditor.models.linear_losses`), so that is what is offered:
hidden states after the final norm with their history, and the head's weights. What the architecture does to logits
after the head, scaling and a soft cap, is told beside them. Whether head(hidden) is what the model itself says is
checked before anything is trained.
"""

import copy
import gc
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import torch

from auditor.errors import ModelError
from auditor.models import lora
from auditor.models.lean_layers import Lean, lean
from auditor.models.precision import DTYPES
from auditor.models.readout import agree, hidden_of, some_tokens
from auditor.models.shaping import shaping_of
from auditor.models.shards import shard
from auditor.models.torch_model import PROBE, TorchModel, own_logits
from auditor.models.world import World

#: Tokens behind a text that must not change what is said of it.
_FILLED = 3
#: Part by which hidden states may differ where layers are computed otherwise: rounding (ours).
_MOST_DIFFERENCE = {torch.float32: 1e-4, torch.bfloat16: 0.1}


class Trainable:
    """A model with weights to train.

    Parameters
    ----------
    model : TorchModel
        Loaded; its module is changed.
    lora_rank : int, optional
        Rank of the adapters; all weights are trained if not given.
    gradient_checkpointing : bool
        Compute what the layers hold a second time going backward, to save memory.
    seed : int
        Seed of the adapters.

    Attributes
    ----------
    model : TorchModel
    lora_rank : int or None
        None once it is settled: the adapters are part of the weights then.
    gradient_checkpointing : bool
    named : dict of str to torch.nn.Parameter
        The trainable weights.

    Raises
    ------
    ModelError
        If it takes no adapters, cannot compute layers twice, or its hidden states and head do not give its logits.
    """

    def __init__(
        self, model: TorchModel, *, lora_rank: int | None = None, gradient_checkpointing: bool = False, seed: int = 0
    ) -> None:
        self.model, self.lora_rank, self.gradient_checkpointing = model, lora_rank, gradient_checkpointing
        self._module = self._active = model.module
        self._copy: Any = None
        self._is_held = False
        self._lean: Lean | None = None
        self._shaping = shaping_of(self._module.config)
        self._layers_path = _path_of_layers(self._module, model.parts.layers)
        self._check()
        self._is_lean = self._is_the_same_lean()
        if lora_rank is None:
            self._module.requires_grad_(True)
        else:
            lora.put_in(self._module, lora_rank, seed=seed, name=model.file.name)
        if gradient_checkpointing:
            self._checkpoint_layers()
        self.named: dict[str, Any] = {
            name: weight for name, weight in self._module.named_parameters() if weight.requires_grad
        }

    def _checkpoint_layers(self) -> None:
        try:
            # The other kind of checkpointing loses the gradient of adapters where no input asks for one.
            self._module.activation_checkpointing_enable({"use_reentrant": False})
        except ValueError as error:
            raise ModelError(
                f"{self.model.file.name} cannot compute its layers twice ({str(error)[:200]}): switch gradient "
                "checkpointing off."
            ) from error

    def _check(self) -> None:
        """Compare head(hidden) with the model's own logits."""
        tokens = self.model.words.tokenize(PROBE, begin=True)
        # Filled up as short texts of a batch are: what fills up must change nothing before it.
        ids = torch.tensor([tokens + tokens[:_FILLED]], device=self.device)
        with torch.no_grad():
            hidden = self.hidden(ids, torch.ones_like(ids))[:, len(tokens) - 1]
            read = self._shaping(torch.nn.functional.linear(hidden, self.head_weight, self.head_bias)).float()
        own = torch.from_numpy(own_logits(self.model, tokens)).to(read)[None]
        asked = [*some_tokens(own.shape[-1]), int(own.argmax())]
        if not agree(read[:, asked], own[:, asked], self.head_weight.dtype):
            raise ModelError(
                f"{self.model.file.name} ({self.model.file.architecture}) cannot be trained here: its hidden states and "
                "head do not give its own logits. Choose another model."
            )

    def _is_the_same_lean(self) -> bool:
        """Whether hidden states stay the same where layers keep less: what looks alike may be another architecture."""
        own = self._probed()
        with self._leaner(again=True) as asked:
            places = torch.arange(1, own.shape[1], 2, device=self.device)
            try:
                return self._is_close(self._probed(), own) and (
                    not asked.picks or self._is_close(self._probed(places), own[0, places])
                )
            except (TypeError, ValueError, AttributeError):
                # Parts of the same names that are called, or answer, in another way.
                return False

    @contextmanager
    def _leaner(self, *, again: bool) -> Iterator[Lean]:
        with lean(self._module, again=again, last=self._module.get_submodule(self._layers_path)[-1]) as self._lean:
            try:
                yield self._lean
            finally:
                self._lean = None

    def _is_close(self, found: Any, wanted: Any) -> bool:
        most = _MOST_DIFFERENCE[self.head_weight.dtype]
        return bool(torch.linalg.vector_norm(found - wanted) <= most * torch.linalg.vector_norm(wanted))

    @property
    def module(self) -> Any:
        """The model of transformers that is trained."""
        return self._module

    @property
    def device(self) -> Any:
        """Where it computes, a torch device."""
        return self.model.device

    @property
    def parameters(self) -> list[Any]:
        """The trainable weights."""
        return list(self.named.values())

    @property
    def head_weight(self) -> Any:
        """Weights of the head, shape (n_tokens, width)."""
        return self._active.get_output_embeddings().weight

    @property
    def head_bias(self) -> Any:
        """Bias of the head, shape (n_tokens,), or None."""
        return getattr(self._active.get_output_embeddings(), "bias", None)

    @property
    def soft_cap(self) -> float | None:
        """Bound of the logits, of architectures that press them between bounds."""
        return self._shaping.soft_cap

    @property
    def logit_scale(self) -> float:
        """What the head's products are multiplied by; 1 for most architectures."""
        return self._shaping.scale

    def hidden(self, ids: Any, attention_mask: Any) -> Any:
        """Hidden states after the final norm.

        Parameters
        ----------
        ids, attention_mask : integer tensors of shape (n, length)
            Sequences filled up on the right, and 1 where a token is, else 0; on `device`. No token attends to what comes
            after it, so nothing has to be masked, and attention can take the faster way without a mask; what comes out at
            places that were filled up means nothing.

        Returns
        -------
        tensor of shape (n, length, width)
        """
        del attention_mask
        decoder = self._active.get_decoder()
        return decoder(input_ids=ids, use_cache=False).last_hidden_state

    def hidden_at(self, ids: Any, attention_mask: Any, places: Any) -> Any:
        """Hidden states after the final norm at some places, such as those that a loss is read at.

        In training the last layer leaves the others out where it can: no other place looks at them.

        Parameters
        ----------
        ids, attention_mask
            As for `hidden`.
        places : int64 tensor of shape (n_places,)
            Of all texts one after the other, each once: text * length + token.

        Returns
        -------
        tensor of shape (n_places, width)
        """
        if self._lean is None or not self._lean.picks or self._active is not self._module:
            return self.hidden(ids, attention_mask).flatten(0, 1).index_select(0, places)
        with self._lean.at(places):
            return self.hidden(ids, attention_mask)[0]

    def layer_output(self, ids: Any, attention_mask: Any, layer: int) -> Any:
        """What a layer returns; the layers after it are not computed.

        Parameters
        ----------
        ids, attention_mask
            As for `hidden`.
        layer : int
            From 0; -1 is the last.

        Returns
        -------
        tensor of shape (n, length, width)

        Raises
        ------
        IndexError
            If there is no such layer.
        """
        parent, _, own = self._layers_path.rpartition(".")
        owner = self._active.get_submodule(parent)
        every = getattr(owner, own)
        place = range(len(every))[layer]
        seen: list[Any] = []
        handle = every[place].register_forward_hook(lambda _layer, _inputs, output: seen.append(hidden_of(output)))
        setattr(owner, own, torch.nn.ModuleList(list(every)[: place + 1]))
        try:
            self.hidden(ids, attention_mask)
        finally:
            setattr(owner, own, every)
            handle.remove()
        return seen[0]

    @contextmanager
    def training(self) -> Iterator[None]:
        """Compute as in training: with dropout where the model has any, and layers twice where that was asked for.

        Layers whose kind is known keep less for the way back (`auditor.models.lean_layers`).
        """
        self._module.train()
        try:
            with self._leaner(again=not self.gradient_checkpointing) if self._is_lean else nullcontext():
                yield
        finally:
            self._module.eval()

    def hold_reference(self) -> None:
        """Keep what the model is now, for `reference`. Adapters cost nothing here, full training a copy of the weights.

        Raises
        ------
        ValueError
            If the adapters were trained already: without them it is an earlier model.
        """
        if self.lora_rank is None:
            self._copy = None  # an earlier copy is freed before the next one is made
            with torch.no_grad():
                self._copy = copy.deepcopy(self._module).eval().requires_grad_(False)
            for weight in self._copy.parameters():
                weight.grad = None
        elif not lora.are_untrained(self._module):
            raise ValueError("the adapters were trained already: export the merged model and train that")
        self._is_held = True

    @contextmanager
    def reference(self) -> Iterator[None]:
        """Make everything that is asked of the model an answer of the one that was held, without gradients.

        Raises
        ------
        ValueError
            If none was held.
        """
        if not self._is_held:
            raise ValueError("no reference is held: call hold_reference before the first step")
        was_training = self._module.training
        try:
            with torch.no_grad():
                if self.lora_rank is None:
                    self._active = self._copy
                    yield
                else:
                    self._module.eval()
                    with lora.switched_off(self._module):
                        yield
        finally:
            self._active = self._module
            self._module.train(was_training)

    def spread(self, world: World) -> None:
        """Spread the layers over processes that train together, those of a reference that is held too.

        From here on every process computes with the model at the same time as the others, also where no gradient is asked
        for. `named` then has the spread weights.

        Raises
        ------
        ModelError
            If layers of this kind cannot be spread, or compute something else then.
        """
        if world.is_alone:
            return
        before = self._probed()
        try:
            for module in (self._module, self._copy):
                if module is not None:
                    layers = list(module.get_submodule(self._layers_path))
                    shard(module.get_decoder(), layers, world, adapters=self.lora_rank is not None)
        except (ValueError, AssertionError, NotImplementedError) as error:
            raise ModelError(
                f"The layers of {self.model.file.name} cannot be spread over several devices ({str(error)[:200]}): train on one."
            ) from error
        self.named = {name: weight for name, weight in self._module.named_parameters() if weight.requires_grad}
        self._free()
        # This first pass through all layers is also what ties them together.
        found = [self._probed()]
        if self._copy is not None:
            with self.reference():
                found.append(self._probed())
        if not all(self._is_close(one, before) for one in found):
            raise ModelError(
                f"{self.model.file.name} computes something else when its layers are spread over several devices: train on one."
            )

    def _probed(self, places: Any = None) -> Any:
        """Hidden states of a short text, at all places or at some, float32."""
        ids = torch.tensor([self.model.words.tokenize(PROBE, begin=True)], device=self.device)
        mask = torch.ones_like(ids)
        with torch.no_grad():
            found = self.hidden(ids, mask) if places is None else self.hidden_at(ids, mask, places)
        return found.float()

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Leave the device to others for as long as this takes; the weights wait in main memory.

        Raises
        ------
        ModelError
            If main memory has no room.
        """
        device = self.device
        self.to_processor()
        try:
            yield
        finally:
            self._module.to(device)
            self.model.device = device

    def take(self, weights: Iterable[tuple[str, Any]]) -> None:
        """Put trained weights in, rounded to the model's precision.

        Parameters
        ----------
        weights : iterable of (str, torch.Tensor)
            Every trained weight once, by its name.

        Raises
        ------
        ValueError
            If they are of another model.
        """
        left = dict(self.named)
        with torch.no_grad():
            for name, found in weights:
                if name not in left or left[name].shape != found.shape:
                    raise ValueError(f"the weights are of another model: {name}")
                left.pop(name).copy_(found)
        if left:
            raise ValueError(f"{next(iter(left))} is missing")

    def merged(self) -> Any:
        """The trained model without adapters: itself where all weights were trained, else a copy with them merged."""
        return self._module if self.lora_rank is None else lora.merged(self._module)

    def settle(self, dtype: str) -> None:
        """End the training: become, bit for bit, the model that a file of this precision holds.

        Adapters become part of the weights, and every weight is rounded as it will be written; what is computed from
        them stays in the precision that the model was loaded in. What only training needs is freed. A model that was
        not settled may know what its file does not: rounding undoes small changes.

        Parameters
        ----------
        dtype : str
            Precision of the weights in the file, "float32" or "bfloat16".

        Raises
        ------
        ModelError
            If merged weights are not finite.
        """
        self._copy, self._is_held, self.named = None, False, {}
        for weight in self._module.parameters():
            weight.grad = None
        if self.lora_rank is not None:
            lora.merge(self._module)
            self.lora_rank = None
        self._module.requires_grad_(False)
        with torch.no_grad():
            for weight in self._module.state_dict().values():
                if weight.is_floating_point():
                    weight.copy_(weight.to(DTYPES[dtype]))
        self._free()

    def to_processor(self) -> None:
        """Move the model into main memory, where it can be written down whatever the device has room for.

        Raises
        ------
        ModelError
            If main memory has no room.
        """
        try:
            self._module.to("cpu")
        except (RuntimeError, MemoryError) as error:
            raise ModelError(
                f"{self.model.file.name} does not fit into main memory, where it is written from: close other programs."
            ) from error
        self.model.device = torch.device("cpu")
        self._free()

    def _free(self) -> None:
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def close(self) -> None:
        """Free the tokenizer. The object cannot be used afterwards."""
        self.model.words.close()


def _path_of_layers(module: Any, layers: list[Any]) -> str:
    for path, found in module.named_modules():
        if isinstance(found, torch.nn.ModuleList) and [id(part) for part in found] == [id(part) for part in layers]:
            return str(path)
    raise AssertionError("layers that were read have a place in the model")
