"""The work of an unlearning run, stage by stage: measure, bound, train, measure again, write the model down.

The model is loaded when a stage first needs it. Worker processes only.
"""

import gc
import shutil
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any, Literal

from auditor.audits import Context
from auditor.audits.devices import launcher
from auditor.audits.stages import stop_if_asked
from auditor.audits.unlearning import primal_dual
from auditor.audits.unlearning.findings import ExportInfo, TrainingInfo
from auditor.audits.unlearning.inputs import UnlearningInputs
from auditor.audits.unlearning.material import (
    Material,
    check_method,
    drawn,
    longest,
    material,
    method_of,
    spread,
    training_settings,
    with_alternatives,
    workload_of,
)
from auditor.audits.unlearning.measuring import PROBES, Measured, losses, margin, measure
from auditor.audits.unlearning.probing import Prober
from auditor.audits.unlearning.scored import EvaluationSettings
from auditor.audits.unlearning.spec import UnlearningSpec
from auditor.audits.unlearning.stage_results import Bound, GgufExport, TrainingResult, rounding
from auditor.audits.unlearning.template import Template
from auditor.audits.unlearning.together import Task, train_together
from auditor.audits.unlearning.training import Trained, TrainingSettings
from auditor.errors import InputError, ModelError
from auditor.processor import usable_cores

if TYPE_CHECKING:
    from auditor.audits.unlearning.batches import Tokens
    from auditor.audits.unlearning.objectives import Objective
    from auditor.audits.unlearning.reference import Reference
    from auditor.models.trainable import Trainable

#: Names under the run's artefacts.
FOLDER, GGUF = "model", "model.gguf"
#: Rows of this name are flushed by the trainer.
TRAINING = "training"


