"""One query under one condition with what both guards answered, and the prompts word for word."""

from collections.abc import Mapping
from typing import Any, ClassVar

from auditor.audits.guard.conditions import described
from auditor.desktop.panels.compared_unit import ComparedUnit, RunCard

#: Field of an answer -> what people call it, and the field of the right label's probability, if it is kept.
_WAYS = (
    ("zero_shot", "Zero-shot", "p_zero_shot"),
    ("unguarded", "Unguarded", "p_unguarded"),
    ("guarded", "Guarded", ""),
)
_IN_BRACKETS = (
    "In brackets: probability of the right label; of the guarded answer, the layer that was read, or that the guard fell "
    "back on zero-shot."
)


class AnswerCard(RunCard):
    """What one run answered."""

    def show_row(self, row: Mapping[str, Any] | None, first: Mapping[str, Any] | None) -> None:
        """Show a query's row of the table of queries."""
        self.difference.hide()
        if row is None:
            self.numbers.setText("Not asked under this condition by this run.")
            return
        self.numbers.setText("\n".join(_way_words(row, *way) for way in _WAYS))
        self.numbers.setToolTip(_IN_BRACKETS)
        if first is not None:
            self.difference.setText(_difference_words(row, first))
            self.difference.show()


def _way_words(row: Mapping[str, Any], way: str, title: str, probability: str) -> str:
    mark = "✓ right" if row[way] == row["label"] else "✗ wrong"
    if probability:
        return f"{title}: {row[way]} {mark} ({row[probability]:.3f})"
    return f"{title}: {row[way]} {mark} ({'fell back' if row['exit'] is None else 'layer ' + str(row['exit'])})"


def _difference_words(row: Mapping[str, Any], first: Mapping[str, Any]) -> str:
    if row["guarded"] == first["guarded"]:
        return "= Guarded as A"
    return f"≠ Guarded {row['guarded']} instead of {first['guarded']}"


class ComparedQuery(ComparedUnit):
    """A query under one condition."""

    task: ClassVar[str] = "compared_query"
    of_both: ClassVar[str] = "answers"
    heights: ClassVar[tuple[int, int]] = (400, 390)
    card: ClassVar[type[RunCard]] = AnswerCard

    def _question(self, row: Mapping[str, Any]) -> dict[str, str]:
        return {"condition": str(row["condition"])}

    def _named(self, row: Mapping[str, Any]) -> str:
        return f"{row['query_id']} (row {int(row['row_a']):,}), {described(str(row['condition']))}"
