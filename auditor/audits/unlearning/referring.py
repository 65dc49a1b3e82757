"""A model that has never learnt what is to be forgotten, where a person has one: what it says, to compare with."""

from contextlib import closing

from auditor.audits import Context
from auditor.audits.stages import stop_if_asked
from auditor.audits.unlearning.inputs import UnlearningInputs
from auditor.audits.unlearning.material import drawn
from auditor.audits.unlearning.reference import Reference, of_evaluation
from auditor.audits.unlearning.scored import EvaluationSettings
from auditor.audits.unlearning.spec import UnlearningSpec
from auditor.audits.unlearning.template import Template
from auditor.errors import InputError, RunError
from auditor.models.file import ModelFile


def reference_model(spec: UnlearningSpec, context: Context) -> ModelFile | None:
    """The model that was given as reference; None without one, and where nothing is forgotten.

    Raises
    ------
    InputError
        If the run was not given the model that the settings name, or it is the start model.
    """
    if not (spec.reference_model and spec.unlearns):
        return None
    try:
        found = context.model("reference")
    except (KeyError, RunError):
        problem = "The settings name a reference model, but the run was not given it"
        raise InputError(problem, value=spec.reference_model, fix="Hand it over in the role “reference”.") from None
    check_reference(found, context.model("model"))
    return found


def check_reference(found: ModelFile, start: ModelFile) -> None:
    """Refuse a reference that has learnt what is to be forgotten, as far as that can be seen.

    Raises
    ------
    InputError
        If it is the start model.
    """
    if found.sha256 == start.sha256:
        raise InputError(
            "The reference model is the start model: it has learnt what is to be forgotten",
            value=found.name,
            fix="Give a model that was trained without it, or none.",
        )


def referred(model: ModelFile, spec: UnlearningSpec, given: UnlearningInputs, context: Context) -> Reference:
    """Figures of a reference on what is to be forgotten and on what was held out. It is loaded, read and freed."""
    from auditor.audits.unlearning.evaluation import evaluate
    from auditor.models.readable import readable
    from auditor.models.torch_model import load

    def tell(done: int, total: int, message: str) -> None:
        stop_if_asked(context)
        context.progress(done, total, f"{message}, {model.name}")

    context.progress(0, None, f"Checking and loading {model.name}")
    roles = {"forget": given.forget, "holdout": given.holdout}
    sets = {name: drawn(rows, spec.evaluated, name, context.seed) for name, rows in roles.items() if rows}
    loaded = load(model, device=spec.device, dtype=spec.dtype)
    with closing(loaded.words):
        found = evaluate(
            readable(loaded),
            sets,
            template=Template(spec.prompt),
            seed=context.seed,
            settings=EvaluationSettings(max_new_tokens=0, max_tokens=spec.max_tokens, ends_answers=True),
            tell=tell,
        )
    made = of_evaluation(found, f"the model {model.name}")
    return made.model_copy(update={"prompt": spec.prompt, "sha256": model.sha256})
