"""One explanation on demand: the judge's sentence about a score that stands in a finished run.

Loads the model: for worker processes and the children that answer questions, never for the window itself.
"""

from auditor.audits import InputFile
from auditor.audits.rating import inputs as files
from auditor.audits.rating.judge import TALK_TOKENS, Judge, load_scorer
from auditor.audits.rating.rubric import Rubric
from auditor.audits.rating.spec import RatingSpec
from auditor.audits.rating.variants import variant
from auditor.models import ModelFile


def explain(
    spec: RatingSpec, file: InputFile, rubric: Rubric, model: ModelFile, *, n_ctx: int, row: int, axis: str, score: int
) -> str:
    """The judge's sentence after a score: the model's words, not a proved reason.

    The prompt is the run's to the token; what the sentence takes comes on top of the context.

    Parameters
    ----------
    model : ModelFile
        The run's first judge, which is asked with the first variant of the prompt.
    n_ctx : int
        Positions of the context that the run used, tokens.
    score : int
        What that judge found most probable, on the scale of that variant.

    Raises
    ------
    InputError
        If there is no such conversation or axis.
    ModelError
        If the model cannot be used any more.
    """
    conversation = files.conversation_at(file, spec.mapping, row)
    axes = spec.axes or tuple(each.name for each in rubric.axes)
    rubric.axis(axis)
    with load_scorer(model, n_ctx=n_ctx + TALK_TOKENS, explain=True) as scorer:
        judge = Judge(scorer, rubric, axes, scope=spec.scope, n_ctx=n_ctx, form=variant(spec.variants[0]))
        return judge.explain(judge.prepare(conversation), axes.index(axis), score)
