"""Prompts from a template, as segments that are tokenised one by one.

A prompt is a prefix (instruction and demonstrations) and a query. Since each segment is tokenised alone, the tokens of
prefix and query are those of the prompt by construction, a demonstration is tokenised once however often it is drawn, and
the place of every shown label is known. Separators and blanks begin a segment and never end one, since that is where
tokenizers cut a text by themselves.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from auditor.audits.guard.spec import GuardSpec
from auditor.audits.guard.task import Demonstration, Task

_TEXT, _LABEL, _LABELS = "{text}", "{label}", "{labels}"


class Tokenize(Protocol):
    """Text to token ids; text is never read for special tokens, `begin` puts the beginning-of-text token in front."""

    def __call__(self, text: str, *, begin: bool) -> list[int]:
        """Token ids of a text."""


@dataclass(frozen=True)
class PromptText:
    """A prompt in segments.

    Attributes
    ----------
    prefix : tuple of str
        Segments of instruction and demonstrations, each demonstration three: before its label (with the separator), the
        label with the blank before it, and behind it.
    query : tuple of str
        Segments of the query (with the separator); the answer follows.
    labels : tuple of int
        Places of the demonstrations' labels among the segments of the prefix, in the order of the demonstrations.
    """

    prefix: tuple[str, ...]
    query: tuple[str, ...]
    labels: tuple[int, ...] = ()

    @property
    def text(self) -> str:
        """The whole prompt as the model sees it."""
        return "".join((*self.prefix, *self.query))


@dataclass(frozen=True)
class Encoded:
    """A prompt in tokens.

    Attributes
    ----------
    prefix, query : tuple of int
        Token ids; the prompt is both, one behind the other.
    labels : tuple of (int, int)
        Begin and end of each demonstration's label among the tokens of the prompt, end excluded.
    """

    prefix: tuple[int, ...]
    query: tuple[int, ...]
    labels: tuple[tuple[int, int], ...] = ()

    def __len__(self) -> int:
        return len(self.prefix) + len(self.query)


@dataclass(frozen=True)
class Template:
    """How a prompt is written; see the fields of `GuardSpec` with the same names."""

    instruction: str
    demonstration: str
    query: str
    separator: str

    @classmethod
    def of(cls, spec: GuardSpec) -> "Template":
        """The template of a spec."""
        return cls(spec.instruction, spec.demonstration, spec.query, spec.separator)

    def prompt(self, task: Task, demonstrations: Sequence[Demonstration], text: str) -> PromptText:
        """The prompt of a query text; without demonstrations it is the zero-shot prompt."""
        prefix = [self.instruction.replace(_LABELS, ", ".join(task.words))] if self.instruction else []
        places = []
        for shown in demonstrations:
            before, label, after = self._written(shown)
            places.append(len(prefix) + 1)
            prefix += [(self.separator if prefix else "") + before, label, after]
        query = (self.separator if prefix else "") + self.query.replace(_TEXT, text)
        return PromptText(tuple(prefix), (query,), tuple(places))

    def zero_shot(self, task: Task, text: str) -> PromptText:
        """The prompt of a query text without demonstrations, with the same instruction."""
        return self.prompt(task, (), text)

    def _written(self, shown: Demonstration) -> tuple[str, str, str]:
        """A demonstration before its label, the label with the blanks before it, and behind it."""
        before, _, after = self.demonstration.partition(_LABEL)
        body = before.rstrip(" ")
        blank = before[len(body) :]
        return body.replace(_TEXT, shown.text), blank + shown.word, after.replace(_TEXT, shown.text)


class Encoder:
    """Prompts to tokens with a model's tokenizer; segments that were seen before are not tokenised again.

    Parameters
    ----------
    tokenize : callable
        As `auditor.models.exits.ExitScorer.tokenize`.
    """

    def __init__(self, tokenize: Tokenize) -> None:
        self._tokenize = tokenize
        self._known: dict[tuple[str, bool], tuple[int, ...]] = {}

    def encode(self, prompt: PromptText) -> Encoded:
        """Tokens of a prompt."""
        segments = list(self._tokens((*prompt.prefix, *prompt.query)))
        ends, end = [], 0
        for tokens in segments:
            end += len(tokens)
            ends.append(end)
        n_prefix = len(prompt.prefix)
        ids = tuple(token for tokens in segments for token in tokens)
        begin_of_query = ends[n_prefix - 1] if n_prefix else 0
        labels = tuple((ends[place - 1] if place else 0, ends[place]) for place in prompt.labels)
        return Encoded(ids[:begin_of_query], ids[begin_of_query:], labels)

    def _tokens(self, segments: Sequence[str]) -> Iterator[tuple[int, ...]]:
        is_first = True
        for segment in segments:
            if not segment and not is_first:
                yield ()
                continue
            key = (segment, is_first)
            if key not in self._known:
                self._known[key] = tuple(self._tokenize(segment, begin=is_first))
            is_first = False
            yield self._known[key]


@dataclass(frozen=True)
class TemplatePreview:
    """What a template gives, to look at before anything runs.

    Attributes
    ----------
    zero_shot, with_demonstrations : str
        Whole prompts of one query.
    n_zero_shot, n_with_demonstrations : int or None
        Their tokens; None where no tokenizer was at hand.
    """

    zero_shot: str
    with_demonstrations: str
    n_zero_shot: int | None
    n_with_demonstrations: int | None


def preview(
    template: Template,
    task: Task,
    demonstrations: Sequence[Demonstration],
    text: str,
    tokenize: Tokenize | None = None,
) -> TemplatePreview:
    """The prompts of one query, with their numbers of tokens if there is a tokenizer."""
    without, with_them = template.zero_shot(task, text), template.prompt(task, demonstrations, text)
    encoder = Encoder(tokenize) if tokenize is not None else None
    return TemplatePreview(
        without.text,
        with_them.text,
        len(encoder.encode(without)) if encoder else None,
        len(encoder.encode(with_them)) if encoder else None,
    )
