"""Carry out an unlearning run: read, measure, bound, train, measure again, write the model down, open it again, and tell it all.

Every stage is done once (see `auditor.audits.stages`), and training goes on from its latest checkpoint, so that an interrupted
run ends with the same findings. The model is loaded only where a stage still needs it.
"""

import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from auditor.audits import Context, InputFile
from auditor.audits.findings import Caution, Provenance, TableInfo
from auditor.audits.stages import Stages
from auditor.audits.unlearning import inputs as files
from auditor.audits.unlearning import output, tables
from auditor.audits.unlearning import verdict as told
from auditor.audits.unlearning.cautions import before_training
from auditor.audits.unlearning.cautions import cautions as cautions_of
from auditor.audits.unlearning.curves import DATA, Curves, Which
from auditor.audits.unlearning.findings import (
    LIMITATIONS,
    ConstraintInfo,
    DataInfo,
    ExportInfo,
    FileFigures,
    Relearning,
    UnlearningFindings,
)
from auditor.audits.unlearning.inputs import UnlearningInputs
from auditor.audits.unlearning.measuring import Measured
from auditor.audits.unlearning.probing import TRACE
from auditor.audits.unlearning.reference import Reference
from auditor.audits.unlearning.reference_log import other_format
from auditor.audits.unlearning.referring import reference_model, referred
from auditor.audits.unlearning.room import require_room
from auditor.audits.unlearning.spec import BASELINES, UnlearningSpec
from auditor.audits.unlearning.stage_results import Bound, Evidence, Exports, GgufExport, Quantised, TrainingResult
from auditor.audits.unlearning.survivors import survivors
from auditor.audits.unlearning.training import StepRow
from auditor.audits.unlearning.work import TRAINING, Work
from auditor.audits.unlearning.written import Written, opened
from auditor.models.starter import STARTER_WARNING

if TYPE_CHECKING:
    from auditor.models.file import ModelFile


def run(spec: UnlearningSpec, inputs: Mapping[str, InputFile], context: Context) -> UnlearningFindings:
    """Make a model forget, and measure what it still knows.

    Parameters
    ----------
    spec : UnlearningSpec
    inputs : mapping
        Role "forget" and "retain" -> file; "holdout", "probes" and "reference" (a log) where there are such.
    context : Context
        Its model of the role "model" is the start model, which is not changed.

    Raises
    ------
    InputError
        If a file cannot be used, or epsilon is one that the start model does not keep itself.
    ModelError
        If the model cannot be used.
    Cancelled
        If a person asked for it; what was done stays.
    """
    context.progress(0, None, "Reading the files")
    return _Run(spec, files.read(inputs, spec), context).findings()


