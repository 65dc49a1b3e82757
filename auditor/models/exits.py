"""Reading labels at every layer of a model: what is asked of a scorer, and which scorer answers. Imports no torch.

Exits are counted from the first layer, 0, to the last, `n_exits` - 1, which is the full model. The embedding is no exit.
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Literal, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from auditor.errors import ModelError
from auditor.models.file import ModelFile

Backend = Literal["auto", "torch", "llama.cpp"]
#: Asked at an exit with the logits of the labels, shape (n_labels,); True answers there.
Stop = Callable[[int, NDArray[np.float32]], bool]


@dataclass(frozen=True)
class Prompt:
    """Token ids of a prompt in two parts.

    Attributes
    ----------
    prefix : tuple of int
        What other prompts may begin with too, such as instruction and demonstrations; may be empty.
    query : tuple of int
        The rest; at least one token.
    """

    prefix: tuple[int, ...]
    query: tuple[int, ...]

    def __post_init__(self) -> None:
        if not self.query:
            raise ValueError("a prompt needs a query of at least one token")

    def __len__(self) -> int:
        return len(self.prefix) + len(self.query)

    @property
    def tokens(self) -> tuple[int, ...]:
        """The whole prompt."""
        return self.prefix + self.query


class Scorer(Protocol):
    """A loaded model that reads the logits of labels at the end of prompts.

    Attributes
    ----------
    file : ModelFile
        The model.
    n_exits : int
        Number of layers that can be read.
    """

    file: ModelFile
    n_exits: int

    @property
    def device(self) -> str:
        """What computes, in words."""
        ...

    @property
    def settings(self) -> dict[str, Any]:
        """Everything a score depends on beside its tokens."""
        ...

    def tokenize(self, text: str, *, begin: bool) -> list[int]:
        """Token ids of a text, in which nothing is read as a special token.

        Parameters
        ----------
        begin : bool
            Put the token that begins a prompt in front, where the model wants one.
        """
        ...

    def text(self, tokens: Sequence[int]) -> str:
        """What tokens stand for."""
        ...

    def label_tokens(self, word: str) -> tuple[int, ...]:
        """Spellings of a word that are a single token, sorted; empty if there is none."""
        ...

    def hold(self, prefix: Sequence[int]) -> None:
        """Compute once what prompts that follow begin with; the latest few are kept."""
        ...

    def release(self) -> None:
        """Forget every prefix that is held, so that what follows does not depend on what was asked before."""
        ...

    def scores(self, prompts: Sequence[Prompt], labels: Sequence[Sequence[int]]) -> NDArray[np.float32]:
        """Logits of the labels at the end of each prompt, at every exit.

        Parameters
        ----------
        prompts : sequence of Prompt
            Consecutive prompts with the same prefix share its computation.
        labels : sequence of sequences of int
            Token ids of the spellings of each label; the largest logit of them counts.

        Returns
        -------
        ndarray of shape (n_prompts, n_exits, n_labels)

        Raises
        ------
        ModelError
            If a prompt is longer than the model's context, or the model gives logits that are no numbers.
        """
        ...

    def answer(
        self, prompt: Prompt, labels: Sequence[Sequence[int]], stop: Stop, *, first_exit: int
    ) -> tuple[int, NDArray[np.float32]]:
        """Run layer after layer until `stop` says so; the layers above are not computed.

        Parameters
        ----------
        first_exit : int
            First exit at which `stop` is asked.

        Returns
        -------
        exit : int
            Where it stopped; `n_exits` - 1 if it never did.
        logits : ndarray of shape (n_labels,)
            Read there.
        """
        ...

    def attention(self, prompt: Prompt, spans: Sequence[tuple[int, int]]) -> NDArray[np.float32]:
        """Share of the last position's attention that falls on spans of tokens.

        Parameters
        ----------
        spans : sequence of (begin, end)
            Places in the whole prompt, the end excluded.

        Returns
        -------
        ndarray of shape (n_layers, n_heads, n_spans)

        Raises
        ------
        ModelError
            If the model does not tell.
        """
        ...

    def close(self) -> None:
        """Free the model. The object cannot be used afterwards."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


def spellings(word: str) -> list[str]:
    """Ways to write a label word: with and without a space before it, as given, lower, upper and title case."""
    cases = dict.fromkeys((word, word.lower(), word.upper(), word.capitalize()))
    return [before + case for before in ("", " ") for case in cases]


def wait_quietly() -> None:
    """Let torch's threads sleep soon while they wait; to be called before torch is imported, which reads it once.

    Threads that wait by turning in circles take the processor from whoever else is at work, first of all from each
    other: on a busy machine a prompt took six times as long (measured). Threads that sleep at once are 5 to 10% slower
    where nobody else is at work, since the next piece of a layer comes within microseconds; so they turn for about a
    tenth of a millisecond first (GNU's OpenMP, the one of Linux). OMP_WAIT_POLICY and GOMP_SPINCOUNT override it.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ["OMP_WAIT_POLICY"] = "PASSIVE"
        os.environ.setdefault("GOMP_SPINCOUNT", "2000")


def open_scorer(
    model: ModelFile,
    *,
    backend: Backend = "auto",
    device: str = "auto",
    dtype: str = "auto",
    threads: int | None = None,
) -> Scorer:
    """Load a model to read labels from. For worker processes: native code may take its process along.

    Parameters
    ----------
    backend : str
        "torch" reads every layer of a folder or of a GGUF file, which is dequantised once and kept; "llama.cpp" reads
        a GGUF file at its last layer only, quantised as it is; "auto" is "torch".
    device : str
        "cpu", "cuda", "mps", or "auto" for the fastest that is there; torch only.
    dtype : str
        "float32", "bfloat16", or "auto": bfloat16 where a short measurement finds it faster; torch only.
    threads : int, optional
        Threads of the processor; its physical cores if not given.

    Raises
    ------
    ModelError
        If the model is gone, has changed, does not fit into memory, or its architecture cannot be read faithfully.
    """
    if backend == "llama.cpp":
        from auditor.models.full_model import FullModelScorer

        return FullModelScorer(model, threads=threads)
    if backend not in {"auto", "torch"}:
        raise ModelError(f"There is no backend named {backend}: choose auto, torch or llama.cpp.")
    wait_quietly()
    from auditor.models.exit_scorer import ExitScorer
    from auditor.models.torch_model import load

    return ExitScorer(load(model, device=device, dtype=dtype, threads=threads))
