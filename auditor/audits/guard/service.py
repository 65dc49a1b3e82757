"""The guard for a service of one's own: a folder that answers texts as the run did, with a true early exit.

The folder holds two files that any program can read: ``guard.json`` (labels, template, demonstrations, threshold, the model's
hash, the certificate and what it covers) and ``guard.safetensors`` (the weights of contextual calibration). The
model itself stays where it is, and is checked against its hash.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from auditor.audits.guard import guarded
from auditor.audits.guard.answers import Reading
from auditor.audits.guard.asking import Asked, Loaded
from auditor.audits.guard.early_exit import Measure
from auditor.audits.guard.findings import CertificateInfo
from auditor.audits.guard.label_words import label_tokens_of
from auditor.audits.guard.pools import Draw
from auditor.audits.guard.spec import Backend, DemonstrationRule, GuardSpec
from auditor.audits.guard.task import Demonstration, Task
from auditor.audits.guard.template import Encoder, Template
from auditor.errors import InputError, ModelError
from auditor.files import read_json, write_atomic, write_json
from auditor.models.exits import Scorer, open_scorer
from auditor.models.file import ModelFile

#: Within the artefacts of a run.
FOLDER = "predictor"
SETTINGS, TENSORS = "guard.json", "guard.safetensors"
_WEIGHT = "contextual_calibration"


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ShownDemonstration(_Record):
    """A demonstration of the folder."""

    text: str
    word: str
    label: str
    source: str


class PredictorSettings(_Record):
    """guard.json."""

    v: Literal[1] = 1
    model_name: str
    model_sha256: str = Field(description="Of the model's file, or of its folder's files.")
    model_architecture: str
    backend: Backend
    device: str = Field(description="Where the scores of the run were computed.")
    dtype: str
    labels: tuple[str, ...]
    words: tuple[str, ...]
    instruction: str
    demonstration: str
    query: str
    separator: str
    rule: DemonstrationRule
    n_demonstrations: int
    demonstrations: tuple[ShownDemonstration, ...] = Field(description="The fixed set, or the pool to draw from.")
    seed: int
    threshold: float = Field(description="lambda; 1 is always zero-shot.")
    first_exit: int = Field(description="First exit that may answer, from 0.")
    n_exits: int
    confidence: Measure
    certificate: CertificateInfo
    covers: str = Field(description="What the guarantee covers, and what it does not.")


@dataclass(frozen=True)
class Prediction:
    """The answer to a text.

    Attributes
    ----------
    label : str
    confidence : float
        At the exit that answered.
    layer : int or None
        Layer after which it was read, from 1; None where the guard fell back on zero-shot.
    """

    label: str
    confidence: float
    layer: int | None

    @property
    def fell_back(self) -> bool:
        """Whether the demonstrations were dropped."""
        return self.layer is None


class GuardPredictor:
    """Answers texts under a guard.

    Parameters
    ----------
    settings : PredictorSettings
    weight : ndarray of shape (n_exits, n_labels) or None
        Of contextual calibration.
    scorer : Scorer
        The loaded model; `close` frees it.

    Raises
    ------
    ModelError
        If the model has other layers than the one that was certified.
    """

    def __init__(self, settings: PredictorSettings, weight: NDArray[np.float64] | None, scorer: Scorer) -> None:
        if scorer.n_exits != settings.n_exits:
            raise ModelError(
                f"The guard was certified for {settings.n_exits:,} exits, and {settings.model_name} has {scorer.n_exits:,} "
                f"with the backend that was asked for: use {settings.backend}."
            )
        self.settings, self._weight, self._scorer = settings, weight, scorer
        self._task = Task(settings.labels, settings.words)
        self._template = Template(settings.instruction, settings.demonstration, settings.query, settings.separator)
        self._encoder = Encoder(scorer.tokenize)
        self._labels = label_tokens_of(self._task, scorer.tokenize, scorer.label_tokens)
        self._reading = Reading(settings.confidence, settings.first_exit, weight)
        spec = GuardSpec(demonstrations=settings.rule, n_demonstrations=settings.n_demonstrations)
        pool = [Demonstration(one.text, one.word, one.label, one.source) for one in settings.demonstrations]
        self._draw = Draw(pool, spec, settings.seed)
        # What all prompts begin with is computed once.
        scorer.hold(self._encoder.encode(self._template.zero_shot(self._task, "")).prefix)
        if self._draw.is_fixed:
            shown = self._draw.demonstrations("")
            scorer.hold(self._encoder.encode(self._template.prompt(self._task, shown, "")).prefix)

    @property
    def covers(self) -> str:
        """What the guarantee covers, and what it does not."""
        return self.settings.covers

    def answer(self, text: str, demonstrations: Sequence[tuple[str, str]] | None = None) -> Prediction:
        """The guarded label of a text.

        Parameters
        ----------
        text : str
        demonstrations : sequence of (text, label), optional
            Other ones than those of the folder, for example what a user sent along. The guarantee holds for them as far as
            they are drawn like those it was calibrated with.

        Raises
        ------
        InputError
            If a demonstration has an unknown label.
        ModelError
            If the prompt is longer than the model's context.
        """
        line = " ".join(text.split())
        shown = self._draw.demonstrations(_key(line)) if demonstrations is None else self._given(demonstrations)
        made = self._encoder.encode(self._template.prompt(self._task, shown, line))
        without = self._encoder.encode(self._template.zero_shot(self._task, line))
        said = guarded.answer(self._scorer, made, without, self._labels, self._reading, self.settings.threshold)
        layer = said.exit + 1 if said.exit < self.settings.n_exits else None
        return Prediction(self.settings.labels[said.label], said.confidence, layer)

    def _given(self, demonstrations: Sequence[tuple[str, str]]) -> list[Demonstration]:
        made = []
        for number, (text, label) in enumerate(demonstrations, 1):
            if label not in self.settings.labels:
                raise InputError(
                    "There is no such label", row=number, value=label, fix=f"One of: {', '.join(self.settings.labels)}."
                )
            made.append(Demonstration(" ".join(text.split()), self._task.word(label), label, f"given-{number}"))
        return made

    def save(self, folder: Path) -> None:
        """Write the folder.

        Raises
        ------
        OSError
            If the disk refuses.
        """
        save(folder, self.settings, self._weight)

    @classmethod
    def load(
        cls, folder: Path, *, model: ModelFile | None = None, device: str | None = None, threads: int | None = None
    ) -> Self:
        """Read a folder and load its model.

        Parameters
        ----------
        folder : Path
            As `save` or a run has written it (``artefacts/predictor``).
        model : ModelFile, optional
            The model, if it is not in the library of this machine under the same hash.
        device : str, optional
            Another one than the run's.
        threads : int, optional

        Raises
        ------
        InputError
            If the folder cannot be read.
        ModelError
            If there is no model with the right hash, or it cannot be loaded.
        """
        settings, weight = read(folder)
        if model is None:
            model = _from_library(settings)
        elif model.sha256 != settings.model_sha256:
            raise ModelError(
                f"{model.name} is not the model that the guard was certified for ({settings.model_name}, SHA-256 "
                f"{settings.model_sha256}): certify it anew."
            )
        scorer = open_scorer(
            model, backend=settings.backend, device=device or "auto", dtype=settings.dtype, threads=threads
        )
        try:
            return cls(settings, weight, scorer)
        except BaseException:
            scorer.close()
            raise

    def close(self) -> None:
        """Free the model."""
        self._scorer.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def load(
    folder: Path, *, model: ModelFile | None = None, device: str | None = None, threads: int | None = None
) -> GuardPredictor:
    """Load the guard that a run has made, to answer texts with it; see `GuardPredictor.load`.

    Parameters
    ----------
    folder : Path
        A run's directory, its ``artefacts`` or ``artefacts/predictor``, or a folder that `GuardPredictor.save` has written.
    """
    places = (folder, folder / FOLDER, folder / "artefacts" / FOLDER)
    found = next((place for place in places if (place / SETTINGS).is_file()), folder)
    return GuardPredictor.load(found, model=model, device=device, threads=threads)


def settings_of(asked: Asked, certificate: CertificateInfo, model: ModelFile, how: Loaded) -> PredictorSettings:
    """guard.json of a run."""
    spec, task = asked.spec, asked.given.task
    shown = asked.given.demonstrations
    return PredictorSettings(
        model_name=model.name,
        model_sha256=model.sha256,
        model_architecture=model.architecture,
        backend=how.settings["backend"],
        device=how.device,
        dtype=how.settings.get("dtype", "auto"),
        labels=task.labels,
        words=task.words,
        instruction=spec.instruction,
        demonstration=spec.demonstration,
        query=spec.query,
        separator=spec.separator,
        rule=spec.demonstrations,
        n_demonstrations=spec.n_demonstrations,
        demonstrations=tuple(
            ShownDemonstration(text=one.text, word=one.word, label=one.label, source=one.source)
            for one in (shown[: spec.n_demonstrations] if spec.demonstrations == "fixed" else shown)
        ),
        seed=asked.prompts.seed,
        threshold=certificate.lambda_hat,
        first_exit=asked.reading.first,
        n_exits=asked.answers.n_exits,
        confidence=spec.confidence_measure,
        certificate=certificate,
        covers=certificate.sentence,
    )


def save(folder: Path, settings: PredictorSettings, weight: NDArray[np.float64] | None) -> None:
    """Write a predictor's two files; the same settings give the same bytes."""
    from safetensors.numpy import save as to_bytes

    tensors = {} if weight is None else {_WEIGHT: np.ascontiguousarray(weight, dtype=np.float64)}
    folder.mkdir(parents=True, exist_ok=True)
    write_atomic(folder / TENSORS, to_bytes(tensors))
    write_json(folder / SETTINGS, settings.model_dump(mode="json"))


