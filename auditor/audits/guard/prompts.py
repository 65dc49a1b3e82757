"""The prompt of every query under every condition, in tokens."""

from collections.abc import Sequence
from dataclasses import dataclass

from auditor.audits.guard.attacks import Material, corrupted
from auditor.audits.guard.conditions import ZERO_SHOT
from auditor.audits.guard.pools import Draw
from auditor.audits.guard.task import Demonstration, Example, Task
from auditor.audits.guard.template import Encoded, Encoder, PromptText, Template


@dataclass(frozen=True)
class Prompts:
    """Makes prompts.

    Attributes
    ----------
    task : Task
    template : Template
    encoder : Encoder
    draw : Draw
        Of the demonstrations of a query.
    material : Material
        What attacks draw on beside them.
    seed : int
    """

    task: Task
    template: Template
    encoder: Encoder
    draw: Draw
    material: Material
    seed: int

    def demonstrations(self, condition: str, query_id: str) -> tuple[Demonstration, ...]:
        """What stands before a query under a condition; nothing under zero-shot."""
        if condition == ZERO_SHOT:
            return ()
        return corrupted(
            self.draw.demonstrations(query_id),
            condition,
            self.task,
            seed=self.seed,
            query_id=self.draw.key(query_id),
            material=self.material,
        )

    def n_corrupted(self, condition: str, query_id: str) -> int:
        """How many of the demonstrations before a query are corrupted under a condition."""
        return sum(shown.corrupted for shown in self.demonstrations(condition, query_id))

    def text(self, condition: str, query: Example) -> PromptText:
        """The prompt of a query, in segments."""
        return self.template.prompt(self.task, self.demonstrations(condition, query.id), query.text)

    def encoded(self, condition: str, query: Example) -> Encoded:
        """The prompt of a query, in tokens."""
        return self.encoder.encode(self.text(condition, query))

    def with_demonstrations(self, demonstrations: Sequence[Demonstration], text: str) -> Encoded:
        """The prompt of a text with these demonstrations, in tokens."""
        return self.encoder.encode(self.template.prompt(self.task, demonstrations, text))
