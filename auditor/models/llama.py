"""llama.cpp as a scorer of label tokens. Imported by worker processes only: native code may take its process along.

Layout in the cache: every sequence begins with the shared prefix, decoded once. The prompts of a batch (see
`auditor.models.tree`) take sequences 1, 2, ...; a token that several prompts share is decoded once and belongs to all
of them. One sequence keeps what a batch hands on to the next. The cache is unified, because a partial copy between
split streams aborts the process. A segment begins with an emptied cache into which the prefix is put back, so that its
numbers depend on nothing that was computed before. Settings are fixed for a run and recorded.
"""

import os
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, pairwise
from types import TracebackType
from typing import Any, Self

import llama_cpp
import numpy as np
from numpy.typing import NDArray

from auditor.errors import ModelError
from auditor.models import native_log, vocabulary
from auditor.models.batch_plan import MAX_LEAVES, TALKING_LEAVES, BatchPlan, candidates, cells
from auditor.models.file import ModelFile
from auditor.models.fit import fitting, free_memory
from auditor.models.identity import require_gguf, require_there, require_unchanged
from auditor.models.kept_prefixes import KeptPrefixes, Prefix
from auditor.models.native_batch import Tokens, in_sequence, joined, native
from auditor.models.native_state import restore, state_of
from auditor.models.speech import Speaker
from auditor.models.tree import Batch

_PREFIX, _FIRST_LEAF = 0, 1
#: llama.cpp's own constant for "to the end".
_END = -1
_ALL_LAYERS = 999
#: Decoded prefixes that are kept beside the cache take no more than this, but for two of them.
_KEPT_BYTES = 256 * 1024**2
#: Scores of another version are not reused.
ENGINE = f"llama-cpp-python {llama_cpp.__version__}"


