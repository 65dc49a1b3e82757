"""Optimise for this machine: requantise a model file, measure, keep the fastest that agrees with the original.

The quantisation decides more than anything else how fast a processor reads prompts, and which one is fastest differs
between processors. So candidates are made, their speed is measured in turns with the original's, and their scores are
compared with its scores on prompts of the person's own. Loads no native code: every step is a process of its own
(`auditor.models.native_step`), one after another, so that memory holds one model.
"""

import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from auditor.errors import ModelError
from auditor.files import sha256_of
from auditor.models.file import Kind, ModelFile, Requantised
from auditor.models.fit import estimate
from auditor.models.inspect import inspect
from auditor.models.library import OPTIMISING, Library
from auditor.models.native_step import run_step
from auditor.models.optimise_outcome import Candidate, Outcome, PreparedPrompts, Speed, agreement
from auditor.models.starter import STARTER_WARNING
from auditor.models.tolerance import Tolerance
from auditor.sizes import size_words

KINDS: tuple[Kind, ...] = ("Q4_0", "Q8_0", "BF16")
#: Measurements of the speed of every file, in turns.
ROUNDS = 3
#: A candidate must be this much faster than the original to be worth a second file (ours; less is noise).
WORTH_KEEPING = 1.05
NO_BETTER = (
    "A requantised file is never better than the file it was made from: what an earlier quantisation lost stays lost, "
    "in BF16 too. It can only be faster."
)
#: Left on the disk beside the candidates.
DISK_RESERVE_BYTES = 1024**3
_BITS: dict[Kind, float] = {"Q4_0": 4.5, "Q8_0": 8.5, "BF16": 16.0}
#: Matrices of the vocabulary stay at 8 bits or so when the rest gets 4.
_FINER_BITS = 4.0
_METADATA_BYTES = 16 * 1024**2
_FEW_RATINGS = 30
_PROGRESS_UNIT = 1024**2

Progress = Callable[[int, int, str], None]


