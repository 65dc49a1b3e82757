"""The loop that trains: to learn and to unlearn, with every objective. Worker processes only.

A step takes as many batches of examples to forget, and as many of examples to keep, as gradients are accumulated over.
An epoch sees every example to forget once, in an order drawn anew; examples to keep go by in an order of their own, drawn
anew whenever all have been seen. Both are functions of the seed and the step alone, so that nothing of them needs to be
kept. A checkpoint holds weights, moments, the objective's state and torch's random states: a process that goes on from
it computes, on a processor with as many threads, the same bits as one that was never stopped.

Processes that train together (`World`) all run this loop. They share out the batches of a step, add up gradients and
losses, and so take the step that one process would take, but for the order of sums; each steps its part of the weights.
What is told, decided and written down, the first one tells, decides and writes.
"""

import hashlib
import time
from collections.abc import Callable, Sequence
from math import isfinite
from typing import Any

import torch

from auditor.audits import Context
from auditor.audits.stages import stopped
from auditor.audits.unlearning.batches import Batch, Tokens, collate, order
from auditor.audits.unlearning.objectives import Objective, StepLosses
from auditor.audits.unlearning.training import Probe, StepRow, Trained, TrainingSettings, step_rows
from auditor.audits.unlearning.turns import turns, unlabelled
from auditor.errors import ModelError, RunError
from auditor.files import sha256_of_json
from auditor.models.optimiser import AdamSettings, Optimiser
from auditor.models.trainable import Trainable
from auditor.models.training_state import KEPT, Checkpoints, Saved, random_states, restore_random
from auditor.models.world import ALONE, World

