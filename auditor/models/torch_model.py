"""Loading a model into torch, with everything that could go wrong named. Worker processes only."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from auditor.errors import ModelError, printable
from auditor.models.file import ModelFile
from auditor.models.fit import require
from auditor.models.precision import DTYPES, Precision, device_name, pick_device, pick_precision, use_threads
from auditor.models.readout import Parts, take_apart
from auditor.models.torch_files import Agreement, note_agreement, record_of, weights_folder
from auditor.models.torch_fit import estimate_torch, read_tokens
from auditor.models.words import Words, words_of

#: What the checks at loading read; any text would do.
PROBE = "Decide whether the review is positive or negative.\n\nReview: a warm, funny and moving film.\nAnswer:"
#: Texts on which a GGUF file's next-token probabilities are compared with llama.cpp's. The long ones end where they have
#: been before, some hundred tokens back: that is found by position, so that wrongly turned positions show. (Rotary
#: frequencies of base 10,000 in place of 100,000 move short texts by .1, the first of these by .5.)
_TEXTS = (
    (
        "She opened the door and saw that the garden had changed overnight: the old wall was gone, the roses stood in rows, "
        "and a man she had never seen before was painting the gate green. He looked up, smiled, and said that her "
        "grandmother had asked him to come. Her grandmother had been dead for eleven years, and nobody but the family had "
        "ever known about the gate. Years later, when people asked about that morning, she always began with the same "
        "words: she opened the door and saw that the"
    ),
    (
        "Rooms of the house and what was found in each. Kitchen: a copper kettle. Cellar: nine barrels. Attic: a broken "
        "cradle. Study: letters in French. Hall: one glove. Stable: a saddle without straps. Chapel: two candlesticks. "
        "Garden: the missing key. Nursery: a music box. Library: maps of rivers. Laundry: a torn veil. Pantry: jars of "
        "honey. Again, in the same order. Kitchen: a copper kettle. Cellar: nine barrels. Attic: a broken"
    ),
    PROBE,
)
#: Largest total variation distance that passes (ours): .01 to .07 is what llama.cpp's rounding of activations makes.
MOST_VARIATION = 0.2


@dataclass
class TorchModel:
    """A loaded model.

    Attributes
    ----------
    file : ModelFile
        What it was loaded from.
    module : transformers causal language model
        Evaluating, on `device`.
    words : Words
        Its tokenizer.
    parts : Parts
        Layers, final norm and head.
    device : torch.device
    precision : Precision
    """

    file: ModelFile
    module: Any
    words: Words
    parts: Parts
    device: Any
    precision: Precision

    @property
    def device_name(self) -> str:
        """What computes, in words."""
        return device_name(self.device)

    @property
    def dtype(self) -> Any:
        """The torch type of its weights."""
        return DTYPES[self.precision.dtype]

    @property
    def config(self) -> Any:
        """The configuration of its text part."""
        return self.module.config.get_text_config(decoder=True)


def batch_tokens(device: Any) -> int:
    """Tokens that are computed at once on a device."""
    return read_tokens(device.type)


def load(model: ModelFile, *, device: str = "auto", dtype: str = "auto", threads: int | None = None) -> TorchModel:
    """Load a model, and check that its layers can be read and that nothing was lost on the way.

    Parameters
    ----------
    device : str
        "auto", "cpu", "cuda" or "mps".
    dtype : str
        "auto", "float32" or "bfloat16".
    threads : int, optional
        Threads of the processor; its physical cores if not given.

    Raises
    ------
    ModelError
        If it does not fit, cannot be loaded whole, or its numbers are not those that its file stands for.
    """
    os.environ["HF_HUB_OFFLINE"] = "1"
    use_threads(threads)
    where = pick_device(device)
    precision = pick_precision(model, where, dtype)
    require(
        estimate_torch(
            model,
            dtype_bytes=torch.finfo(DTYPES[precision.dtype]).bits // 8,
            n_tokens=batch_tokens(where),
            free_bytes=free_bytes(where),
            place="on the graphics processor" if where.type == "cuda" else "in memory",
        )
    )
    module = module_of(model, where, DTYPES[precision.dtype])
    words = words_of(model, model.path)
    try:
        parts = take_apart(model, module, words.tokenize(PROBE, begin=True))
        loaded = TorchModel(model, module, words, parts, where, precision)
        if model.format == "gguf":
            _compare_with_llama_cpp(loaded)
    except BaseException:
        words.close()
        raise
    return loaded


def free_bytes(device: Any) -> int:
    """Memory that is free on a device."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    import psutil

    return int(psutil.virtual_memory().available)