class _Run:
    def __init__(self, spec: UnlearningSpec, given: UnlearningInputs, context: Context) -> None:
        self.spec, self.given, self.context = spec, given, context
        self.work = Work(spec, given, context)
        self.model = self.work.model
        self.reference = reference_model(spec, context)

    def findings(self) -> UnlearningFindings:
        """Do what is not done yet, and put the findings together."""
        context = self.context
        if self.model.is_starter:
            context.warning("starter", STARTER_WARNING)
        for caution in (*self.given.cautions, *before_training(self.spec, len(self.given.forget))):
            context.warning(caution.code, caution.message, caution.count)
        stages, work = Stages(context), self.work
        if not stages.is_done("trained"):
            require_room(self.spec, self.model, context)
        work.reference = self.given.reference
        if (reference := self.reference) is not None:
            # Read before the start model is loaded, so that memory holds one of them.
            work.reference = stages.once(
                "reference", Reference, lambda: referred(reference, self.spec, self.given, context)
            )
        try:
            data = stages.once("data", DataInfo, lambda: work.material.info(self.given))
            before = stages.once("before", Measured, work.measured)
            bound = stages.once("bound", Bound, work.bound)
            for message in bound.warnings:
                context.warning("epsilon", message)
            training = stages.once("trained", TrainingResult, lambda: work.train(bound))
            after = stages.once("after", Measured, lambda: work.after(bound))
            folder = stages.once("folder", ExportInfo, lambda: work.export_folder(bound))
            gguf = stages.once("gguf", GgufExport, lambda: work.export_gguf(bound))
        finally:
            work.close()
        # Nothing will go on from the checkpoints any more: all stages of the model that was trained are flushed.
        shutil.rmtree(context.checkpoints / TRAINING, ignore_errors=True)
        exports, evidence = self._opened_again(stages, training, Exports(folder, gguf))
        context.progress(1, 1, "Making tables and findings")
        return self._concluded(data, before, bound, training, after, exports, evidence)

    def _opened_again(self, stages: Stages, training: TrainingResult, exports: Exports) -> tuple[Exports, Evidence]:
        """Quantise what was written, measure every file, and train copies again."""
        spec, given, context = self.spec, self.given, self.context
        if not spec.unlearns:
            return exports, Evidence()
        written = Written(spec, given, context)
        quantised = stages.once("quantised", Quantised, lambda: written.quantised(exports.gguf.made))
        exports = replace(exports, quantised=quantised)
        files = [
            stages.once(f"file {made.name}", FileFigures, partial(written.figures, made, training.dtype))
            for made in exports.made
        ]
        relearning = []
        if spec.relearn_steps:
            curves = Curves(spec, given, context, training.dtype)
            models: dict[Which, Callable[[], ModelFile]] = {"unlearned": lambda: opened(context, exports.folder)}
            if (reference := self.reference) is not None:
                models["reference"] = lambda: reference
            relearning = [
                stages.once(f"relearning {which} {data}", Relearning, partial(curves.curve, which, file, data))
                for which, file in models.items()
                for data in DATA
            ]
        return exports, Evidence(tuple(files), tuple(relearning))

    # ---- findings

    def _concluded(
        self,
        data: DataInfo,
        before: Measured,
        bound: Bound,
        training: TrainingResult,
        after: Measured,
        exports: Exports,
        evidence: Evidence,
    ) -> UnlearningFindings:
        spec = self.spec
        constraint = self._constraint(bound, training)
        outcome = told.Outcome(
            before=before.metrics,
            after=after.metrics,
            constraint=constraint,
            most_probability=spec.most_probability,
            most_lost=spec.most_lost,
            is_starter=self.model.is_starter,
            survivors=survivors(after.examples, after.other_ways, spec.most_probability) if spec.unlearns else None,
            data=data,
            has_chat_template=self.model.has_chat_template,
            dtype=training.dtype,
            files=evidence.files,
            relearning=evidence.relearning,
        )
        answer = told.verdict(outcome)
        cautions = [
            *self.given.cautions,
            *(Caution(code="epsilon", message=message) for message in bound.warnings),
            *cautions_of(outcome, training.info, training.warnings),
            *_of_surroundings(before, bound, training, after),
            *self._of_log(after),
            *_of_exports(exports, data),
        ]
        return UnlearningFindings(
            audit="unlearning",
            verdict=answer,
            n=data.n_forget + data.n_retain,
            headline=self._headline(bound, constraint, before, after, training, exports),
            warnings=cautions,
            limitations=list(LIMITATIONS),
            tables=self._tables(bound, before, after, exports, evidence),
            provenance=Provenance(
                device=training.device, seed=self.context.seed, settings=self._surroundings(training)
            ),
            state=told.state_of(outcome),
            method=spec.method,
            method_settings=spec.baseline_settings.model_dump() if spec.method in BASELINES else {},
            model_name=self.model.name,
            model_sha256=self.model.sha256,
            is_starter=self.model.is_starter,
            device=training.device,
            dtype=training.dtype,
            prompt=spec.prompt,
            new_tokens=spec.new_tokens,
            most_probability=spec.most_probability,
            most_lost=spec.most_lost,
            data=data,
            constraint=constraint,
            training=training.info,
            before=before.metrics,
            after=after.metrics,
            exports=exports.made,
            not_exported=exports.gguf.not_made,
            not_quantised=exports.quantised.not_made,
            files=evidence.files,
            relearning=evidence.relearning,
            reference_name=self.reference.name if self.reference else "",
            reference_sha256=self.reference.sha256 if self.reference else "",
            reference_log=self.given.reference.source if self.given.reference else "",
            reference_log_model=(self.given.reference.sha256 or "") if self.given.reference else "",
        )

    def _of_log(self, after: Measured) -> list[Caution]:
        """Where a log of a reference was computed in another format than "auto" turned out to be."""
        log = self.given.reference
        return other_format(log, after.dtype) if log is not None and self.spec.dtype == "auto" else []

    def _constraint(self, bound: Bound, training: TrainingResult) -> ConstraintInfo | None:
        if bound.epsilon is None:
            return None
        is_dual = self.spec.method == "pdu"
        return ConstraintInfo(
            epsilon=bound.epsilon,
            measured=self.spec.epsilon is None,
            retain_loss_before=bound.retain_loss,
            retain_loss_after=training.retain_loss,
            feasible=training.retain_loss <= bound.epsilon,
            lambda_start=self.spec.lambda_start if is_dual else None,
            lambda_final=training.state.get("lambda"),
            gamma=bound.gamma,
            gamma_balanced=is_dual and self.spec.gamma is None,
            **(self._dual(training) if is_dual else {}),
        )

    def _dual(self, training: TrainingResult) -> dict[str, Any]:
        """How the dual variable was asked to move, and how often it did."""
        spec = self.spec
        return {
            "parity": spec.parity,
            "dual_step": spec.dual_step,
            "dual_updates": spec.dual_updates,
            "dual_warmup_epochs": spec.dual_warmup_epochs,
            "lambda_cap": spec.lambda_cap,
            "n_dual_updates": int(training.state["dual_updates"]),
            "n_steps_led": int(training.state["steps_led"]),
        }

    def _headline(
        self,
        bound: Bound,
        constraint: ConstraintInfo | None,
        before: Measured,
        after: Measured,
        training: TrainingResult,
        exports: Exports,
    ) -> dict[str, Any]:
        def value(measured: Measured, name: str) -> float | None:
            return measured.metrics[name].value

        return {
            "method": self.spec.method,
            "epsilon": constraint.epsilon if constraint else None,
            "lambda_final": constraint.lambda_final if constraint else None,
            "retain_loss_before": bound.retain_loss,
            "retain_loss_after": training.retain_loss,
            "feasible": constraint.feasible if constraint else None,
            "forget_probability_before": value(before, "forget_answer_probability"),
            "forget_probability_after": value(after, "forget_answer_probability"),
            "retain_probability_before": value(before, "retain_answer_probability"),
            "retain_probability_after": value(after, "retain_answer_probability"),
            "extraction_strength": value(after, "extraction_strength"),
            "artefacts": [made.name for made in exports.made],
        }

    def _tables(
        self, bound: Bound, before: Measured, after: Measured, exports: Exports, evidence: Evidence
    ) -> list[TableInfo]:
        made = {
            "metrics": list(output.metric_rows(before.metrics, after.metrics)),
            "training": list(output.training_rows(self._steps(), bound.epsilon)),
            "trace": [{**row, "epsilon": bound.epsilon} for row in self._latest(TRACE)],
            "examples": output.example_rows(before, after),
            "other_ways": output.other_way_rows(before, after),
            "overlaps": list(output.overlap_rows(self.given.overlaps)),
            "exports": list(output.export_rows(exports.made)),
            "files": list(output.file_rows(evidence.files, self.spec.most_probability, told.asked_in(after.metrics))),
            "relearning": list(output.relearning_rows(evidence.relearning)),
        }
        needed = {"metrics", "training", "examples", "exports"}
        return [
            tables.save(self.context, name, rows, new_tokens=self.spec.new_tokens)
            for name, rows in made.items()
            if rows or name in needed
        ]

    def _steps(self) -> list[StepRow]:
        return [StepRow.model_validate(row) for row in self._latest(TRAINING)]

    def _latest(self, table: str) -> list[dict[str, Any]]:
        """One row a step: steps that were taken again after a kill have several, of which the last one counts."""
        found = {int(row["step"]): row for row in self.context.rows(table)}
        return [found[step] for step in sorted(found)]

    def _surroundings(self, training: TrainingResult) -> dict[str, Any]:
        """What results depend on beside the settings."""
        return {
            "dtype": training.dtype,
            "world_size": training.info.world_size,
            "accumulation": self.spec.accumulation,
            "trained_weights": training.info.trained_weights,
            "resumed_at_steps": list(training.info.resumed_at),
        }


