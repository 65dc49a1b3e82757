"""Trainings and measurements of `tests.benchmarks.unlearning_methods`."""

import json
import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import torch
from auditor.audits.memory import MemoryContext
from auditor.audits.unlearning import primal_dual
from auditor.audits.unlearning.asking import Asking
from auditor.audits.unlearning.batches import Tokens
from auditor.audits.unlearning.examples import Example
from auditor.audits.unlearning.material import method_of, needs_reference, spread, training_settings
from auditor.audits.unlearning.measuring import losses, margin
from auditor.audits.unlearning.scored import EvaluationSettings
from auditor.audits.unlearning.spec import UnlearningSpec
from auditor.audits.unlearning.template import Template, tokens_of
from auditor.audits.unlearning.trainer import train
from auditor.audits.unlearning.training import Probe, Trained
from auditor.errors import ModelError
from auditor.files import sha256_of
from auditor.models import ModelFile
from auditor.models.generation import end_ids
from auditor.models.make_trainable import trainable
from safetensors.torch import load_file, save_file
from tests.benchmarks.unlearning_methods_inputs import Task

if TYPE_CHECKING:
    from auditor.models.trainable import Trainable

#: What the sample is to reach (the issue's).
MOST_PROBABILITY, MOST_LOST = 0.05, 0.05
#: A token that is trained on costs as much as so many that are read; each token the reference reads costs one more.
_BACKWARD = 3
#: No checkpoint before the last step.
_NEVER = 10**6
#: What a row holds of trained weights -> its unit.
UNITS: Mapping[str, str] = {
    "forget_probability": "probability",
    "forget_probability_paraphrased": "probability",
    "retain_probability": "probability",
    "retain_probability_paraphrased": "probability",
    "retain_loss": "nats",
    "extraction_strength": "share",
    "feasible": "yes or no",
    "reaches_goal": "yes or no",
}
State = dict[str, Any]


class Kept:
    """Rows as JSON lines, the settings first: what an earlier call with the same settings left."""

    def __init__(self, path: Path, settings: Mapping[str, Any]) -> None:
        first = json.dumps(settings) + "\n"
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        whole = [line for line in text.splitlines(keepends=True) if line.endswith("\n")]
        if whole and whole[0] != first:
            raise SystemExit(f"{path} is of other settings: name another file.")
        path.write_text("".join(whole or [first]), encoding="utf-8")
        self._path, self._rows = path, [json.loads(line) for line in whole[1:]]

    def add(self, row: dict[str, Any]) -> None:
        """Keep a row."""
        self._rows.append(row)
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")

    def find(self, kind: str, seed: int) -> dict[str, Any] | None:
        """The latest row of a kind and a seed."""
        return next((row for row in reversed(self._rows) if (row["kind"], row["seed"]) == (kind, seed)), None)


class Left:
    """Says on stderr how far it is and for how long it will still run, by the tokens of this process."""

    def __init__(self) -> None:
        self._begun, self._done, self._total = time.monotonic(), 0.0, 0.0

    def expect(self, units: float) -> None:
        """More is to be done."""
        self._total += units

    def say(self, message: str, units: float = 0) -> None:
        """So many units are done."""
        self._done += units
        seconds = time.monotonic() - self._begun
        left = seconds / self._done * max(0.0, self._total - self._done) / 60 if self._done else None
        when = "" if left is None else f", {left:.1f} min left"
        sys.stderr.write(f"{seconds:6.0f} s  {message}{when}\n")


