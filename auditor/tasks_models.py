"""Questions of the desktop about optimising a model file; see `auditor.tasks`."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

Question = Mapping[str, Any]
Progress = Callable[[int, int, str], None]


def models_optimise(asked: Question, progress: Progress) -> Any:
    """Requantise a model for this machine, measure, and keep the fastest file that agrees with the original.

    Asked: name; conversations (path) or nothing for the bundled sample; mapping, scope, n_ctx; rubric (path) or nothing
    for the one that ships; kept_name; least_agreement, near_tie and most_difference (the tolerance).
    """
    from auditor.audits import InputFile
    from auditor.audits.rating import rubric
    from auditor.audits.rating.optimise_sample import prepare
    from auditor.models.library import Library
    from auditor.models.optimise import optimise
    from auditor.models.tolerance import Tolerance
    from auditor.models.vocabulary import Vocabulary

    given = {name: asked[name] for name in Tolerance.model_fields if asked.get(name) is not None}
    tolerance = Tolerance.model_validate(given)
    library = Library()
    model = library.get(asked["name"])
    kept_name = asked.get("kept_name") or f"{model.name}-optimised"
    library.refuse_name(kept_name)
    path = Path(asked["conversations"]) if asked.get("conversations") else None
    file = InputFile(path, path.name, "") if path else None
    chosen = rubric.load(Path(asked["rubric"]) if asked.get("rubric") else None)
    options = {name: asked[name] for name in ("mapping", "scope", "n_ctx") if asked.get(name)}
    with Vocabulary(model) as vocabulary:
        prompts = prepare(vocabulary, model, chosen, file, **options)
    found = optimise(model, prompts, name=kept_name, tolerance=tolerance, library=library, progress=progress)
    return found.model_dump(mode="json")


TASKS: tuple[Callable[[Question, Progress], Any], ...] = (models_optimise,)
