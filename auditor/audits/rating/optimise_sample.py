"""Prompts on which a requantised judge is compared with its original: conversations and rubric as a run would ask."""

import numpy as np

from auditor.audits import InputFile
from auditor.audits.rating import inputs as files
from auditor.audits.rating.conversation import Conversation
from auditor.audits.rating.prompt import Prompt, Scope, Tokenizer
from auditor.audits.rating.rubric import Rubric
from auditor.errors import InputError
from auditor.models import ModelFile
from auditor.models.optimise_outcome import PreparedPrompts
from auditor.models.tree import Unit
from auditor.resources import resource

#: Conversations that are drawn from a larger file (ours: about a hundred ratings tell a share within some percent).
MOST = 32


def prepare(
    tokenizer: Tokenizer,
    model: ModelFile,
    rubric: Rubric,
    file: InputFile | None,
    *,
    mapping: dict[str, str] | None = None,
    scope: Scope = "last_response",
    n_ctx: int = 2048,
    most: int = MOST,
    seed: int = 0,
) -> PreparedPrompts:
    """Draw conversations and make the tokens of their prompts on every axis.

    Parameters
    ----------
    tokenizer : Tokenizer
        The model's.
    model : ModelFile
        Its context bounds `n_ctx`.
    rubric : Rubric
        Asked about on every axis.
    file : InputFile or None
        The person's conversations; the sample that ships if None.
    most : int
        Conversations that are drawn, each as likely as any other, in the order of the file.
    seed : int
        Seed of the draw.

    Raises
    ------
    InputError
        If the file cannot be read or holds no conversation.
    ModelError
        If the model cannot be used for rating.
    """
    sample = resource("samples", "conversations.jsonl")
    chosen = file or InputFile(sample, sample.name, "")
    drawn, total = _drawn(chosen, mapping or {}, scope, most, seed)
    if not drawn:
        raise InputError("The file holds no conversation that can be rated", file=chosen.name)
    n_ctx = min(n_ctx, model.context_length or n_ctx)
    axes = tuple(axis.name for axis in rubric.axes)
    prompt = Prompt(tokenizer, rubric, axes, scope=scope, n_ctx=n_ctx, reserve=0)
    suffixes = tuple(np.array(suffix, np.int32) for suffix in prompt.suffixes)
    units = tuple(Unit(np.array(prompt.body(one)[0], np.int32), suffixes) for one in drawn)
    what = "the bundled sample" if file is None else chosen.name
    count = f"{total:,}" if total == len(drawn) else f"{len(drawn):,} of {total:,}"
    return PreparedPrompts(
        prefix=tuple(prompt.prefix),
        units=units,
        axes=axes,
        labels=prompt.labels.ids,
        n_ctx=n_ctx,
        sample=f"{count} conversations of {what}, rubric {rubric.name}",
        is_bundled=file is None,
    )


def _drawn(
    file: InputFile, mapping: dict[str, str], scope: Scope, most: int, seed: int
) -> tuple[list[Conversation], int]:
    """A sample without replacement from a stream (reservoir sampling), and the length of the stream."""
    draw = np.random.default_rng(seed)
    held: list[Conversation] = []
    total = 0
    for conversation in files.conversations(file, mapping, on_bad=lambda _: None, scope=scope):
        total += 1
        if len(held) < most:
            held.append(conversation)
        elif (place := int(draw.integers(total))) < most:
            held[place] = conversation
    return sorted(held, key=lambda one: one.row), total
