"""What runs that are ticked do not have in common, said before they are compared."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from auditor.audits.unlearning.compare_settings import differing

Runs = Sequence[Mapping[str, Any]]

#: What makes the instrument of a rating run: field -> what people call it.
_INSTRUMENT = {
    "rubric_sha256": "the rubric",
    "order": "the order of the prompt",
    "scope": "what is rated",
    "variants": "the prompt's variants",
    "merge": "how several scores are merged",
}


def warning(audit: str, runs: Runs) -> str:
    """What a reader of their differences should know; empty where there is nothing.

    Parameters
    ----------
    audit : str
        Name of the audit of all of them.
    runs : sequence of mapping
        As the task `comparable_runs` offers them, A first.
    """
    return _WARNINGS[audit](runs) if len(runs) > 1 else ""


def _rating(runs: Runs) -> str:
    differ = [words for field, words in _INSTRUMENT.items() if len({run[field] for run in runs}) > 1]
    # The room decides what is left out of long conversations; where everything fitted it changes nothing.
    if len({run["n_ctx"] for run in runs}) > 1 and any(run["n_truncated"] for run in runs):
        differ.append("the tokens that a conversation may take")
    if not differ:
        return ""
    verb = "differs" if len(differ) == 1 else "differ"
    return f"Not the same instrument: {_listed(differ)} {verb}. A difference may come from how the judges were asked."


def _guard(runs: Runs) -> str:
    """One thing that differs is what is compared; with more of them nobody knows which it was."""
    first = runs[0]["parts"]
    differ = [words for words in first if any(run["parts"][words] != first[words] for run in runs[1:])]
    if len(differ) < 2:
        return ""
    return f"The runs differ in {_listed(differ)}: no difference can be put down to one of these alone."


def _unlearning(runs: Runs) -> str:
    """Another start model, where nothing can be compared; or several things that differ."""
    first = runs[0]
    if any(run["model_sha256"] != first["model_sha256"] for run in runs[1:]):
        return "The runs begin with different models: they cannot be compared."
    differ = dict.fromkeys(words for run in runs[1:] for words in differing(first["parts"], run["parts"]))
    if len(differ) < 2:
        return ""
    return f"The runs differ in {_listed(list(differ))}: no difference can be put down to one of these alone."


def _listed(items: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(items[:-1]), items[-1])))


_WARNINGS: Mapping[str, Callable[[Runs], str]] = {"rating": _rating, "guard": _guard, "unlearning": _unlearning}
