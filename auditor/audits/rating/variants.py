"""Variants of the rating prompt: scale 1-5 or 1-4, with or without rated examples, and another wording.

The paper (arXiv:2511.02044) asks four prompts: both scales, each with and without examples. The texts are ours, and so
are two rules: the four levels are the rubric's five without the middle one, and a score s of the shorter scale counts
as 1 + (s - 1) 4/3.
"""

import tomllib
from dataclasses import dataclass
from typing import Literal

from auditor.audits.rating.rubric import Axis, Rubric
from auditor.errors import InputError
from auditor.resources import resource

VariantName = Literal["5", "4", "5-examples", "4-examples"]
MergeRule = Literal["mean", "median", "majority"]
#: Asks the same in other words; a probe of the judge, never part of its score.
PARAPHRASED = "5-paraphrased"


@dataclass(frozen=True)
class Variant:
    """How the judge is asked.

    Attributes
    ----------
    name : str
        "5", "4", "5-examples", "4-examples" or "5-paraphrased".
    scale : int
        Highest score, 4 or 5.
    has_examples : bool
        Whether rated examples stand in the prompt.
    is_paraphrased : bool
        Whether the instructions are worded differently.
    """

    name: str
    scale: int
    has_examples: bool
    is_paraphrased: bool

    @property
    def scores(self) -> tuple[str, ...]:
        """The scores as they are written."""
        return tuple(str(score) for score in range(1, self.scale + 1))

    def levels(self, axis: Axis) -> tuple[str, ...]:
        """What each score means on an axis."""
        return axis.levels if self.scale == 5 else (*axis.levels[:2], *axis.levels[3:])

    def to_five(self, score: float) -> float:
        """A score of this scale as one from 1 to 5."""
        return 1 + (score - 1) * 4 / (self.scale - 1)


def variant(name: str) -> Variant:
    """The variant of a name."""
    return Variant(name, int(name[0]), name.endswith("-examples"), name == PARAPHRASED)


@dataclass(frozen=True)
class Example:
    """A rated example: its turns as (role, text), and its score of 1, 2, 4 or 5 on each axis."""

    turns: tuple[tuple[str, str], ...]
    scores: dict[str, int]

    def score(self, axis: str, scale: int) -> int:
        """Its score on a scale: without the middle level, 4 and 5 are the 3 and 4 of the shorter one."""
        score = self.scores[axis]
        return score if scale == 5 or score < 3 else score - 1


def examples(rubric: Rubric) -> tuple[Example, ...]:
    """The rated examples that ship.

    Raises
    ------
    InputError
        If the rubric has an axis on which they are not rated.
    """
    raw = tomllib.loads(resource("rubrics", "examples.toml").read_text(encoding="utf-8"))["examples"]
    found = tuple(
        Example(tuple((turn["role"], turn["text"]) for turn in one["turns"]), dict(one["scores"])) for one in raw
    )
    for axis in rubric.axes:
        if any(axis.name not in example.scores for example in found):
            raise InputError(
                "There are no rated examples for this axis",
                column=axis.name,
                fix="Choose the variants 5 or 4, which show none.",
            )
    return found
