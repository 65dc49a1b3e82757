"""One explanation on demand: the judge's sentence for a conversation and an axis of a finished run.

Loads the model: for worker processes and the children that answer questions, never for the window itself.
"""

from auditor.audits import InputFile
from auditor.audits.rating import inputs as files
from auditor.audits.rating.judge import Judge, load_scorer
from auditor.audits.rating.rubric import Rubric
from auditor.audits.rating.spec import RatingSpec
from auditor.audits.rating.variants import variant
from auditor.errors import InputError
from auditor.models import ModelFile


def explain(spec: RatingSpec, file: InputFile, rubric: Rubric, model: ModelFile, row: int, axis: str) -> str:
    """The judge's sentence after its most probable score: the model's words, not a proved reason.

    Of an ensemble the first judge is asked, with the first variant of the prompt.

    Raises
    ------
    InputError
        If there is no such conversation or axis.
    ModelError
        If the model cannot be used any more.
    """
    conversation = files.conversation_at(file, spec.mapping, row)
    n_ctx = min(spec.n_ctx, model.context_length or spec.n_ctx)
    with load_scorer(model, n_ctx=n_ctx, explain=True) as scorer:
        judge = Judge(
            scorer, rubric, [axis], scope=spec.scope, n_ctx=n_ctx, form=variant(spec.variants[0]), explain=True
        )
        layout = judge.layout([judge.prepare(conversation)], [[0]])
        for batch in judge.score(layout):
            for scored in batch:
                return scored.explanation or ""
    raise InputError("The judge gave no explanation", file=file.name, row=row)
