"""The loop that trains: to learn and to unlearn, with every objective. Worker processes only.

A step takes as many batches of examples to forget, and as many of examples to keep, as gradients are accumulated over.
An epoch sees every example to forget once, in an order drawn anew; examples to keep go by in an order of their own, drawn
anew whenever all have been seen. Both are functions of the seed and the step alone, so that nothing of them needs to be
kept. A checkpoint holds weights, moments, the objective's state and torch's random states: a process that goes on from
it computes, on a processor with as many threads, the same bits as one that was never stopped.
"""

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from math import isfinite
from typing import Any

import torch

from auditor.audits import Context
from auditor.audits.stages import stop_if_asked
from auditor.audits.unlearning.batches import Batch, Tokens, collate, order
from auditor.audits.unlearning.objectives import Objective, StepLosses
from auditor.audits.unlearning.training import Probe, StepRow, Trained, TrainingSettings
from auditor.errors import Cancelled, ModelError, RunError
from auditor.files import sha256_of_json
from auditor.models.optimiser import AdamSettings, Optimiser
from auditor.models.trainable import Trainable
from auditor.models.training_state import KEPT, Checkpoints, Saved, random_states, restore_random

Prober = Callable[[int], Probe | None]
#: Examples to keep are drawn with a seed of their own, so that their order is not that of the examples to forget.
_RETAIN_SEED = 1_000_003
_PAD = 0
#: Between two checkpoints, where no number of steps is asked for: what a kill may cost.
_CHECKPOINT_SECONDS = 120.0


def train(
    learner: Trainable,
    objective: Objective,
    forget: Sequence[Tokens],
    retain: Sequence[Tokens],
    settings: TrainingSettings,
    context: Context,
    probe: Prober | None = None,
    *,
    stage: str = "training",
) -> Trained:
    """Train a model, or go on where an earlier process was stopped.

    Parameters
    ----------
    learner : Trainable
        As it is before the first step, also where a training goes on.
    objective : Objective
    forget : sequence of Tokens
        What an epoch goes through; when learning, what is learnt.
    retain : sequence of Tokens
        What is kept; may be empty.
    settings : TrainingSettings
    context : Context
        Its seed decides every order; rows go to the table named by `stage`, checkpoints to a folder of that name.
    probe : callable, optional
        Called with the number of steps taken, the model in its weights after them; tells what it found or None.
    stage : str
        Of several trainings in a run.

    Returns
    -------
    Trained

    Raises
    ------
    Cancelled
        If a person asked for it; a checkpoint was written.
    ModelError
        If a loss or a gradient is no number, no gradient reaches the weights, or the disk has no room.
    RunError
        If the checkpoints are of another training.
    """
    if not forget:
        raise ValueError("there is nothing to train on")
    return _Training(learner, objective, forget, retain, settings, context, probe, stage).run()