def module_of(model: ModelFile, device: Any, dtype: Any) -> Any:
    """The model of transformers, every weight of it from the folder.

    Raises
    ------
    ModelError
        If transformers cannot load it, or weights are missing, of another shape or without a place.
    """
    import transformers

    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    folder = weights_folder(model)
    try:
        module, report = transformers.AutoModelForCausalLM.from_pretrained(
            str(folder),
            dtype=dtype,
            local_files_only=True,
            trust_remote_code=False,
            use_safetensors=True,
            output_loading_info=True,
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError, ImportError, RuntimeError) as error:
        first = (str(error).strip().splitlines() or ["no reason given"])[0]
        raise ModelError(f"{model.name} cannot be loaded by transformers: {first[:300]}") from error
    for problem, words in (
        ("missing_keys", "has no weights for"),
        ("mismatched_keys", "has weights of another shape for"),
        ("unexpected_keys", "has weights that its configuration has no place for:"),
    ):
        if names := sorted(str(name) for name in report.get(problem) or ()):
            raise ModelError(
                f"{model.name} {words} {printable(names[0])}"
                + (f" and {len(names) - 1} more" if names[1:] else "")
                + ": "
                "its numbers would not be the model's. Fetch it again, or choose another model."
            )
    return module.to(device).eval().requires_grad_(False)


def _compare_with_llama_cpp(loaded: TorchModel) -> None:
    """Compare dequantised weights with llama.cpp once a file, and keep what was found."""
    record = record_of(loaded.file)
    if record is not None and record.agreement is not None:
        return
    from auditor.models.llama import ENGINE

    found = require_agreement(loaded)
    note_agreement(loaded.file, Agreement(engine=ENGINE, dtype=loaded.precision.dtype, total_variation=round(found, 4)))


def require_agreement(loaded: TorchModel) -> float:
    """Refuse dequantised weights whose next-token probabilities are not those of the GGUF file.

    Returns
    -------
    float
        Largest total variation distance.

    Raises
    ------
    ModelError
        If it is above `MOST_VARIATION`.
    """
    found = variation(loaded)
    if not found <= MOST_VARIATION:
        raise ModelError(
            f"{loaded.file.name} was dequantised, but its next-token probabilities differ from llama.cpp's by up to "
            f"{found:.0%} (at most {MOST_VARIATION:.0%}): torch does not compute this model as its file means it. "
            "Take its folder of safetensors, or choose the llama.cpp backend."
        )
    return found


def variation(loaded: TorchModel, texts: Sequence[str] = _TEXTS) -> float:
    """Largest total variation distance to llama.cpp's next-token probabilities on the same GGUF file."""
    from auditor.models.llama import LabelScorer

    prompts = [loaded.words.tokenize(text, begin=True) for text in texts]
    ours = [probabilities(own_logits(loaded, prompt)) for prompt in prompts]
    with LabelScorer(loaded.file, n_ctx=512, check=False) as scorer:
        every = range(scorer.n_tokens)
        theirs = [probabilities(scorer.prefill(prompt, every)) for prompt in prompts]
    return max(float(np.abs(a[: len(b)] - b).sum()) / 2 for a, b in zip(ours, theirs, strict=True))


def own_logits(loaded: TorchModel, tokens: Sequence[int]) -> NDArray[np.float32]:
    """The model's own logits of every token at the end of a prompt, shape (n_tokens,)."""
    with torch.inference_mode():
        ids = torch.tensor([list(tokens)], device=loaded.device)
        logits = loaded.module(input_ids=ids, use_cache=False, logits_to_keep=1).logits[0, -1]
    found: NDArray[np.float32] = logits.float().cpu().numpy()
    return found


def probabilities(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    """Softmax of logits of shape (n_tokens,)."""
    exact = np.exp(logits.astype(np.float64) - float(logits.max()))
    return np.asarray(exact / exact.sum())