class LabelScorer:
    """Reads the logits of a few label tokens at the end of prompts.

    Parameters
    ----------
    model : ModelFile
        The file; its SHA-256 is recomputed before it is loaded.
    n_ctx : int
        Longest prompt, tokens, with what is said after it.
    plan : BatchPlan, optional
        How prompts are cut into batches; the first candidate that fits into memory if not given.
    talk : int
        Tokens that may follow a prompt when it is continued with a sentence; 0 if none is.
    check : bool
        Recompute the hash. Only a caller that has just done so may leave it out.

    Attributes
    ----------
    decoded : int
        Tokens decoded so far.
    max_leaves : int
        Prompts that a batch may hold.

    Raises
    ------
    ModelError
        If the file is gone or has changed, or llama.cpp refuses it.
    """

    def __init__(
        self, model: ModelFile, *, n_ctx: int, plan: BatchPlan | None = None, talk: int = 0, check: bool = True
    ) -> None:
        self._model: Any = None
        self._context: Any = None
        self._devices: list[str] = []
        self._prefix: Prefix = ()
        self._prefix_state: Any = None
        self._states = KeptPrefixes[Any](len, _KEPT_BYTES)
        self.file = model
        self._n_ctx, self._talk = n_ctx, talk
        self.max_leaves = TALKING_LEAVES if talk else MAX_LEAVES
        self._carry = self.max_leaves + 1
        self.decoded = 0
        require_gguf(model)
        require_there(model)
        if check:
            require_unchanged(model)
        native_log.listen()
        llama_cpp.llama_backend_init()
        # Before the weights take their part.
        self._free_bytes = free_memory()
        try:
            self._load()
            self.use(plan or (self.plans or candidates(on_gpu=self.on_gpu))[0])
        except BaseException:
            self.close()
            raise

    def _load(self) -> None:
        parameters = llama_cpp.llama_model_default_params()
        parameters.n_gpu_layers = _ALL_LAYERS if llama_cpp.llama_supports_gpu_offload() else 0
        native_log.SAID.clear()
        self._model = llama_cpp.llama_model_load_from_file(os.fsencode(self.file.path), parameters)
        self._devices = native_log.devices()
        if not self._model:
            raise self._failure("llama.cpp cannot load it")
        self._vocabulary = llama_cpp.llama_model_get_vocab(self._model)

    def use(self, plan: BatchPlan) -> None:
        """Make a context for a plan; what was held is forgotten.

        Raises
        ------
        ModelError
            If llama.cpp cannot make it, for example for want of memory.
        """
        self._free_context()
        self.plan = plan
        settings = llama_cpp.llama_context_default_params()
        settings.n_ctx = cells(self._n_ctx, plan.capacity, leaves=self.max_leaves, talk=self._talk)
        settings.n_batch = settings.n_ubatch = plan.n_ubatch
        settings.n_seq_max = self.max_leaves + 2
        settings.n_threads = settings.n_threads_batch = plan.n_threads
        settings.flash_attn_type = (
            llama_cpp.LLAMA_FLASH_ATTN_TYPE_ENABLED
            if plan.flash_attention
            else llama_cpp.LLAMA_FLASH_ATTN_TYPE_DISABLED
        )
        settings.kv_unified = True
        settings.no_perf = True
        self._context = llama_cpp.llama_init_from_model(self._model, settings)
        if not self._context:
            raise self._failure(f"llama.cpp cannot make a context of {settings.n_ctx:,} tokens for it")
        self._memory = llama_cpp.llama_get_memory(self._context)

    def _failure(self, problem: str) -> ModelError:
        said = next((line for line in reversed(native_log.SAID) if line), "")
        return ModelError(f"The model {self.file.name} failed: {problem}" + (f" ({said[:300]})." if said else "."))

    @property
    def on_gpu(self) -> bool:
        """Whether layers were offloaded to a graphics processor."""
        return bool(self._devices)

    def fits(self, plan: BatchPlan) -> bool:
        """Whether the model fitted into memory with a plan when it was loaded; graphics memory is not looked at."""
        free = self._free_bytes
        return self.on_gpu or bool(fitting(self.file, [plan], n_ctx=self._n_ctx, talk=self._talk, free_bytes=free))

    @property
    def plans(self) -> tuple[BatchPlan, ...]:
        """Plans that are worth trying and fit."""
        return tuple(plan for plan in candidates(on_gpu=self.on_gpu) if self.fits(plan))

    @property
    def processor(self) -> str:
        """What computes, whatever the plan."""
        return "; ".join(dict.fromkeys(self._devices)) or native_log.features()

    @property
    def device(self) -> str:
        """What computes, as llama.cpp reports it."""
        if self.on_gpu:
            return f"{self.processor}, all layers offloaded; {native_log.features()}"
        return f"CPU, {self.plan.n_threads} threads; {self.processor}"

    @property
    def settings(self) -> dict[str, Any]:
        """Everything a score depends on beside its tokens."""
        return {
            "engine": ENGINE,
            "layout": "prefix once, tree of prompts, what is shared is decoded once",
            "n_ctx": self._n_ctx,
            "max_leaves": self.max_leaves,
            **self.plan.model_dump(),
            "kv_cache": "float16, unified",
        }

    @property
    def n_tokens(self) -> int:
        """Size of the vocabulary."""
        return int(llama_cpp.llama_vocab_n_tokens(self._vocabulary))

    @property
    def chat_template(self) -> str | None:
        """The chat template stored in the file, a Jinja text, or None."""
        return vocabulary.chat_template_of(self._model)

    @property
    def bos(self) -> str:
        """Text of the token that begins a prompt."""
        return vocabulary.spelling_of(self._vocabulary, llama_cpp.llama_vocab_bos(self._vocabulary))

    @property
    def eos(self) -> str:
        """Text of the token that ends a turn."""
        return vocabulary.spelling_of(self._vocabulary, llama_cpp.llama_vocab_eos(self._vocabulary))

    def tokenize(self, text: str, *, special: bool, begin: bool = False) -> list[int]:
        """Token ids of a text; see `auditor.models.vocabulary.tokenize`."""
        return vocabulary.tokenize(self._vocabulary, text, special=special, begin=begin)

    def text(self, tokens: Sequence[int]) -> str:
        """What tokens stand for; see `auditor.models.vocabulary.text_of`."""
        return vocabulary.text_of(self._vocabulary, tokens)

    def holds(self, prefix: Sequence[int]) -> bool:
        """Whether a prefix was decoded and is kept."""
        return tuple(prefix) in self._states

    def hold(self, prefix: Sequence[int]) -> None:
        """Decode what all prompts that follow begin with, unless it is kept from before; the latest few are."""
        wanted = tuple(prefix)
        if wanted == self._prefix:
            return
        self._forget_prefix()
        self._prefix_state = self._states.get(wanted, self._decoded_prefix)
        self._prefix = wanted

    def _decoded_prefix(self, prefix: Prefix) -> Any:
        """Everything that the context holds after a prefix, as bytes."""
        llama_cpp.llama_memory_clear(self._memory, True)
        self._decode(in_sequence(prefix, 0, _PREFIX, last_is_wanted=False))
        state = state_of(self._context, _PREFIX)
        if state is None:
            raise self._failure("the state of its prefix cannot be kept")
        return state

    def release(self) -> None:
        """Forget every prefix that is kept."""
        self._forget_prefix()
        self._states.clear()

    def prefill(self, tokens: Sequence[int], labels: Sequence[int] = ()) -> NDArray[np.float32]:
        """Decode a plain prompt alone and forget what was held: for measuring speed, and what scores are compared with.

        Parameters
        ----------
        labels : sequence of int
            Token ids whose logits at the end of the prompt are read.

        Returns
        -------
        ndarray of shape (n_labels,)
        """
        self._forget_prefix()
        llama_cpp.llama_memory_clear(self._memory, True)
        self._decode(in_sequence(tokens, 0, _PREFIX, last_is_wanted=True))
        logits = llama_cpp.llama_get_logits_ith(self._context, _END)
        return np.array([logits[label] for label in labels], np.float32)

    def _begin_segment(self) -> None:
        """Empty the cache but for the prefix, always in the same cells."""
        llama_cpp.llama_memory_clear(self._memory, True)
        if not restore(self._context, _PREFIX, self._prefix_state):
            self.release()
            raise self._failure("the state of its prefix cannot be restored")
        for sequence in range(_FIRST_LEAF, self._carry + 1):
            self._copy(_PREFIX, sequence, 0, _END)

    def scores(
        self, all_batches: Iterable[Batch], labels: Sequence[int]
    ) -> Iterator[tuple[Batch, NDArray[np.float32]]]:
        """Logits of the label tokens at the end of each prompt, batch by batch.

        Until the next batch is asked for, the prompts of a batch can be continued with `say`.

        Parameters
        ----------
        all_batches : iterable of Batch
            As `auditor.models.tree.batches` cuts them, in their order from the beginning of a segment on; the prefix
            is held.
        labels : sequence of int
            Token ids whose logits are read.

        Yields
        ------
        batch, ndarray of shape (n_leaves, n_labels)

        Raises
        ------
        ModelError
            If a prompt exceeds the context or llama.cpp cannot decode it.
        """
        if not self._prefix:
            raise ModelError(f"The model {self.file.name} was asked for scores before it held a prefix.")
        begin = len(self._prefix)
        for batch, following in pairwise(chain(all_batches, [None])):
            assert batch is not None
            if batch.begins_segment:
                self._begin_segment()
            for leaf, common in enumerate(batch.carry):
                if common:
                    self._copy(self._carry, _FIRST_LEAF + leaf, begin, begin + int(common))
            yield batch, self._scores_of(batch, labels)
            self._forget(self._carry)
            if following is not None and not following.begins_segment:
                last = _FIRST_LEAF + len(batch.leaves) - 1
                self._copy(last, self._carry, begin, begin + int(following.carry[0]))
            for leaf in range(len(batch.leaves)):
                self._forget(_FIRST_LEAF + leaf)

    def _scores_of(self, batch: Batch, labels: Sequence[int]) -> NDArray[np.float32]:
        longest = len(self._prefix) + int(batch.positions.max()) + 1
        if longest + self._talk > self._n_ctx:
            raise ModelError(f"A prompt of {longest:,} tokens exceeds {self._n_ctx - self._talk:,}.")
        wanted = np.zeros(len(batch.tokens), bool)
        wanted[batch.ends] = True
        positions = batch.positions + len(self._prefix)
        tokens = Tokens(batch.tokens, positions, batch.first + _FIRST_LEAF, batch.last + _FIRST_LEAF, wanted)
        rows = []
        for place in self._decoded(tokens):
            logits = llama_cpp.llama_get_logits_ith(self._context, place)
            rows.append([logits[label] for label in labels])
        # Wanted tokens come in the order of the batch; a leaf's place in it may be another.
        result = np.array(rows, np.float32)[np.searchsorted(np.flatnonzero(wanted), batch.ends)]
        if not np.isfinite(result).all():
            raise self._failure("it gave logits that are no numbers")
        return result

    def say(self, batch: Batch, begun: Sequence[Sequence[int]], *, grammar: str) -> list[str]:
        """Continue every prompt of the batch that was scored last with the most likely text that a grammar allows.

        Greedy, so the same every time. All prompts go on together, a token of each in every step.

        Parameters
        ----------
        begun : sequence of sequences of int, one a leaf
            Tokens that follow the prompt before the text begins; empty for a prompt that is not continued.
        grammar : str
            GBNF with a rule ``root``.

        Returns
        -------
        list of str
            A text for each leaf, cut where `talk` tokens are used up; empty where nothing was asked.
        """
        ends = batch.positions[batch.ends] + 1 + len(self._prefix)
        with Speaker(self._context, self._vocabulary, grammar, len(batch.leaves)) as speaker:
            asked = [place for place, tokens in enumerate(begun) if len(tokens)]
            following = {place: list(begun[place]) for place in asked}
            used = dict.fromkeys(asked, 0)
            while following:
                places = list(following)
                parts = [
                    in_sequence(following[p], int(ends[p]) + used[p], _FIRST_LEAF + p, last_is_wanted=True)
                    for p in places
                ]
                found = self._decoded(joined(parts))
                said = [speaker.next(place, at) for place, at in zip(places, found, strict=True)]
                for place, part, token in zip(places, parts, said, strict=True):
                    used[place] += len(part)
                    if token is None or used[place] >= self._talk:
                        del following[place]
                    else:
                        following[place] = [token]
            return [speaker.text(place) for place in range(len(batch.leaves))]

    def _copy(self, source: int, target: int, begin: int, end: int) -> None:
        llama_cpp.llama_memory_seq_cp(self._memory, source, target, begin, end)

    def _forget(self, sequence: int) -> None:
        """Everything of a sequence but the prefix."""
        llama_cpp.llama_memory_seq_rm(self._memory, sequence, len(self._prefix), _END)

    def _decode(self, tokens: Tokens) -> None:
        for _ in self._decoded(tokens):
            pass

    def _decoded(self, tokens: Tokens) -> Iterator[int]:
        """Decode; yields the places in llama.cpp's batch where logits are wanted, to be read before the next one."""
        for begin in range(0, len(tokens), self.plan.n_ubatch):
            part = tokens.part(begin, begin + self.plan.n_ubatch)
            batch, _arrays = native(part)
            code = llama_cpp.llama_decode(self._context, batch)
            if code != 0:
                self._forget_prefix()
                raise self._failure(f"decoding stopped with code {code}")
            self.decoded += len(part)
            yield from map(int, np.flatnonzero(part.wanted))

    def _forget_prefix(self) -> None:
        self._prefix, self._prefix_state = (), None

    def _free_context(self) -> None:
        self.release()
        if self._context:
            llama_cpp.llama_free(self._context)
            self._context = None

    def close(self) -> None:
        """Free the model. The object cannot be used afterwards."""
        self._free_context()
        if self._model:
            llama_cpp.llama_model_free(self._model)
            self._model = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