class _Training:
    def __init__(
        self,
        learner: Trainable,
        objective: Objective,
        forget: Sequence[Tokens],
        retain: Sequence[Tokens],
        settings: TrainingSettings,
        context: Context,
        probe: Prober | None,
        stage: str,
    ) -> None:
        self._learner, self._objective, self._forget, self._retain = learner, objective, forget, retain
        self._settings, self._context, self._probe, self._stage = settings, context, probe, stage
        self._per_epoch = settings.steps_per_epoch(len(forget))
        self._total = settings.epochs * self._per_epoch
        adam = AdamSettings(weight_decay=settings.weight_decay)
        self._optimiser = Optimiser(learner.named, adam)
        self._checkpoints = Checkpoints(context.checkpoints / stage)
        self._best: tuple[int, Probe] | None = None
        self._saved_bests: list[int] = []
        self._resumed_at: tuple[int, ...] = ()
        self._elsewhere: tuple[str, ...] = ()
        self._written, self._saved_at = -1, time.monotonic()

    def run(self) -> Trained:
        if self._objective.needs_reference:
            self._learner.hold_reference()
        self._identity = self._fingerprint()
        torch.manual_seed(self._context.seed)
        step = self._resume()
        self._context.progress(step, self._total, self._message(step))
        while step < self._total:
            self._stop_if_asked(step)
            row = self._step(step)
            step += 1
            self._tell(row)
            self._probed(step)
            if step == self._total or self._is_due(step):
                self._save(step)
        return self._ended()

    # ---- one step

    def _step(self, step: int) -> StepRow:
        """Step number `step`, from 0."""
        begun = time.perf_counter()
        epoch, within = divmod(step, self._per_epoch)
        pairs = list(self._batches(epoch, within))
        n_tokens = 0
        losses: list[StepLosses] = []
        with self._learner.training():
            for forget, retain in pairs:
                losses.append(self._objective.backward(self._learner, forget, retain, 1 / len(pairs)))
                n_tokens += forget.n_tokens + (retain.n_tokens if retain is not None else 0)
        mean = StepLosses(_mean([found.forget for found in losses]), _mean_of_known([found.retain for found in losses]))
        self._check(mean, step)
        rate = self._settings.rate(step, self._per_epoch)
        norm = self._optimiser.step(rate, self._settings.max_gradient_norm)
        if step == 0 and norm == 0:
            raise ModelError(
                f"No gradient reaches the trained weights of {self._learner.model.file.name}: they would stay as they are."
            )
        self._objective.after_step(mean, epoch, within == self._per_epoch - 1)
        return StepRow(
            step=step + 1,
            epoch=epoch + 1,
            forget_loss=mean.forget,
            retain_loss=mean.retain,
            state=self._objective.state(),
            learning_rate=rate,
            gradient_norm=norm,
            tokens_per_s=n_tokens / (time.perf_counter() - begun),
        )

    def _batches(self, epoch: int, within: int) -> Iterator[tuple[Batch, Batch | None]]:
        """The batches of a step: to forget, and to keep."""
        size, accumulated = self._settings.batch_size, self._settings.accumulation
        sequence = order(len(self._forget), epoch, self._context.seed)
        n_batches = -(-len(self._forget) // size)
        begin = within * accumulated
        for place in range(begin, min(begin + accumulated, n_batches)):
            forget = [self._forget[index] for index in sequence[place * size : (place + 1) * size]]
            retain = self._kept((epoch * n_batches + place) * size, size)
            yield self._batch(forget), self._batch(retain) if retain else None

    def _batch(self, tokens: Sequence[Tokens]) -> Batch:
        return collate(tokens, _PAD).to(self._learner.device)

    def _kept(self, begin: int, size: int) -> list[Tokens]:
        """Examples to keep, from a place in the endless sequence of all of them again and again."""
        n, orders, found = len(self._retain), dict[int, Any](), list[Tokens]()
        for place in range(begin, begin + size if n else begin):
            time_through, index = divmod(place, n)
            if time_through not in orders:
                orders[time_through] = order(n, time_through, self._context.seed + _RETAIN_SEED)
            found.append(self._retain[orders[time_through][index]])
        return found

    def _check(self, losses: StepLosses, step: int) -> None:
        for name, value in (("forget", losses.forget), ("retain", losses.retain)):
            if value is not None and not isfinite(value):
                raise ModelError(
                    f"The {name} loss is no number any more at step {step + 1:,}: the training has run away. Use a lower "
                    "learning rate, or clip gradients."
                )

    # ---- what is told and probed

    def _tell(self, row: StepRow) -> None:
        told = {
            "forget_loss": row.forget_loss,
            "retain_loss": row.retain_loss,
            "lambda": row.state.get("lambda"),
            "learning_rate": row.learning_rate,
            "tokens_per_s": row.tokens_per_s,
        }
        for name, value in told.items():
            if value is not None:
                self._context.metric(name, value, row.step)
        self._context.row(self._stage, row.model_dump(mode="json"))
        self._context.progress(row.step, self._total, self._message(row.step))

    def _message(self, step: int) -> str:
        epoch = min(step // self._per_epoch, self._settings.epochs - 1) + 1
        return f"epoch {epoch:,} of {self._settings.epochs:,}"

    def _probed(self, step: int) -> None:
        if self._probe is None:
            return
        if step != self._total and step % (self._settings.probe_every or self._per_epoch) != 0:
            return
        before = random_states(self._learner.device)
        found = self._probe(step)
        # Whether and how somebody looks must not change what is trained.
        restore_random(before, self._learner.device)
        limit = self._settings.retain_limit
        if found is None or limit is None or not found.retain <= limit:
            return
        if self._best is None or found.forget < self._best[1].forget:
            self._best = (step, found)
            if self._settings.keep == "best":
                self._checkpoints.write_best(step, self._optimiser.weights())

    # ---- checkpoints

    def _stop_if_asked(self, step: int) -> None:
        try:
            stop_if_asked(self._context)
        except Cancelled:
            if step not in (0, self._written):
                self._save(step)
            raise

    def _is_due(self, step: int) -> bool:
        """Whether it is time for a checkpoint. When one is written changes nothing of what is trained."""
        every = self._settings.checkpoint_every
        return step % every == 0 if every else time.monotonic() - self._saved_at >= _CHECKPOINT_SECONDS

    def _save(self, step: int) -> None:
        best = None if self._best is None else [self._best[0], self._best[1].forget, self._best[1].retain]
        facts = {
            "identity": self._identity,
            "objective": self._objective.state(),
            "best": best,
            "resumed_at": list(self._resumed_at),
            "elsewhere": list(self._elsewhere),
            **self._surroundings(),
        }
        self._checkpoints.write(step, self._optimiser.tensors() | random_states(self._learner.device), facts)
        self._written, self._saved_at = step, time.monotonic()
        # The checkpoint before this one is kept too, and may know another best step.
        self._saved_bests = [*self._saved_bests, self._best[0] if self._best else 0][-KEPT:]
        self._checkpoints.keep_best(set(self._saved_bests))

    def _surroundings(self) -> dict[str, Any]:
        """What decides, beside the checkpoint, whether the same bits come out."""
        return {
            "device": self._learner.model.device_name,
            "threads": torch.get_num_threads(),
            "torch": str(torch.__version__),
        }

    def _resume(self) -> int:
        """Go on from the latest checkpoint; the step to take next."""
        saved = self._checkpoints.latest()
        if saved is None:
            return 0
        if saved.facts.get("identity") != self._identity:
            raise RunError(
                "The checkpoints of this run are of another training: other weights, data or settings. Start a new run."
            )
        self._warn_of_other_surroundings(saved)
        try:
            self._optimiser.load(saved.tensors)
        except (ValueError, KeyError) as error:
            raise RunError(f"The checkpoints of this run do not fit the model: {error}. Start a new run.") from error
        restore_random(saved.tensors, self._learner.device)
        self._objective.load(saved.facts["objective"])
        if (best := saved.facts["best"]) is not None:
            self._best = (int(best[0]), Probe(forget=best[1], retain=best[2]))
            self._saved_bests = [int(best[0])]
        self._resumed_at = (*saved.facts["resumed_at"], saved.step)
        self._elsewhere = (*saved.facts["elsewhere"], *self._elsewhere)
        self._written = saved.step
        return saved.step

    def _warn_of_other_surroundings(self, saved: Saved) -> None:
        now = self._surroundings()
        changed = [
            f"{name} {saved.facts.get(name)} before, {now[name]} now"
            for name in now
            if saved.facts.get(name) != now[name]
        ]
        if changed:
            message = (
                f"The training went on in other surroundings ({'; '.join(changed)}): its last bits may differ from an "
                "unbroken one's."
            )
            self._context.warning("resumed-elsewhere", message)
            self._elsewhere = (message,)

    def _fingerprint(self) -> str:
        """Hash of the weights before the first step, the data, and everything that decides the steps."""
        digest = hashlib.sha256()
        for name, weight in sorted(self._optimiser.weights().items()):
            digest.update(name.encode())
            digest.update(weight.cpu().contiguous().numpy())
        return sha256_of_json(
            {
                "weights": digest.hexdigest(),
                "model": self._learner.model.file.sha256,
                "dtype": self._learner.model.precision.dtype,
                "objective": [self._objective.name, self._objective.settings.model_dump(mode="json")],
                "forget": [_written(tokens) for tokens in self._forget],
                "retain": [_written(tokens) for tokens in self._retain],
                "settings": self._settings.model_dump(mode="json"),
                "seed": self._context.seed,
            }
        )

    # ---- the end

    def _ended(self) -> Trained:
        kept = self._total
        if self._settings.keep == "best" and self._best is not None:
            kept = self._best[0]
            if kept != self._total:
                self._optimiser.load_weights(self._checkpoints.best(kept))
        return Trained(
            steps=self._total,
            rows=tuple(self._rows()),
            best_step=self._best[0] if self._best else None,
            best=self._best[1] if self._best else None,
            kept_step=kept,
            state=self._objective.state(),
            resumed_at=self._resumed_at,
            warnings=self._objective.warnings(),
            elsewhere=self._elsewhere,
        )

    def _rows(self) -> Iterator[StepRow]:
        """One row a step: steps that were taken again after a kill have several, of which the last one counts."""
        found: Mapping[int, dict[str, Any]] = {int(row["step"]): row for row in self._context.rows(self._stage)}
        for step in sorted(found):
            yield StepRow.model_validate(found[step])


def _written(tokens: Tokens) -> list[Any]:
    other = tokens.alternative
    return [list(tokens.ids), tokens.answer_from, None if other is None else _written(other)]


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _mean_of_known(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return _mean(known) if known else None