def _of_surroundings(before: Measured, bound: Bound, training: TrainingResult, after: Measured) -> list[Caution]:
    """Where parts of a run that are compared with each other were computed in different ways."""
    found = [Caution(code="resumed-elsewhere", message=message) for message in training.elsewhere]
    if training.rounded:
        found.append(Caution(code="rounded", message=training.rounded))
    ways = {
        "before": f"{before.dtype} on {before.device}",
        "epsilon": f"{bound.dtype} on {bound.device}",
        "training": f"{training.dtype} on {training.device}",
        "after": f"{after.dtype} on {after.device}",
    }
    if len(set(ways.values())) > 1:
        told = "; ".join(f"{name} in {way}" for name, way in ways.items())
        message = (
            f"Figures that stand beside each other were computed in different ways ({told}), since the run went on in other "
            "surroundings: differences of some hundredths may come from that alone. Run it again in one place."
        )
        found.append(Caution(code="measured-elsewhere", message=message))
    return found


def _of_exports(exports: Exports, data: DataInfo) -> list[Caution]:
    found = []
    if exports.gguf.not_made:
        message = f"There is no GGUF file of the model, and so no quantised ones either. {exports.gguf.not_made}"
        found.append(Caution(code="no_gguf", message=message))
    found += [Caution(code="not_quantised", message=message) for message in exports.quantised.not_made]
    if data.cut:
        message = f"Answers that were cut at the longest example: {data.cut:,}. What lies behind was neither forgotten nor kept."
        found.append(Caution(code="cut", message=message, count=data.cut))
    return found
