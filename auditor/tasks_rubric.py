"""Questions of the desktop about rubrics; see `auditor.tasks`."""

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from auditor.audits import InputFile
from auditor.audits.rating import rubric_store
from auditor.audits.rating.conversation import Conversation, Turn
from auditor.audits.rating.rubric import checked
from auditor.models.library import Library
from auditor.resources import resource

Question = Mapping[str, Any]
Progress = Callable[[int, int, str], None]


def rubric_list(_asked: Question, _progress: Progress) -> Any:
    """Rubrics to choose from: the one that ships, then saved versions, the newest first."""
    found, problems = rubric_store.versions()
    versions = [
        {
            "name": version.name,
            "title": version.title,
            "axes": version.axes,
            "sha256": version.sha256,
            "path": str(version.path),
            "saved": version.saved.timestamp() if version.saved else None,
        }
        for version in found
    ]
    return {"versions": versions, "problems": problems}


def rubric_preview(asked: Question, _progress: Progress) -> Any:
    """The exact prompt of a rubric for one conversation, piece by piece, with token counts by the model's tokenizer."""
    from auditor.audits.rating.prompt_preview import preview
    from auditor.audits.rating.variants import variant
    from auditor.models.vocabulary import Vocabulary

    rubric = checked(asked["rubric"])
    with Vocabulary(Library().get(asked["model"])) as vocabulary:
        found = preview(
            vocabulary,
            rubric,
            _conversation(asked),
            scope=asked["scope"],
            n_ctx=int(asked["n_ctx"]),
            form=variant(asked["variant"]),
        )
    return asdict(found)


def _conversation(asked: Question) -> Conversation:
    """The conversation that was given as (role, text) pairs, else the first sample."""
    from auditor.audits.rating import inputs

    if given := asked.get("conversation"):
        return Conversation("preview", tuple(Turn(role, text) for role, text in given), 1)
    sample = resource("samples", "conversations.jsonl")
    return inputs.conversation_at(InputFile(sample, sample.name, ""), {}, 1)


TASKS = (rubric_list, rubric_preview)
