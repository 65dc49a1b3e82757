"""llama.cpp as a scorer of label tokens. Imported by worker processes only: native code may take its process along.

Layout in the cache: sequence 0 holds the shared prefix, sequence 1 a copy of it with the body, sequence 2 a copy
of both with one suffix. The cache is unified, because a partial copy between split streams aborts the process.
Batch sizes and threads are fixed for a run and recorded, so that a score depends on its own tokens alone.
"""

import ctypes
import os
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Self

import llama_cpp
import numpy as np
from numpy.typing import NDArray

from auditor.errors import ModelError
from auditor.files import sha256_of
from auditor.models.file import ModelFile

N_BATCH = 512
_PREFIX, _BODY, _SUFFIX = 0, 1, 2
_LOG_LINES = 40
#: llama.cpp's own constant for "to the end".
_END = -1
_ALL_LAYERS = 999


class LabelScorer:
    """Reads the logits of a few label tokens after prefix + body + suffix.

    Parameters
    ----------
    model : ModelFile
        The file; its SHA-256 is recomputed before it is loaded.
    n_ctx : int
        Positions of the context, tokens.
    n_threads : int, optional
        Threads of the processor; the number of physical cores if not given.
    check : bool
        Recompute the hash. Only a caller that has just done so may leave it out.

    Raises
    ------
    ModelError
        If the file is gone or has changed, or llama.cpp refuses it.
    """

    def __init__(self, model: ModelFile, *, n_ctx: int, n_threads: int | None = None, check: bool = True) -> None:
        self._model: Any = None
        self._context: Any = None
        self._batch: Any = None
        self._lines: list[str] = []
        self._prefix: tuple[int, ...] = ()
        self._file = model
        self._n_ctx = n_ctx
        self._n_threads = n_threads or _physical_cores()
        if not model.path.is_file():
            raise ModelError(f"The file of model {model.name} is gone: {model.path}.")
        if check and sha256_of(model.path) != model.sha256:
            raise ModelError(f"The file of model {model.name} has changed since it was added: {model.path}.")
        # llama.cpp keeps the callback without owning it: it lives as long as this object.
        self._on_log = llama_cpp.llama_log_callback(self._log)
        llama_cpp.llama_log_set(self._on_log, ctypes.c_void_p(0))
        llama_cpp.llama_backend_init()
        try:
            self._load()
        except BaseException:
            self.close()
            raise

    def _log(self, _level: int, text: bytes, _data: object) -> None:
        self._lines.append(text.decode(errors="replace").rstrip())
        del self._lines[:-_LOG_LINES]

    def _load(self) -> None:
        parameters = llama_cpp.llama_model_default_params()
        parameters.n_gpu_layers = _ALL_LAYERS if llama_cpp.llama_supports_gpu_offload() else 0
        self._model = llama_cpp.llama_model_load_from_file(os.fsencode(self._file.path), parameters)
        if not self._model:
            raise self._failure("llama.cpp cannot load it")
        self._vocabulary = llama_cpp.llama_model_get_vocab(self._model)
        settings = llama_cpp.llama_context_default_params()
        settings.n_ctx = self._n_ctx
        settings.n_batch = settings.n_ubatch = N_BATCH
        settings.n_seq_max = 3
        settings.n_threads = settings.n_threads_batch = self._n_threads
        settings.kv_unified = True
        settings.no_perf = True
        self._context = llama_cpp.llama_init_from_model(self._model, settings)
        if not self._context:
            raise self._failure(f"llama.cpp cannot make a context of {self._n_ctx:,} tokens for it")
        self._memory = llama_cpp.llama_get_memory(self._context)
        self._batch = llama_cpp.llama_batch_init(N_BATCH, 0, 1)

    def _failure(self, problem: str) -> ModelError:
        said = next((line for line in reversed(self._lines) if line), "")
        return ModelError(f"The model {self._file.name} failed: {problem}" + (f" ({said[:300]})." if said else "."))

    @property
    def device(self) -> str:
        """What computes, as llama.cpp reports it."""
        if llama_cpp.llama_supports_gpu_offload():
            return f"GPU through llama.cpp; {_features()}"
        return f"CPU, {self._n_threads} threads; {_features()}"

    @property
    def settings(self) -> dict[str, Any]:
        """Everything a score depends on beside its tokens."""
        return {
            "layout": "prefix once, body on a copy, each suffix on a copy",
            "n_ctx": self._n_ctx,
            "n_batch": N_BATCH,
            "n_threads": self._n_threads,
            "kv_cache": "float16, unified",
        }

    @property
    def chat_template(self) -> str | None:
        """The chat template stored in the file, a Jinja text, or None."""
        found = llama_cpp.llama_model_chat_template(self._model, None)
        return found.decode() if found else None

    @property
    def bos(self) -> str:
        """Text of the token that begins a prompt."""
        return self._text_of(llama_cpp.llama_vocab_bos(self._vocabulary))

    @property
    def eos(self) -> str:
        """Text of the token that ends a turn."""
        return self._text_of(llama_cpp.llama_vocab_eos(self._vocabulary))

    def _text_of(self, token: int) -> str:
        if token < 0:
            return ""
        found = llama_cpp.llama_vocab_get_text(self._vocabulary, token)
        return found.decode(errors="replace") if found else ""

    def tokenize(self, text: str, *, special: bool, begin: bool = False) -> list[int]:
        """Token ids of a text.

        Parameters
        ----------
        special : bool
            Whether spellings of special tokens become those tokens. False for anything that comes from data.
        begin : bool
            Put the token that begins a prompt in front, where the vocabulary asks for one and the text has none.
        """
        data = text.encode()
        room = len(data) + 8
        tokens = (llama_cpp.llama_token * room)()
        count = llama_cpp.llama_tokenize(self._vocabulary, data, len(data), tokens, room, False, special)
        if count < 0:
            raise self._failure("its tokenizer refused a text")
        found = list(tokens[:count])
        bos = llama_cpp.llama_vocab_bos(self._vocabulary)
        if begin and llama_cpp.llama_vocab_get_add_bos(self._vocabulary) and found[:1] != [bos]:
            found.insert(0, bos)
        return found

    def scores(
        self, prefix: Sequence[int], body: Sequence[int], suffixes: Sequence[Sequence[int]], labels: Sequence[int]
    ) -> NDArray[np.float32]:
        """Logits of the label tokens after each suffix.

        Parameters
        ----------
        prefix, body : sequence of int
            Tokens shared by all calls, and by all suffixes of this call.
        suffixes : sequence of sequences of int
            Each non-empty.
        labels : sequence of int
            Token ids whose logits are read.

        Returns
        -------
        ndarray of shape (n_suffixes, n_labels)

        Raises
        ------
        ModelError
            If the tokens exceed the context or llama.cpp cannot decode them.
        """
        longest = max(len(suffix) for suffix in suffixes)
        if len(prefix) + len(body) + longest > self._n_ctx:
            raise ModelError(f"A prompt of {len(prefix) + len(body) + longest:,} tokens exceeds {self._n_ctx:,}.")
        self._hold_prefix(prefix)
        result = np.empty((len(suffixes), len(labels)), dtype=np.float32)
        try:
            self._copy(_PREFIX, _BODY)
            self._decode(body, len(prefix), _BODY, want_logits=False)
            for row, suffix in enumerate(suffixes):
                self._copy(_BODY, _SUFFIX)
                logits = self._decode(suffix, len(prefix) + len(body), _SUFFIX, want_logits=True)
                result[row] = [logits[label] for label in labels]
                self._remove(_SUFFIX)
        finally:
            self._remove(_SUFFIX)
            self._remove(_BODY)
        if not np.isfinite(result).all():
            raise self._failure("it gave logits that are no numbers")
        return result

    def generate(self, prefix: Sequence[int], rest: Sequence[int], *, grammar: str, max_tokens: int) -> str:
        """The most likely continuation that a grammar allows (greedy, so the same every time).

        Parameters
        ----------
        prefix, rest : sequence of int
            The prompt; `prefix` as in `scores`.
        grammar : str
            GBNF with a rule ``root``.
        max_tokens : int
            The text is cut there if the grammar has not ended it.
        """
        if len(prefix) + len(rest) + max_tokens > self._n_ctx:
            raise ModelError("There is no room in the context for an explanation: raise n_ctx.")
        sampler = llama_cpp.llama_sampler_chain_init(llama_cpp.llama_sampler_chain_default_params())
        rule = llama_cpp.llama_sampler_init_grammar(self._vocabulary, grammar.encode(), b"root")
        if not rule:
            llama_cpp.llama_sampler_free(sampler)
            raise self._failure("llama.cpp refused the grammar of explanations")
        llama_cpp.llama_sampler_chain_add(sampler, rule)
        llama_cpp.llama_sampler_chain_add(sampler, llama_cpp.llama_sampler_init_greedy())
        pieces = bytearray()
        self._hold_prefix(prefix)
        try:
            self._copy(_PREFIX, _BODY)
            position = len(prefix)
            tokens = list(rest)
            for _ in range(max_tokens):
                self._decode(tokens, position, _BODY, want_logits=True)
                position += len(tokens)
                token = llama_cpp.llama_sampler_sample(sampler, self._context, -1)
                if llama_cpp.llama_vocab_is_eog(self._vocabulary, token):
                    break
                pieces += self._piece(token)
                tokens = [token]
        finally:
            self._remove(_BODY)
            llama_cpp.llama_sampler_free(sampler)
        return pieces.decode(errors="replace").strip()

    def _piece(self, token: int) -> bytes:
        buffer = ctypes.create_string_buffer(256)
        count = llama_cpp.llama_token_to_piece(self._vocabulary, token, buffer, len(buffer), 0, False)
        return buffer.raw[: max(count, 0)]

    def _hold_prefix(self, prefix: Sequence[int]) -> None:
        if tuple(prefix) == self._prefix:
            return
        llama_cpp.llama_memory_clear(self._memory, True)
        self._prefix = ()
        self._decode(prefix, 0, _PREFIX, want_logits=False)
        self._prefix = tuple(prefix)

    def _copy(self, source: int, target: int) -> None:
        llama_cpp.llama_memory_seq_cp(self._memory, source, target, _END, _END)

    def _remove(self, sequence: int) -> None:
        llama_cpp.llama_memory_seq_rm(self._memory, sequence, _END, _END)

    def _decode(self, tokens: Sequence[int], start: int, sequence: int, *, want_logits: bool) -> Any:
        for offset in range(0, len(tokens), N_BATCH):
            part = tokens[offset : offset + N_BATCH]
            is_last = offset + len(part) == len(tokens)
            self._batch.n_tokens = len(part)
            for i, token in enumerate(part):
                self._batch.token[i] = token
                self._batch.pos[i] = start + offset + i
                self._batch.n_seq_id[i] = 1
                self._batch.seq_id[i][0] = sequence
                self._batch.logits[i] = want_logits and is_last and i == len(part) - 1
            code = llama_cpp.llama_decode(self._context, self._batch)
            if code != 0:
                self._prefix = ()
                raise self._failure(f"decoding stopped with code {code}")
        return llama_cpp.llama_get_logits_ith(self._context, -1) if want_logits else None

    def close(self) -> None:
        """Free the model. The object cannot be used afterwards."""
        if self._batch is not None:
            llama_cpp.llama_batch_free(self._batch)
            self._batch = None
        frees: list[tuple[str, Callable[[Any], None]]] = [
            ("_context", llama_cpp.llama_free),
            ("_model", llama_cpp.llama_model_free),
        ]
        for name, free in frees:
            if getattr(self, name):
                free(getattr(self, name))
                setattr(self, name, None)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _physical_cores() -> int:
    import psutil

    return psutil.cpu_count(logical=False) or os.cpu_count() or 1


def _features() -> str:
    return str(llama_cpp.llama_print_system_info().decode()).strip().strip("|").strip()