class _Steps(MemoryContext):
    """A context that says each step."""

    def __init__(self, left: Left, name: str, units: float, *, seed: int, folder: Path) -> None:
        super().__init__(seed=seed, folder=folder)
        self._left, self._name, self._units, self._before = left, name, units, 0

    def progress(self, done: int, total: int | None, message: str = "") -> None:
        """Say how far a training is, about twenty times in all."""
        if total and (done == total or done - self._before >= max(1, total // 20)):
            units, self._before = self._units * (done - self._before) / total, done
            self._left.say(f"{self._name}, step {done} of {total}", units)


class Runs:
    """Learns the texts once a seed, and forgets a part of them by each method.

    Parameters
    ----------
    home : Path
        For learnt weights.
    """

    def __init__(self, task: Task, file: ModelFile, home: Path, *, device: str, dtype: str) -> None:
        self.task, self._home, self._left = task, home, Left()
        self._learner: Trainable = trainable(file, dtype=dtype, device=device)
        self._template = Template(task.unlearn.prompt)
        self._end = next(iter(end_ids(self._learner.model)), None)
        self._forget, self._retain = (self._tokens(part, self._end) for part in (task.forget, task.retain))
        # What is forgotten is an answer, not that it ends.
        self._probed = spread(self._tokens(task.forget, None), task.unlearn.probe_examples)
        self._probed_retain = spread(self._retain, task.unlearn.probe_examples)
        self._start = home / "start.safetensors"
        save_file(self._weights(), self._start)

    @property
    def settings(self) -> dict[str, Any]:
        """What figures depend on, but for methods and seeds."""
        task, model = self.task, self._learner.model
        return {
            "task": task.name,
            **task.scale,
            "texts": {"forget": len(task.forget), "retain": len(task.retain), "never_seen": len(task.never_seen)},
            "tokens": {"forget": _count(self._forget), "retain": _count(self._retain)},
            "paraphrased": {"forget": len(_asked_otherwise(task.forget)), "retain": len(_asked_otherwise(task.retain))},
            "learn": _told(task.learn),
            "unlearn": _told(task.unlearn),
            "baselines": "published settings; rate, epochs and batches of pdu",
            "goal": f"forget probability below {MOST_PROBABILITY}, retain probability within {MOST_LOST:.0%} of the learnt, "
            "retain loss at or below epsilon",
            "model": f"{model.file.name}, {model.file.sha256[:16]}",
            "weights": sum(weight.numel() for weight in self._learner.parameters),
            "device": model.device_name,
            "dtype": model.precision.dtype,
            "threads": torch.get_num_threads(),
            "repeats": "bit for bit" if model.device.type == "cpu" else "not bit for bit",
        }

    def all(self, kept: Kept, methods: Sequence[str], seeds: Sequence[int]) -> None:
        """Do what `kept` does not hold yet."""
        for seed in seeds:
            missing = [method for method in methods if kept.find(method, seed) is None]
            self._left.expect(sum(self._units(method) for method in missing))
            if missing and not self._is_learnt(kept, seed):
                self._left.expect(self._units("learn"))
        for seed in seeds:
            missing = [method for method in methods if kept.find(method, seed) is None]
            if missing and not self._is_learnt(kept, seed):
                kept.add(self._learnt(seed))
            for method in missing:
                learnt = kept.find("learnt", seed)
                assert learnt is not None
                kept.add(self._unlearnt(method, seed, learnt["before"]))
        self._learner.close()

    # ---- learning

    def _learnt(self, seed: int) -> dict[str, Any]:
        """Learn, and measure what unlearning begins with."""
        self._put(load_file(self._start))
        start = {
            f"{name}_probability": self._read(part)["probability"]
            for name, part in (("forget", self.task.forget), ("retain", self.task.retain))
        }
        begun = time.perf_counter()
        trained = self._train("learn", self.task.learn, seed, None)
        seconds = time.perf_counter() - begun
        save_file(self._weights(), self._file(seed))
        before = self._state(None, None)
        before |= self._bounds(before["retain_loss"])
        never = self._read(self.task.never_seen)["probability"]
        return {
            "kind": "learnt",
            "seed": seed,
            "sha256": sha256_of(self._file(seed)),
            "start": start,
            "before": before | {"never_seen_probability": never},
            "seconds": seconds,
            "tokens_per_s": median(row.tokens_per_s for row in trained.rows),
        }

    def _bounds(self, loss: float) -> dict[str, float]:
        """Epsilon, the weight that balances both terms, and the bound of probed texts, as a run of the program sets them."""
        spec = self.task.unlearn
        epsilon = spec.epsilon if spec.epsilon is not None else primal_dual.propose_epsilon(loss)
        gamma = spec.gamma
        if gamma is None:
            flat = margin(self._learner, self._forget, spec.batch_size, parity=spec.parity)
            gamma = primal_dual.balanced_gamma(flat, epsilon, spec.lambda_start)
        probed = losses(self._learner, self._probed_retain, spec.batch_size).mean
        return {"epsilon": epsilon, "gamma": gamma, "retain_limit": epsilon + (probed - loss)}

    def _is_learnt(self, kept: Kept, seed: int) -> bool:
        row, file = kept.find("learnt", seed), self._file(seed)
        return row is not None and file.exists() and sha256_of(file) == row["sha256"]

    def _file(self, seed: int) -> Path:
        return self._home / f"learnt-{seed}.safetensors"

    # ---- unlearning

    def _unlearnt(self, method: str, seed: int, before: State) -> dict[str, Any]:
        """Forget, and measure what is left."""
        self._put(load_file(self._file(seed)))
        spec = self.task.unlearn.model_copy(update={"method": method})
        row: dict[str, Any] = {
            "kind": method,
            "seed": seed,
            "before": before,
            "failed": None,
            "last": None,
            "kept": None,
        }
        best = _Best(before["retain_limit"])

        def probe(step: int) -> Probe:
            forget, retain = (
                losses(self._learner, part, spec.batch_size) for part in (self._probed, self._probed_retain)
            )
            found = Probe(forget=forget.probability, retain=retain.mean)
            if best.is_better(found):
                best.step, best.found, best.weights = step, found, self._weights()
            return found

        begun = time.perf_counter()
        try:
            trained = self._train(method, spec, seed, before, probe)
            seconds = time.perf_counter() - begun
            row["last"] = row["kept"] = self._state(before, before["epsilon"])
        except ModelError as error:
            self._left.say(f"{method}, seed {seed}: {error}")
            return row | {"failed": str(error)}
        assert trained.best_step == best.step
        if best.step not in (None, trained.steps):
            self._put(best.weights)
            row["kept"] = self._state(before, before["epsilon"])
        lambdas = [one.state["lambda"] for one in trained.rows if "lambda" in one.state]
        return row | {
            "kept_step": best.step or trained.steps,
            "found_feasible": best.step is not None,
            "steps": trained.steps,
            "lambda_last": lambdas[-1] if lambdas else None,
            "lambda_highest": max(lambdas, default=None),
            "warnings": list(trained.warnings),
            "seconds": seconds,
            "tokens_per_s": median(one.tokens_per_s for one in trained.rows),
        }

    # ---- training and measuring

    def _train(self, name: str, spec: UnlearningSpec, seed: int, before: State | None, probe: Any = None) -> Trained:
        bounds = before or {"epsilon": None, "gamma": None, "retain_limit": None}
        settings = training_settings(spec, bounds["retain_limit"])
        folder = self._home / "training"
        shutil.rmtree(folder, ignore_errors=True)
        forget, retain = (self._forget, self._retain) if spec.unlearns else ((*self._forget, *self._retain), ())
        try:
            return train(
                self._learner,
                method_of(spec, bounds["epsilon"], bounds["gamma"]),
                forget,
                retain,
                settings.model_copy(update={"keep": "last", "checkpoint_every": _NEVER}),
                _Steps(self._left, f"{name}, seed {seed}", self._units(name), seed=seed, folder=folder),
                probe,
            )
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _state(self, before: State | None, epsilon: float | None) -> State:
        """What the model is now: answers to forget and to keep, asked as trained and in other words."""
        forget, retain = self._read(self.task.forget), self._read(self.task.retain)
        found = {
            "forget_probability": forget["probability"],
            "forget_probability_paraphrased": self._read(_asked_otherwise(self.task.forget))["probability"],
            "extraction_strength": forget["extraction_strength"],
            "retain_probability": retain["probability"],
            "retain_probability_paraphrased": self._read(_asked_otherwise(self.task.retain))["probability"],
            "retain_loss": retain["loss"],
        }
        if before is None or epsilon is None:
            return found
        feasible = found["retain_loss"] <= epsilon
        kept = found["retain_probability"] >= (1 - MOST_LOST) * before["retain_probability"]
        return found | {
            "feasible": feasible,
            "reaches_goal": feasible and kept and found["forget_probability"] < MOST_PROBABILITY,
        }

    def _read(self, examples: Sequence[Example]) -> dict[str, Any]:
        if not examples:
            return {"probability": None, "extraction_strength": None, "loss": None}
        settings = EvaluationSettings(max_new_tokens=0, max_tokens=self.task.unlearn.max_tokens)
        asking = Asking(self._learner, self._template, settings)
        found = asking.scored("texts", examples, membership_scores=False, generated=False)
        strengths = [one.extraction_strength for one in found if one.extraction_strength is not None]
        return {
            "probability": sum(one.answer_probability for one in found) / len(found),
            "extraction_strength": sum(strengths) / len(strengths),
            # Of all answer tokens, which epsilon bounds, not of answers.
            "loss": sum(one.loss * one.n_tokens for one in found) / sum(one.n_tokens for one in found),
        }

    # ---- the model

    def _tokens(self, examples: Sequence[Example], end: int | None) -> tuple[Tokens, ...]:
        words, most = self._learner.model.words, self.task.unlearn.max_tokens
        return tuple(tokens_of(words, one, self._template, end=end, most=most) for one in examples)

    def _weights(self) -> dict[str, Any]:
        return {name: weight.detach().clone().contiguous() for name, weight in self._learner.named.items()}

    def _put(self, weights: Mapping[str, Any]) -> None:
        with torch.no_grad():
            for name, weight in self._learner.named.items():
                weight.copy_(weights[name])
                weight.grad = None

    def _units(self, name: str) -> float:
        """Cost of a training in tokens that are read; what is read besides, probes and measurements, is left out."""
        forget, retain = _count(self._forget), _count(self._retain)
        if name == "learn":
            return _BACKWARD * self.task.learn.epochs * (forget + retain)
        spec = self.task.unlearn.model_copy(update={"method": name})
        paired = retain * len(self._forget) / len(self._retain)
        return spec.epochs * (_BACKWARD * (forget + paired) + needs_reference(spec) * forget)


class _Best:
    """The probed step that a run of the program would keep."""

    def __init__(self, limit: float) -> None:
        self._limit = limit
        self.step: int | None = None
        self.found: Probe | None = None
        self.weights: dict[str, Any] = {}

    def is_better(self, found: Probe) -> bool:
        """Whether it is feasible and forgets more."""
        return found.retain <= self._limit and (self.found is None or found.forget < self.found.forget)


def _asked_otherwise(examples: Sequence[Example]) -> tuple[Example, ...]:
    return tuple(replace(one, question=one.paraphrased_question) for one in examples if one.paraphrased_question)


def _count(texts: Sequence[Tokens]) -> int:
    return sum(len(text.ids) for text in texts)


def _told(spec: UnlearningSpec) -> dict[str, Any]:
    names = (
        "epochs",
        "batch_size",
        "accumulation",
        "learning_rate",
        "schedule",
        "warmup_epochs",
        "weight_decay",
        "clip",
    )
    ours = (
        ("lambda_start", "dual_step", "dual_warmup_epochs", "dual_updates", "gamma", "epsilon") if spec.unlearns else ()
    )
    return {name: getattr(spec, name) for name in (*names, *ours)}