def read(folder: Path) -> tuple[PredictorSettings, NDArray[np.float64] | None]:
    """Read a predictor's two files.

    Raises
    ------
    InputError
        If they are missing or damaged.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load as from_bytes

    try:
        settings = PredictorSettings.model_validate(read_json(folder / SETTINGS))
        tensors = from_bytes((folder / TENSORS).read_bytes())
    except (OSError, json.JSONDecodeError, UnicodeDecodeError, ValidationError, SafetensorError) as error:
        raise InputError(
            f"The folder holds no guard that can be read ({error})",
            file=str(folder),
            fix=f"It needs {SETTINGS} and {TENSORS} as a guard run writes them into artefacts/predictor.",
        ) from error
    weight = tensors.get(_WEIGHT)
    shape = (settings.n_exits, len(settings.labels))
    if weight is not None and (weight.shape != shape or not (np.isfinite(weight).all() and (weight > 0).all())):
        raise InputError(
            f"The weights of contextual calibration are not {shape[0]} rows of {shape[1]} positive numbers",
            file=str(folder / TENSORS),
        )
    return settings, weight


def _from_library(settings: PredictorSettings) -> ModelFile:
    from auditor.models.library import Library

    for model in Library().list():
        if model.sha256 == settings.model_sha256:
            return model
    raise ModelError(
        f"The model that the guard was certified for, {settings.model_name} (SHA-256 {settings.model_sha256}), is not in the "
        "library: add it with `auditor models add`, or give the model."
    )


def _key(text: str) -> str:
    """What demonstrations are drawn by for a text that is in no file."""
    return f"text {hashlib.sha256(text.encode()).hexdigest()}"
