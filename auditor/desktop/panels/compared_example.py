"""One example with what the start model and both unlearned models say of it, and how probable its answer is to each."""

from collections.abc import Mapping
from typing import Any, ClassVar

from auditor.audits.unlearning.words import nats, percent
from auditor.desktop.panels.compared_unit import ComparedUnit, RunCard

_KINDS = {"forget": "To forget", "retain": "To keep", "holdout": "Never learnt", "probes": "Probe"}
#: Figure of an answer -> what people call it, and how it is read.
_FIGURES = (
    ("worst", "At worst, no part of it given", percent),
    ("loss", "Loss a token", nats),
    ("rouge", "ROUGE-L recall", percent),
    ("extraction_strength", "Extraction strength", percent),
    ("exact_memorisation", "Exact memorisation", percent),
)


class ModelCard(RunCard):
    """What one unlearned model makes of an answer."""

    def show_row(self, row: Mapping[str, Any] | None, first: Mapping[str, Any] | None) -> None:
        """Show the figures of an example."""
        self.difference.hide()
        if row is None:
            self.numbers.setText("Not measured by this run.")
            return
        lines = [f"Probability a token: {percent(row['start'])} before, {percent(row['probability'])} after"]
        lines += [f"{title}: {words(row[name])}" for name, title, words in _FIGURES if row[name] is not None]
        self.numbers.setText("\n".join(lines))
        if first is not None:
            self.difference.setText(_difference_words(row["probability"], first["probability"]))
            self.difference.show()


def _difference_words(probability: float, of_a: float) -> str:
    if probability == of_a:
        return "= As probable as in A"
    arrow, words = ("▲", "more") if probability > of_a else ("▼", "less")
    return f"{arrow} {words.capitalize()} probable than in A ({percent(of_a)})"


class ComparedExample(ComparedUnit):
    """An example of what was to be forgotten, to be kept, or was never learnt."""

    task: ClassVar[str] = "compared_example"
    of_both: ClassVar[str] = "answers"
    heights: ClassVar[tuple[int, int]] = (430, 360)
    card: ClassVar[type[RunCard]] = ModelCard

    def _question(self, row: Mapping[str, Any]) -> dict[str, str]:
        return {"kind": str(row["kind"])}

    def _named(self, row: Mapping[str, Any]) -> str:
        return f"{_KINDS.get(str(row['kind']), str(row['kind']))}: {row['id']} (row {int(row['row_a']):,})"
