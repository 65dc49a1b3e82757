"""Carry out a guard run: read, ask the model, certify a threshold, stress-test it, and write it all down.

What the model is asked is flushed query by query (see `auditor.audits.guard.scoring` and `auditor.audits.stages`), so that an
interrupted run goes on from there and ends with the same findings. The threshold is chosen on the calibration queries
alone; every figure beside it is that of the test queries.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from auditor.audits import Context, InputFile
from auditor.audits.findings import Caution, Provenance, TableInfo
from auditor.audits.guard import inputs as files
from auditor.audits.guard import service, splits, stress, tables
from auditor.audits.guard import verdict as told
from auditor.audits.guard.asking import Asked, Asking, Loaded, loaded
from auditor.audits.guard.certificate import MIXTURE, Shares, shares
from auditor.audits.guard.conditions import CORRECT, ZERO_SHOT
from auditor.audits.guard.early_exit import confidence as confidence_of
from auditor.audits.guard.findings import LIMITATIONS, CertificateInfo, GuardFindings, SplitsInfo
from auditor.audits.guard.inputs import GuardInputs
from auditor.audits.guard.output import Rows
from auditor.audits.guard.parts import certificate_info, label_infos, pools_info, prompt_info, readout_info
from auditor.audits.guard.spec import GuardSpec
from auditor.audits.guard.stress import Measured
from auditor.audits.guard.timing import Timing
from auditor.audits.stages import Stages
from auditor.models.file import ModelFile
from auditor.models.starter import STARTER_WARNING
from auditor.stats.risk_control import Certificate

#: Coverage of the intervals that are shown.
CONFIDENCE = 0.95
Row = dict[str, Any]


@dataclass(frozen=True)
class _Beside:
    """What was measured beside the certificate: rows of tables, and what a reader must know of them."""

    influence: list[Row]
    attention: list[Row]
    timing: Timing | None
    cautions: list[Caution]


def run(spec: GuardSpec, inputs: Mapping[str, InputFile], context: Context) -> GuardFindings:
    """Stress-test demonstrations and certify a guard.

    Parameters
    ----------
    spec : GuardSpec
    inputs : mapping
        Role "queries" and "demonstrations" -> file; "corrupted" for the attack own.
    context : Context
        Its model of the role "model" is asked.

    Raises
    ------
    InputError
        If a file cannot be used, or the model cannot tell the labels apart.
    ModelError
        If the model cannot be used.
    Cancelled
        If a person asked for it; what was scored stays.
    """
    context.progress(0, None, "Reading the files")
    return carry_out(spec, files.read(inputs, spec), context)


def carry_out(spec: GuardSpec, given: GuardInputs, context: Context) -> GuardFindings:
    """The same on inputs that were read already."""
    stages, model = Stages(context), context.model("model")
    if model.is_starter:
        context.warning("starter", STARTER_WARNING)
    for caution in given.cautions:
        context.warning(caution.code, caution.message, caution.count)
    context.progress(0, None, f"Checking and loading {model.name}")
    with loaded(spec, model, stages) as (scorer, how):
        asking = Asking(spec, given, scorer, context, stages)
        asked = asking.ask()
        certificate = asked.certifier.certify(asked.pools.calibration)
        influence, few = asking.influence(asked, confidence=CONFIDENCE)
        attention, no_attention = asking.attention(asked)
        timing, differs = asking.timing(asked, certificate.lambda_hat, certificate.index)
    total = asking.progress.total
    context.progress(total, total, "Making tables and findings")
    beside = _Beside(influence, attention, timing, [*few, *no_attention, *differs])
    return _Conclusion(asked, certificate, beside, context, model, how).findings()


@dataclass(frozen=True, eq=False)
class _Conclusion:
    """From what was asked to tables and findings; the model is not needed any more."""

    asked: Asked
    certificate: Certificate
    beside: _Beside
    context: Context
    model: ModelFile
    how: Loaded

    def findings(self) -> GuardFindings:
        """Save the tables and the predictor, and put the findings together."""
        asked, spec, given = self.asked, self.asked.spec, self.asked.given
        info = certificate_info(asked, self.certificate)
        conditions = stress.condition_rows(
            asked.answers,
            self._measured(test=True),
            self.certificate.index,
            self._mixtures(),
            self._n_corrupted(),
            short=asked.short,
        )
        about = self._quoted(conditions)
        rows, splits_info = self._splits()
        saved = self._tables(conditions, rows)
        self._save_predictor(info)
        answer = told.verdict(info, about, confidence=CONFIDENCE, is_starter=self.model.is_starter)
        return GuardFindings(
            audit="guard",
            verdict=answer,
            n=info.n,
            headline=self._headline(info, about),
            warnings=[*given.cautions, *self._cautions(info, conditions), *self.beside.cautions],
            limitations=list(LIMITATIONS),
            tables=saved,
            provenance=Provenance(device=self.how.device, seed=self.context.seed, settings=self.how.settings),
            state="certified" if answer.state == told.CERTIFIED else "not certified",
            model_name=self.model.name,
            model_sha256=self.model.sha256,
            is_starter=self.model.is_starter,
            backend=self.how.backend,
            device=self.how.device,
            dtype=str(self.how.settings.get("dtype", "")) or self.model.quantisation,
            labels=label_infos(asked),
            prompt=prompt_info(asked),
            readout=readout_info(asked),
            pools=pools_info(asked),
            conditions=(ZERO_SHOT, *asked.answers.by_condition),
            certificate=info,
            splits=splits_info,
            confidence=CONFIDENCE,
            n_influence=max((row["n"] for row in self.beside.influence), default=0),
            n_attention=min(spec.attention_queries, len(asked.pools.test)) if self.beside.attention else 0,
            n_timing=self.beside.timing.n if self.beside.timing else 0,
        )

    def _quoted(self, conditions: list[Row]) -> Row:
        """Whose figures the verdict quotes: those of what is covered; of several conditions, the worst one's."""
        covered = [row for row in conditions if row["condition"] in self.asked.certifier.covered]
        return max(covered, key=lambda row: (row["risk_guarded"], row["risk_unguarded"]))

    def _headline(self, info: CertificateInfo, row: Row) -> Row:
        return {
            "certified": info.certified and info.guaranteed,
            "lambda": info.lambda_hat,
            "epsilon": info.epsilon,
            "delta": info.delta,
            "n_calibration": info.n,
            "risk_guarded": row["risk_guarded"],
            "risk_unguarded": row["risk_unguarded"],
            "accuracy_zero_shot": row["accuracy_zero_shot"],
            "accuracy_unguarded": row["accuracy_unguarded"],
            "accuracy_guarded": row["accuracy_guarded"],
            "mean_exit_layer": row["mean_exit"],
            "layer_passes_ratio": row["layer_passes"],
            "wall_clock_ratio": self.beside.timing.ratio if self.beside.timing else None,
        }

    def _measured(self, *, test: bool) -> Measured:
        pools = self.asked.pools
        places = pools.test if test else pools.calibration
        certifier = self.asked.certifier
        return Measured(places, certifier.unit, CONFIDENCE, self.context.seed, certifier.largest)

    def _n_corrupted(self) -> Mapping[str, NDArray[np.float64]]:
        """Corrupted demonstrations in the prompt of every test query, by condition; 0 for the other queries."""
        asked, prompts = self.asked, self.asked.prompts
        ids, test = [query.id for query in asked.given.queries], asked.pools.test
        found = {condition: np.zeros(len(ids)) for condition in asked.answers.by_condition}
        for condition, counts in found.items():
            if prompts.draw.is_fixed:
                counts[test] = prompts.n_corrupted(condition, ids[0])
            else:
                counts[test] = [prompts.n_corrupted(condition, ids[place]) for place in test.tolist()]
        return found

    def _mixtures(self) -> Mapping[str, tuple[float, Shares]]:
        """The mixture of the certificate, and the further ones."""
        asked, spec = self.asked, self.asked.spec
        ids = [query.id for query in asked.given.queries]
        made = {MIXTURE: (spec.mixture, asked.certifier.mix)}
        for share in spec.more_mixtures:
            if share != spec.mixture:
                made[f"{MIXTURE}:{share:g}"] = (share, shares(spec, ids, share, seed=self.context.seed))
        return made

    def _splits(self) -> tuple[list[Row], SplitsInfo | None]:
        spec, certifier = self.asked.spec, self.asked.certifier
        if not spec.splits:
            return [], None
        queries = self.asked.given.queries
        epsilons = sorted({spec.epsilon, *spec.more_epsilons})
        rows = splits.split_rows(certifier, queries, epsilons)
        published = splits.split_rows(certifier, queries, [spec.epsilon], uncorrected=True)
        info = SplitsInfo(
            n_splits=spec.splits,
            share=spec.calibration_share,
            above=splits.n_above(rows, spec.epsilon),
            above_uncorrected=splits.n_above(published, spec.epsilon),
        )
        return rows, info

    def _tables(self, conditions: list[Row], split_rows: list[Row]) -> list[TableInfo]:
        asked, index = self.asked, self.certificate.index
        rows = Rows(asked.given.task, asked.given.queries, asked.certifier, asked.pools, self.certificate)
        measured = self._measured(test=True)
        sure = confidence_of(asked.answers.q_zero_shot, asked.reading.measure)
        made = {
            "conditions": conditions,
            "layers": list(stress.layer_rows(asked.answers, measured, sure)),
            "risk_curve": list(rows.risk_curve(self._measured(test=False))),
            "exits": list(stress.exit_rows(asked.answers, asked.pools.test, index, asked.certifier.mix)),
            "splits": split_rows,
            "flipped": rows.flipped(),
            "influence": self.beside.influence,
            "attention": self.beside.attention,
            "cost": list(rows.cost(asked.short)),
            "timing": self.beside.timing.rows if self.beside.timing else [],
            "queries": list(rows.every_query()),
        }
        needed = {"conditions", "layers", "risk_curve", "exits", "flipped", "cost", "queries"}
        return [
            tables.save(self.context, name, of_table) for name, of_table in made.items() if of_table or name in needed
        ]

    def _cautions(self, info: CertificateInfo, conditions: list[Row]) -> list[Caution]:
        asked = self.asked
        places, correct = asked.pools.calibration, asked.answers.by_condition[CORRECT]
        truth = asked.answers.truth[places]
        return told.cautions(
            info,
            conditions,
            n_exits=asked.answers.n_exits,
            is_starter=self.model.is_starter,
            n_labels=len(asked.given.task.labels),
            largest_class=float(np.bincount(asked.answers.truth[asked.pools.test]).max() / len(asked.pools.test)),
            plain=float((correct.unguarded[places] == truth).mean()),
            calibrated=float((correct.q[places, -1].argmax(axis=-1) == truth).mean()),
        )

    def _save_predictor(self, info: CertificateInfo) -> None:
        folder = self.context.artefacts / service.FOLDER
        service.save(folder, service.settings_of(self.asked, info, self.model, self.how), self.asked.reading.weight)
