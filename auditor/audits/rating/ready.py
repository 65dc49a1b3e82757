"""What can be known before the first rating is found out before it: a fault after hours of rating costs the hours."""

from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet

from auditor.audits.rating.conversation import Conversation
from auditor.audits.rating.judge import TALK_TOKENS
from auditor.audits.rating.labels import UnitIndex
from auditor.audits.rating.pairs import PairPrompt
from auditor.audits.rating.prompt import Prompt
from auditor.audits.rating.rubric import Rubric
from auditor.audits.rating.spec import RatingSpec
from auditor.audits.rating.variants import variant
from auditor.models import ModelFile

#: Ids that a sentence about a file of other ids names.
_SOME = 3


def counted(conversations: Iterable[Conversation], ids: AbstractSet[str]) -> tuple[int, UnitIndex]:
    """How many conversations there are, and the rows of those with one of some ids, and of the first three.

    Parameters
    ----------
    ids : set of str
        Ids, or row-1, row-2 and so on.
    """
    rows, by_id = set[int](), dict[str, list[int]]()
    n = 0
    for one in conversations:
        n += 1
        if n <= _SOME or one.id in ids:
            by_id.setdefault(one.id, []).append(one.row)
        if f"row-{one.row}" in ids:
            rows.add(one.row)
    return n, UnitIndex(frozenset(rows), by_id)


def require_usable(
    models: Sequence[ModelFile], rubric: Rubric, axes: Sequence[str], spec: RatingSpec, *, n_ctx: int
) -> None:
    """Refuse judges that would fail after those before them have rated.

    Raises
    ------
    ModelError
        If a model does not fit into memory, has changed, cannot be asked this way, or has no room for a conversation
        beside a prompt.
    InputError
        If examples are asked for that do not exist.
    """
    from auditor.models.fit import estimate, require
    from auditor.models.identity import require_unchanged
    from auditor.models.vocabulary import Vocabulary

    talk = TALK_TOKENS if spec.explain == "all" else 0
    for place, model in enumerate(models):
        require(estimate(model, n_ctx=n_ctx + talk, talk=talk))
        if place:
            # The first is hashed when it is loaded, which comes next.
            require_unchanged(model)
        with Vocabulary(model) as vocabulary:
            for name in spec.variants:
                Prompt(vocabulary, rubric, axes, scope=spec.scope, n_ctx=n_ctx, reserve=0, form=variant(name))
            if place == 0 and spec.order_probe:
                PairPrompt(vocabulary)