def optimise(
    model: ModelFile,
    prompts: PreparedPrompts,
    *,
    name: str = "",
    tolerance: Tolerance | None = None,
    kinds: Sequence[Kind] = KINDS,
    library: Library | None = None,
    progress: Progress = lambda _done, _total, _message: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> Outcome:
    """Requantise a model for this machine and keep the fastest file that agrees with the original.

    Parameters
    ----------
    model : ModelFile
        The original; stays as it is.
    prompts : PreparedPrompts
        With the model's own tokens.
    name : str
        Name in the library for what is kept; ``<model>-optimised`` if not given.
    tolerance : Tolerance, optional
        How far a kept file may be from the original.
    kinds : sequence of str
        Quantisations to try.
    library : Library, optional
        Where the file is kept.
    progress : callable
        Called with (done, total, what is done now).
    cancelled : callable
        Asked while processes run.

    Raises
    ------
    ModelError
        If the original cannot be used, was itself requantised, or the name is taken.
    Cancelled
        If a person asked for it; nothing is left of the candidates then.
    """
    library = library or Library()
    name = name or f"{model.name}-optimised"
    library.refuse_name(name)
    if model.made_from:
        raise ModelError(f"{model.name} was requantised itself: optimise the file it was made from.")
    if not prompts.units:
        raise ModelError("There is no conversation on which the files could be compared.")
    with library.optimising() as folder:
        work = _Work(model, prompts, tolerance or Tolerance(), folder, kinds, progress, cancelled)
        work.check()
        if work.has_candidates:
            work.make()
        # What could not be made needs no comparison.
        if work.has_candidates:
            work.measure()
            work.compare()
        kept = work.keep(library, name)
        return work.outcome(kept)


class _Work:
    """One optimisation; the steps are called in the order in which they stand here."""

    def __init__(
        self,
        model: ModelFile,
        prompts: PreparedPrompts,
        tolerance: Tolerance,
        folder: Path,
        kinds: Sequence[Kind],
        progress: Progress,
        cancelled: Callable[[], bool],
    ) -> None:
        self._model, self._prompts, self._tolerance, self._folder = model, prompts, tolerance, folder
        self._progress, self._cancelled = progress, cancelled
        self._original_speed: Speed | None = None
        self._device = ""
        self._found = list(planned(model, kinds, folder, prompts.n_ctx))
        count = len(self._alive())
        # Hash, then for each candidate: writing, hashing, rounds, scoring; and rounds and scoring of the original.
        self._steps, self._done = 2 + ROUNDS + count * (3 + ROUNDS), 0

    @property
    def has_candidates(self) -> bool:
        """Whether there is anything to make, measure or compare."""
        return bool(self._alive())

    def _alive(self) -> list[int]:
        return [place for place, found in enumerate(self._found) if found.state == "waiting"]

    def _part(self, kind: Kind) -> Path:
        return self._folder / f"{OPTIMISING}{kind}.part"

    def _file(self, place: int) -> ModelFile:
        found = self._found[place]
        name = f"{self._model.name} in {found.kind}"
        update = {"path": self._part(found.kind), "name": name, "sha256": found.sha256, "size_bytes": found.size_bytes}
        return self._model.model_copy(update=update)

    def _say(self, message: str, part: float = 0.0) -> None:
        done = min(self._done + part, self._steps)
        self._progress(int(done * _PROGRESS_UNIT), self._steps * _PROGRESS_UNIT, message)

    def _step(self, message: str, watch: Callable[[], None] | None = None, **job: Any) -> Any:
        self._say(message)
        try:
            return run_step(job, cancelled=self._cancelled, watch=watch or (lambda: None))
        finally:
            self._done += 1

    def _change(self, place: int, **update: Any) -> None:
        self._found[place] = self._found[place].model_copy(update=update)

    def check(self) -> None:
        """The original must be the file that was added."""
        self._say(f"Checking {self._model.name}")
        if not self._model.path.is_file():
            raise ModelError(f"The file of model {self._model.name} is gone: {self._model.path}.")
        if sha256_of(self._model.path) != self._model.sha256:
            raise ModelError(f"The file of {self._model.name} has changed since it was added: do not use it.")
        self._done += 1

    def make(self) -> None:
        """Write the candidates."""
        for place in self._alive():
            kind = self._found[place].kind
            part, expected = self._part(kind), self._found[place].size_bytes
            message = f"Writing {kind}"

            def watch(part: Path = part, expected: int = expected, message: str = message) -> None:
                written = part.stat().st_size if part.exists() else 0
                self._say(message, min(0.99, written / max(1, expected)))

            job: dict[str, Any] = {
                "step": "quantise",
                "model": self._json(self._model),
                "target": str(part),
                "kind": kind,
            }
            try:
                size = self._step(message, watch, **job)
            except ModelError as error:
                part.unlink(missing_ok=True)
                self._change(place, state="failed", reason=str(error))
                self._done += 2 + ROUNDS
                continue
            self._say(f"Hashing {kind}")
            self._change(place, size_bytes=size, sha256=sha256_of(part))
            self._done += 1

    def measure(self) -> None:
        """Prefill rates, in turns: original, candidates, and again."""
        rates: dict[int | None, list[float]] = {place: [] for place in (None, *self._alive())}
        for number in range(1, ROUNDS + 1):
            for place in list(rates):
                file = self._model if place is None else self._file(place)
                message = f"Measuring {file.name}, round {number} of {ROUNDS}"
                job: dict[str, Any] = {"step": "prefill", "model": self._json(file), "n_ctx": self._prompts.n_ctx}
                try:
                    told = self._step(message, **job)
                except ModelError as error:
                    if place is None:
                        raise
                    self._change(place, state="failed", reason=str(error))
                    del rates[place]
                    continue
                rates[place].append(told["tokens_per_s"])
                self._device = told["device"]
        original = rates.pop(None)
        self._original_speed = _speed(original)
        for place, found in rates.items():
            assert place is not None
            ratio = median(mine / its for mine, its in zip(found, original, strict=True))
            self._change(place, speed=_speed(found), ratio=ratio, is_faster=ratio >= WORTH_KEEPING)

    def compare(self) -> None:
        """Agreement of the candidates' scores with the original's."""
        reference = self._scores(self._model)
        for place in self._alive():
            try:
                found = self._scores(self._file(place))
            except ModelError as error:
                self._change(place, state="failed", reason=str(error))
                continue
            near = self._tolerance.near_tie
            labels = reference.shape[-1]
            whole = agreement("", reference.reshape(-1, labels), found.reshape(-1, labels), near_tie=near)
            by_axis = [
                agreement(axis, reference[:, k], found[:, k], near_tie=near)
                for k, axis in enumerate(self._prompts.axes)
            ]
            within = (
                whole.same_or_near >= self._tolerance.least_agreement
                and whole.difference <= self._tolerance.most_difference
            )
            self._change(place, state="measured", agreement=whole, by_axis=by_axis, is_within=within)

    def _scores(self, file: ModelFile) -> NDArray[np.float64]:
        """Logits of the labels, shape (conversations, axes, labels)."""
        prompts = self._prompts
        job: dict[str, Any] = {
            "step": "score",
            "model": self._json(file),
            "n_ctx": prompts.n_ctx,
            "prefix": list(prompts.prefix),
            "units": [(u.body.tolist(), [suffix.tolist() for suffix in u.suffixes]) for u in prompts.units],
            "labels": list(prompts.labels),
        }
        return np.array(self._step(f"Rating {len(prompts.units)} conversations with {file.name}", **job), np.float64)

    def keep(self, library: Library, name: str) -> ModelFile | None:
        """Take the fastest candidate within the tolerance into the library."""
        able = [f for f in self._found if f.state == "measured" and f.is_faster and f.is_within and f.speed]
        if not able:
            return None
        best = max(able, key=lambda found: found.ratio or 0.0)
        assert best.agreement is not None
        assert best.speed is not None
        assert self._original_speed is not None
        part = self._part(best.kind)
        record = inspect(part, name=name).model_copy(
            update={
                "made_from": self._model.sha256,
                "requantised": Requantised(
                    original_name=self._model.name,
                    least_agreement=self._tolerance.least_agreement,
                    near_tie=self._tolerance.near_tie,
                    most_difference=self._tolerance.most_difference,
                    same_mode=best.agreement.same_mode,
                    same_or_near=best.agreement.same_or_near,
                    difference=best.agreement.difference,
                    ratings=best.agreement.n,
                    sample=self._prompts.sample,
                    tokens_per_s=best.speed.median,
                    original_tokens_per_s=self._original_speed.median,
                    machine=self._device,
                ),
            }
        )
        if record.sha256 != best.sha256:
            raise ModelError(f"The file in {best.kind} changed after it was measured: nothing was kept.")
        return library.adopt(part, record)

    def outcome(self, kept: ModelFile | None) -> Outcome:
        """Everything that was found."""
        return Outcome(
            original_name=self._model.name,
            original_sha256=self._model.sha256,
            original_quantisation=self._model.quantisation,
            original_speed=self._original_speed,
            tolerance=self._tolerance,
            sample=self._prompts.sample,
            conversations=len(self._prompts.units),
            device=self._device,
            candidates=self._found,
            kept=kept,
            sentence=_sentence(kept, self._found, self._tolerance),
            cautions=list(self._cautions()),
        )

    def _cautions(self) -> Iterator[str]:
        yield NO_BETTER
        if self._prompts.is_bundled:
            yield "The bundled sample was rated, for want of conversations of your own: agreement there may differ."
        n = len(self._prompts.units) * len(self._prompts.axes)
        if n < _FEW_RATINGS:
            yield f"Only {n} ratings were compared: the agreement is known roughly."
        if self._model.is_starter:
            yield STARTER_WARNING[:1].upper() + STARTER_WARNING[1:] + "; that holds for what is made from it too."

    @staticmethod
    def _json(model: ModelFile) -> dict[str, Any]:
        return model.model_dump(mode="json")


def planned(model: ModelFile, kinds: Sequence[Kind], folder: Path, n_ctx: int) -> Iterator[Candidate]:
    """Candidates as they fit on the disk, together, and into memory, each."""
    room = shutil.disk_usage(folder).free - DISK_RESERVE_BYTES
    for kind in kinds:
        if kind == model.quantisation:
            yield Candidate(kind=kind, state="left out", reason="The original has this quantisation.")
            continue
        size = expected_bytes(model, kind)
        copied = size if kind == "Q4_0" else 0
        changed = {"name": f"{model.name} in {kind}", "size_bytes": size, "repacked_bytes": copied}
        fit = estimate(model.model_copy(update=changed), n_ctx=n_ctx)
        if size > room:
            need, free = size_words(size, 1), size_words(max(0, room), 1)
            reason = f"It needs about {need} on the disk of the library, and {free} are left beside a reserve of 1 GiB."
            yield Candidate(kind=kind, state="left out", reason=reason)
        elif not fit.fits:
            yield Candidate(kind=kind, state="left out", reason=fit.sentence)
        else:
            room -= size
            yield Candidate(kind=kind, size_bytes=size)


def expected_bytes(model: ModelFile, kind: Kind) -> int:
    """Size of a requantised file, rather too large than too small."""
    finer = 2 * model.vocabulary * model.embedding * _FINER_BITS if kind == "Q4_0" else 0
    return int((model.parameters * _BITS[kind] * 1.02 + finer) / 8) + _METADATA_BYTES


def _speed(rounds: Sequence[float]) -> Speed:
    return Speed(median=median(rounds), low=min(rounds), high=max(rounds), rounds=tuple(rounds))


def _sentence(kept: ModelFile | None, found: Sequence[Candidate], tolerance: Tolerance) -> str:
    if kept is not None:
        how = kept.requantised
        assert how is not None
        return (
            f"Kept as {kept.name} ({kept.quantisation}): {how.tokens_per_s:,.0f} tokens/s against "
            f"{how.original_tokens_per_s:,.0f}; {how.same_mode:.1%} of {how.ratings} ratings keep their most probable "
            f"score ({how.same_or_near:.1%} with near ties), expected scores differ by {how.difference:.3f} on average."
        )
    if all(candidate.state != "measured" for candidate in found):
        return "Nothing was kept: no other quantisation could be made and measured."
    return (
        f"Nothing was kept: no candidate was at least {WORTH_KEEPING - 1:.0%} faster than the original and within the "
        f"tolerance ({tolerance.sentence})."
    )