class Work:
    """Does what a run consists of.

    Parameters
    ----------
    spec : UnlearningSpec
    given : UnlearningInputs
    context : Context

    Attributes
    ----------
    model : ModelFile
        The start model.
    reference : Reference or None
        Figures of a model that has never learnt what is to be forgotten, if there is one.

    Raises
    ------
    InputError
        If the method cannot work on these examples or this model.
    """

    def __init__(self, spec: UnlearningSpec, given: UnlearningInputs, context: Context) -> None:
        self.spec, self.given, self.context = spec, given, context
        self.model = context.model("model")
        self.template = Template(spec.prompt)
        self._learner: Trainable | None = None
        self._is_trained = False
        self.reference: Reference | None = None
        check_method(spec, given, self.model)
        # Where a launcher starts the processes, devices are those of a cluster, which knows how many it has.
        if spec.devices > 1 and not launcher():
            from auditor.models.world import require_devices

            require_devices(spec.devices, spec.device)
        self._require_start_elsewhere()

    def close(self) -> None:
        """Free the model, if it was loaded: what comes after needs its memory."""
        if self._learner is not None:
            self._learner.close()
            self._learner, self._is_trained = None, False
            gc.collect()

    def _require_start_elsewhere(self) -> None:
        """Refuse a start model that lies where this run writes: what is written in its place would delete it."""
        if self.model.path.resolve().is_relative_to(self.context.artefacts.resolve()):
            raise InputError(
                f"The start model {self.model.name} lies among the files that this run writes",
                value=str(self.model.path),
                fix="Run in another folder, or move the model out of this one.",
            )

    # ---- the model and what it is trained on

    @property
    def learner(self) -> "Trainable":
        """The model, loaded when it is first needed."""
        if self._learner is None:
            from auditor.models.make_trainable import trainable

            spec, context = self.spec, self.context
            context.progress(0, None, f"Checking and loading {self.model.name}")
            self._learner = trainable(
                self.model,
                lora_rank=spec.lora_rank or None,
                dtype=spec.dtype,
                device=spec.device,
                gradient_checkpointing=spec.gradient_checkpointing,
                seed=context.seed,
                workload=workload_of(spec, self._longest()),
            )
        return self._learner

    def _longest(self) -> int:
        """Tokens of the longest text, counted before the model is loaded."""
        from auditor.models.words import words_of

        words = words_of(self.model, self.model.path)
        try:
            return longest(self._material(words, None), words, self.spec, self.context.seed)
        finally:
            words.close()

    def _material(self, words: Any, end: int | None) -> Material:
        return material(words, self.given, self.spec, end=end, context_length=self.model.context_length)

    @cached_property
    def end(self) -> int | None:
        """Token that ends an answer."""
        from auditor.models.generation import end_ids

        return next(iter(end_ids(self.learner.model)), None)

    @cached_property
    def material(self) -> Material:
        """What is trained on, as tokens."""
        return self._material(self.learner.model.words, self.end)

    # ---- stages

    def measured(self) -> Measured:
        """Figures of the model as it is now."""
        spec, seed = self.spec, self.context.seed
        roles = {"forget": self.given.forget, "retain": self.given.retain, "holdout": self.given.holdout}
        sets = {role: drawn(rows, spec.evaluated, role, seed) for role, rows in roles.items()}
        sets[PROBES] = drawn(self.given.probes, spec.evaluated, PROBES, seed) if spec.unlearns else ()
        if not spec.unlearns:  # whether it was learnt is told by probabilities alone
            sets = {role: tuple(replace(one, perturbed_answers=()) for one in rows) for role, rows in sets.items()}
        found = measure(
            self.learner,
            sets,
            template=self.template,
            settings=EvaluationSettings(
                max_new_tokens=spec.new_tokens if spec.unlearns else 0, max_tokens=spec.max_tokens, ends_answers=True
            ),
            seed=seed,
            tell=self._tell,
            other_ways=spec.unlearns,
            reference=self.reference,
        )
        if spec.unlearns:
            return found
        return found.model_copy(
            update={"metrics": {n: one for n, one in found.metrics.items() if one.value is not None}}
        )

    def _tell(self, done: int, total: int, message: str) -> None:
        stop_if_asked(self.context)
        self.context.progress(done, total, message)

    def bound(self) -> Bound:
        """Measure the start model's retain loss, and set epsilon and gamma by it."""
        spec, texts = self.spec, self.material
        self.context.progress(0, None, "Measuring the retain loss")
        start = losses(self.learner, texts.retain, spec.batch_size).mean
        device, dtype = self.learner.model.device_name, self.learner.model.precision.dtype
        if not spec.unlearns:
            return Bound(retain_loss=start, epsilon=None, gamma=None, device=device, dtype=dtype)
        epsilon = spec.epsilon if spec.epsilon is not None else primal_dual.propose_epsilon(start)
        is_dual = spec.method == "pdu"
        warnings = primal_dual.check_epsilon(epsilon, start, allow_below=spec.below_start, enforced=is_dual)
        gamma = spec.gamma if is_dual else None
        if gamma is None and is_dual:
            forget = margin(self.learner, texts.forget, spec.batch_size, parity=spec.parity)
            gamma = primal_dual.balanced_gamma(forget, epsilon, spec.lambda_start)
        probed = self._prober(texts)(0)
        return Bound(
            retain_loss=start,
            epsilon=epsilon,
            gamma=gamma,
            # Probed texts may be easier or harder than all: what is allowed is the same rise from the start.
            retain_limit=epsilon + (probed.retain - start),
            n_probed_retain=min(len(texts.retain), spec.probe_examples),
            warnings=warnings,
            device=device,
            dtype=dtype,
        )

    def train(self, bound: Bound) -> TrainingResult:
        """Train, or go on from the last checkpoint."""
        from auditor.audits.unlearning.trainer import train

        spec, context, texts, learner = self.spec, self.context, self.material, self.learner
        method = method_of(spec, bound.epsilon, bound.gamma)
        forget, retain = texts.forget, texts.retain
        if not spec.unlearns:
            forget, retain = (*forget, *retain), ()
        forget = tuple(with_alternatives(forget, learner.model.words, spec, end=self.end, seed=context.seed))
        settings = training_settings(spec, bound.retain_limit)
        probe = self._prober(texts) if spec.unlearns else None
        if spec.devices > 1:
            trained = self._train_together(method, forget, retain, settings, probe)
        else:
            trained = train(learner, method, forget, retain, settings, context, probe, stage=TRAINING)
        info = self._info(trained, bound)
        self._is_trained = True
        # From here on it is the model that is written down, so that every figure after is of what the files hold.
        before = self._forget_probability(probe)
        learner.settle(self._file_type())
        return TrainingResult(
            info=info,
            retain_loss=losses(learner, texts.retain, spec.batch_size).mean,
            state=trained.state,
            warnings=trained.warnings,
            elsewhere=trained.elsewhere,
            rounded=rounding(before, self._forget_probability(probe)),
            device=learner.model.device_name,
            dtype=learner.model.precision.dtype,
        )

    def _train_together(
        self,
        method: "Objective",
        forget: tuple["Tokens", ...],
        retain: tuple["Tokens", ...],
        settings: TrainingSettings,
        probe: Prober | None,
    ) -> Trained:
        """Train in processes with a device each; the model here waits, and takes the weights that came out."""
        from auditor.models.training_state import Checkpoints

        spec, context, learner = self.spec, self.context, self.learner
        task = Task(
            model=self.model,
            lora_rank=learner.lora_rank,
            dtype=learner.model.precision.dtype,
            device=learner.device.type,
            gradient_checkpointing=spec.gradient_checkpointing,
            threads=max(1, usable_cores() // spec.devices),
            workload=workload_of(spec, longest(self.material, learner.model.words, spec, context.seed)),
            method=method.name,
            method_settings=method.settings.model_dump(mode="json"),
            forget=forget,
            retain=retain,
            settings=settings,
            probe_forget=None if probe is None else tuple(probe.forget),
            probe_retain=() if probe is None else tuple(probe.retain),
            seed=context.seed,
            stage=TRAINING,
            folder=context.checkpoints.parent,
        )
        with learner.aside():
            trained = train_together(task, spec.devices, context)
        learner.take(Checkpoints(context.checkpoints / TRAINING).weights(trained.kept_step))
        return trained

    def _file_type(self) -> Literal["float32", "bfloat16"]:
        """Precision of the weights that are written down."""
        is_whole = self.learner.model.precision.dtype == "float32" and not self.spec.unlearns
        return "float32" if is_whole else "bfloat16"

    def _info(self, trained: Trained, bound: Bound) -> TrainingInfo:
        paces = [row.tokens_per_s for row in trained.rows]
        return TrainingInfo(
            steps=trained.steps,
            world_size=len(trained.devices),
            devices=trained.devices,
            accumulation=self.spec.accumulation,
            kept_step=trained.kept_step,
            best_step=trained.best_step,
            lora_rank=self.spec.lora_rank,
            n_probed_retain=bound.n_probed_retain,
            retain_limit=bound.retain_limit,
            trained_weights=sum(weight.numel() for weight in self.learner.parameters),
            weights=self.model.parameters,
            tokens_per_s=median(paces) if paces else None,
            resumed_at=trained.resumed_at,
        )

    @staticmethod
    def _forget_probability(probe: Prober | None) -> float:
        return 0.0 if probe is None else probe.losses()["forget"].probability

    def _prober(self, texts: Material) -> Prober:
        """Measures a few answers with the model as it is."""
        most = self.spec.probe_examples
        # What is forgotten is an answer, as the verdict counts it; epsilon bounds all that was trained on.
        forget = [_without(self.end, text) for text in spread(texts.forget, most)]
        return Prober(self.learner, forget, spread(texts.retain, most), self.spec.batch_size, self.context)

    def _trained(self, bound: Bound) -> "Trainable":
        """The model as training left it; a later process takes it from the last checkpoint."""
        if not self._is_trained:
            self.train(bound)
        return self.learner

    def after(self, bound: Bound) -> Measured:
        """Figures of the model that training left."""
        self._trained(bound)
        return self.measured()

    def export_folder(self, bound: Bound) -> ExportInfo:
        """Write the model down as a folder."""
        from auditor.models.export_folder import export_folder

        learner, target, kind = self._at_rest(bound), self.context.artefacts / FOLDER, self._file_type()
        _clear(target)
        self.context.progress(0, None, "Writing the model, and reading it again")
        made = export_folder(learner, target, kind)
        return ExportInfo(name=_place(target), kind=f"folder, {kind}", sha256=made.sha256, size_bytes=made.size_bytes)

    def export_gguf(self, bound: Bound) -> GgufExport:
        """Write the model down as a GGUF file, where that can be."""
        if not (self.spec.gguf and self.spec.unlearns):
            return GgufExport()
        from auditor.models.export_gguf import MOST_DIFFERENCE, MOST_RELATIVE, export_gguf

        learner, target = self._at_rest(bound), self.context.artefacts / GGUF
        _clear(target)
        self.context.progress(0, None, "Writing the model as GGUF and comparing its logits")
        try:
            written = export_gguf(learner, target, "BF16")
        except ModelError as error:
            return GgufExport(not_made=str(error))
        check = written.check
        made = ExportInfo(
            name=_place(target),
            kind=f"GGUF, {written.kind}",
            sha256=written.file.sha256,
            size_bytes=written.file.size_bytes,
            rms_difference=check.difference,
            relative_difference=check.relative,
            largest_difference=check.largest,
            same_first=check.same_first,
            prompts=check.prompts,
            most_rms=MOST_DIFFERENCE,
            most_relative=MOST_RELATIVE,
        )
        return GgufExport(made=made)

    def _at_rest(self, bound: Bound) -> "Trainable":
        """The model that training left, in main memory: a graphics processor may have no room for what writing takes."""
        learner = self._trained(bound)
        learner.to_processor()
        return learner


def _clear(target: Path) -> None:
    """Remove what a killed process wrote without telling, whole or in part."""
    for found in (target, *target.parent.glob(f"{target.stem}.*.part*")):
        if found.is_dir():
            shutil.rmtree(found, ignore_errors=True)
        else:
            found.unlink(missing_ok=True)


def _without(end: int | None, text: "Tokens") -> "Tokens":
    """A text without the token that ends its answer, where anything is left of that."""
    has_end = text.ids[-1] == end and len(text.ids) - 1 > max(1, text.answer_from)
    return replace(text, ids=text.ids[:-1]) if has_end else text


def _place(path: Path) -> str:
    return f"artefacts/{path.name}"