Prober = Callable[[int], Probe | None]
#: Examples to keep are drawn with a seed of their own, so that their order is not that of the examples to forget.
_RETAIN_SEED = 1_000_003
_PAD = 0
#: Between two checkpoints, where no number of steps is asked for: what a kill may cost; and how many times as long as one took
#: to write, which is minutes for large models.
_CHECKPOINT_SECONDS, _TIMES_AS_LONG = 120.0, 20.0


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
    world: World = ALONE,
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
    world : World
        The processes that train together, all of which call this. Probes are called in every one of them. At the end their
        models have the weights of the last step; those that are kept are in the checkpoints.

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
    return _Training(learner, objective, forget, retain, settings, context, probe, stage, world).run()


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
        world: World,
    ) -> None:
        self._learner, self._objective, self._forget, self._retain = learner, objective, forget, retain
        self._settings, self._context, self._probe, self._stage = settings, context, probe, stage
        self._world = world
        self._per_epoch = settings.steps_per_epoch(len(forget))
        self._total = settings.epochs * self._per_epoch
        if objective.needs_reference:
            learner.hold_reference()
        learner.spread(world)
        adam = AdamSettings(weight_decay=settings.weight_decay)
        self._optimiser = Optimiser(learner.named, adam, world)
        self._checkpoints = Checkpoints(context.checkpoints / stage)
        self._best: tuple[int, Probe] | None = None
        self._saved_bests: list[int] = []
        self._resumed_at: tuple[int, ...] = ()
        self._elsewhere: tuple[str, ...] = ()
        self._written, self._saved_at, self._saving = -1, time.monotonic(), 0.0

    def run(self) -> Trained:
        self._identity = self._world.told(self._fingerprint())
        torch.manual_seed(self._context.seed + self._world.rank)
        step = self._resume()
        self._context.progress(step, self._total, self._message(step))
        while step < self._total:
            self._stop_if_asked(step)
            row = self._step(step)
            step += 1
            self._tell(row)
            self._probed(step)
            if self._world.told(step == self._total or self._is_due(step)):
                self._save(step)
        return self._ended()

    # ---- one step

    def _step(self, step: int) -> StepRow:
        """Step number `step`, from 0."""
        begun = time.perf_counter()
        epoch, within = divmod(step, self._per_epoch)
        places = self._places(within)
        n_tokens = 0
        losses: list[StepLosses] = []
        with self._learner.training():
            for place in turns(places, self._world.rank, self._world.size):
                forget, retain = self._batches(epoch, places[0] if place is None else place)
                if place is None:
                    forget, retain = unlabelled(forget), None if retain is None else unlabelled(retain)
                found = self._objective.backward(self._learner, forget, retain, 1 / len(places))
                if place is not None:
                    losses.append(found)
                    n_tokens += forget.n_tokens + (retain.n_tokens if retain is not None else 0)
        mean, n_tokens = self._mean(losses, n_tokens, len(places))
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

    def _mean(self, own: Sequence[StepLosses], n_tokens: int, n: int) -> tuple[StepLosses, int]:
        """Means over the batches of all processes, and their tokens."""
        retained = [found.retain for found in own if found.retain is not None]
        forget, retain, tokens = self._world.totals([sum(found.forget for found in own), sum(retained), n_tokens])
        return StepLosses(forget / n, retain / n if self._retain else None), int(tokens)

    def _places(self, within: int) -> range:
        """Places in the epoch of the batches of a step."""
        n_batches = -(-len(self._forget) // self._settings.batch_size)
        begin = within * self._settings.accumulation
        return range(begin, min(begin + self._settings.accumulation, n_batches))

    def _batches(self, epoch: int, place: int) -> tuple[Batch, Batch | None]:
        """The batch at a place in an epoch: to forget, and to keep."""
        size = self._settings.batch_size
        sequence = order(len(self._forget), epoch, self._context.seed)
        n_batches = -(-len(self._forget) // size)
        forget = [self._forget[index] for index in sequence[place * size : (place + 1) * size]]
        retain = self._kept((epoch * n_batches + place) * size, size)
        return self._batch(forget), self._batch(retain) if retain else None

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
        if found is None or limit is None or not found.retain <= limit or not isfinite(found.forget):
            return
        if self._best is None or found.forget < self._best[1].forget:
            self._best = (step, found)
            if self._settings.keep == "best":
                self._write_best(step)

    def _write_best(self, step: int) -> None:
        weights = self._optimiser.weights()
        if self._world.is_first:
            self._checkpoints.write_best(step, weights)
            # One that no checkpoint names is of no use once there is a better one.
            self._checkpoints.keep_best({*self._saved_bests, step})

    # ---- checkpoints

    def _stop_if_asked(self, step: int) -> None:
        if not self._world.told(self._context.cancelled()):
            return
        if step not in (0, self._written):
            self._save(step)
        raise stopped()

    def _is_due(self, step: int) -> bool:
        """Whether it is time for a checkpoint. When one is written changes nothing of what is trained."""
        every = self._settings.checkpoint_every
        wait = max(_CHECKPOINT_SECONDS, _TIMES_AS_LONG * self._saving)
        return step % every == 0 if every else time.monotonic() - self._saved_at >= wait

    def _save(self, step: int) -> None:
        begun = time.monotonic()
        best = None if self._best is None else [self._best[0], self._best[1].forget, self._best[1].retain]
        facts = {
            "identity": self._identity,
            "objective": self._objective.state(),
            "best": best,
            "resumed_at": list(self._resumed_at),
            "elsewhere": list(self._elsewhere),
            **self._surroundings(),
        }
        tensors = self._optimiser.tensors() | random_states(self._learner.device, self._world)
        if self._world.is_first:
            self._checkpoints.write(step, tensors, facts)
        self._written, self._saved_at = step, time.monotonic()
        self._saving = self._saved_at - begun
        # The checkpoint before this one is kept too, and may know another best step.
        self._saved_bests = [*self._saved_bests, self._best[0] if self._best else 0][-KEPT:]
        if self._world.is_first:
            self._checkpoints.keep_best(set(self._saved_bests))

    def _surroundings(self) -> dict[str, Any]:
        """What decides, beside the checkpoint, whether the same bits come out; of the first process."""
        return {
            "device": self._learner.model.device_name,
            "threads": torch.get_num_threads(),
            "processes": self._world.size,
            "torch": str(torch.__version__),
        }

    def _resume(self) -> int:
        """Go on from the latest checkpoint; the step to take next."""
        saved = self._latest()
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
        restore_random(saved.tensors, self._learner.device, self._world)
        self._objective.load(saved.facts["objective"])
        if (best := saved.facts["best"]) is not None:
            self._best = (int(best[0]), Probe(forget=best[1], retain=best[2]))
            self._saved_bests = [int(best[0])]
        self._resumed_at = (*saved.facts["resumed_at"], saved.step)
        self._elsewhere = (*saved.facts["elsewhere"], *self._elsewhere)
        self._written = saved.step
        return saved.step

    def _latest(self) -> Saved | None:
        """The latest checkpoint; of processes that train together the first one has its tensors."""
        saved = self._checkpoints.latest() if self._world.is_first else None
        told = self._world.told(None if saved is None else [saved.step, dict(saved.facts)])
        if told is None or self._world.is_first:
            return saved
        return Saved(told[0], {}, told[1])

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
            if kept != self._total and self._world.is_alone:
                self._optimiser.load_weights(self._checkpoints.best(kept))
        return Trained(
            steps=self._total,
            rows=step_rows(self._context.rows(self._stage)),
            best_step=self._best[0] if self._best else None,
            best=self._best[1] if self._best else None,
            kept_step=kept,
            state=self._objective.state(),
            resumed_at=self._resumed_at,
            warnings=self._objective.warnings(),
            elsewhere=self._elsewhere,
            devices=tuple(self._world.heard(self._learner.model.device_name)),
        )


def _written(tokens: Tokens) -> list[Any]:
    other = tokens.alternative
    return [list(tokens.ids), tokens.answer_from, None if other is None else _written(other)]
