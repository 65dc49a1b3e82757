"""The files that a run has written: quantised ones made of them, and what each of them still knows. Worker processes only.

Nothing here is measured of a model that happens to be in memory: every file is opened again, a folder by torch and a GGUF file
by llama.cpp. What was forgotten in 16 bits has come back in 4.
"""

import errno
import os
import secrets
import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from auditor.audits import Context
from auditor.audits.stages import stop_if_asked
from auditor.audits.unlearning.answers import ReadAnswers, answers, probabilities
from auditor.audits.unlearning.batches import Tokens
from auditor.audits.unlearning.examples import Example
from auditor.audits.unlearning.findings import ExportInfo, FileFigures
from auditor.audits.unlearning.inputs import UnlearningInputs
from auditor.audits.unlearning.material import drawn
from auditor.audits.unlearning.measuring import PROBES
from auditor.audits.unlearning.metrics.metric import Metric, mean, unavailable
from auditor.audits.unlearning.probes import CHAT, PARAPHRASE, PREFIX, asked_otherwise
from auditor.audits.unlearning.spec import UnlearningSpec
from auditor.audits.unlearning.stage_results import Quantised
from auditor.audits.unlearning.template import Template
from auditor.audits.unlearning.verdict import FORGOTTEN, RETAINED
from auditor.errors import ModelError
from auditor.files import is_disk_full
from auditor.models.file import Kind, ModelFile
from auditor.models.fit import MemoryShort

if TYPE_CHECKING:
    from auditor.models.readable import Readable
    from auditor.models.words import Words

#: Reads answers, and says how many are read.
_Telling = Callable[[Sequence[tuple[Sequence[int], int]], Callable[[int], None]], Sequence[NDArray[np.float64]]]
#: Kind of a probe -> the metric that its mean is.
_METRICS = {kind: f"probe_{kind}_probability" for kind in (PARAPHRASE, PREFIX, CHAT)}
_PROBED = "probes_probability"
#: Size of a quantised file at most, as a share of the one in 16 bits: 34 and 18 bytes for 32 weights, and what stays as it was.
_MOST_OF_SOURCE: Mapping[Kind, float] = {"Q8_0": 0.6, "Q4_0": 0.45}
_NONE = "There are no such examples."


@dataclass(frozen=True)
class _Way:
    """A way of asking: the examples, and their answers behind the prompts as tokens of a file."""

    examples: list[Example]
    texts: list[list[Tokens]]


@dataclass(frozen=True)
class _Read:
    """What was read in a file: by metric, the examples and the probability of each; and by what."""

    found: dict[str, tuple[list[Example], list[float]]]
    engine: str


def opened(context: Context, made: ExportInfo) -> ModelFile:
    """A file or folder that a run has written, if it is still what was written.

    Raises
    ------
    ModelError
        If it is gone, or is something else.
    """
    from auditor.models.inspect import inspect

    file = inspect(context.artefacts / Path(made.name).name)
    if file.sha256 != made.sha256:
        raise ModelError(f"{made.name} has changed since it was written.")
    return file


class Written:
    """Quantises and measures what a run has written.

    Parameters
    ----------
    spec : UnlearningSpec
    given : UnlearningInputs
    context : Context
    """

    def __init__(self, spec: UnlearningSpec, given: UnlearningInputs, context: Context) -> None:
        self.spec, self.given, self.context = spec, given, context
        self.template = Template(spec.prompt)

    @cached_property
    def _asked(self) -> dict[str, tuple[Example, ...]]:
        """The examples that the verdict is about: those that were drawn to be measured before and after."""
        roles = {"forget": self.given.forget, "retain": self.given.retain, PROBES: self.given.probes}
        return {role: drawn(rows, self.spec.evaluated, role, self.context.seed) for role, rows in roles.items()}

    # ---- files

    def quantised(self, source: ExportInfo | None) -> Quantised:
        """Make the quantised files that were asked for from the GGUF file of the model.

        Raises
        ------
        OSError
            If the disk is full: what can be made with more room is not told as something that cannot be.
        """
        if source is None:
            return Quantised()
        made, not_made = list[ExportInfo](), list[str]()
        for kind in self.spec.quantised:
            stop_if_asked(self.context)
            self.context.progress(len(made), len(self.spec.quantised), f"Making a {kind} file")
            try:
                made.append(self._quantise(source, kind))
            except ModelError as error:
                not_made.append(f"There is no {kind} file. {error}")
        return Quantised(made=tuple(made), not_made=tuple(not_made))

    def _quantise(self, source: ExportInfo, kind: Kind) -> ExportInfo:
        from auditor.models.inspect import inspect
        from auditor.models.quantise import requantise

        path = opened(self.context, source).path
        target = path.with_name(f"{path.stem}-{kind}.gguf")
        # What a killed process has left, whole or in part.
        for left in (target, *target.parent.glob(f"{target.stem}.*.part.gguf")):
            left.unlink(missing_ok=True)
        part = target.with_name(f"{target.stem}.{secrets.token_hex(4)}.part.gguf")
        _require_room(target, int(source.size_bytes * _MOST_OF_SOURCE[kind]))
        try:
            requantise(path, part, kind, made_from=source.sha256)
            part.replace(target)
        except OSError as error:
            if is_disk_full(error):
                raise
            raise ModelError(f"The file {target.name} could not be written: {error.strerror or error}.") from error
        finally:
            part.unlink(missing_ok=True)
        file = inspect(target)
        return ExportInfo(
            name=f"artefacts/{target.name}",
            kind=f"GGUF, {kind}",
            sha256=file.sha256,
            size_bytes=file.size_bytes,
            made_from=source.name,
        )

    def figures(self, made: ExportInfo, dtype: str) -> FileFigures:
        """Probabilities of the answers in a file, by reading that very file.

        Parameters
        ----------
        made : ExportInfo
        dtype : str
            Precision in which torch computes a folder.
        """
        self.context.progress(0, None, f"Measuring {made.name}")
        about: dict[str, Any] = {
            "name": made.name,
            "kind": made.kind,
            "sha256": made.sha256,
            "size_bytes": made.size_bytes,
            "is_quantised": bool(made.made_from),
        }
        try:
            read = self._read(opened(self.context, made), dtype)
        except ModelError as error:
            later = f" {self._later(made, dtype)}" if isinstance(error, MemoryShort) else ""
            none = unavailable(f"{made.name} could not be measured: {error}{later}")
            return FileFigures(**about, engine="", forget=none, retain=none, survivors=0, n_asked=0)
        metrics = {name: self._mean(name, *found) for name, found in read.found.items()}
        asked, survivors = self._survivors(read)
        forget, retain = metrics.pop(FORGOTTEN), metrics.pop(RETAINED)
        return FileFigures(
            **about,
            engine=read.engine,
            forget=forget,
            retain=retain,
            otherwise=metrics,
            survivors=len(survivors),
            n_asked=len(asked),
        )

    def _later(self, made: ExportInfo, dtype: str) -> str:
        """How to measure a file that lacked nothing but memory: the run is sealed without it."""
        own = " and once more with the probes as FORGET," if self.given.probes else ""
        how = (
            "It reads the weights of the file by torch, which takes more memory than llama.cpp and differs from it by rounding."
            if made.kind.startswith("GGUF")
            else "It reads the folder as the run would have."
        )
        return (
            f"Once there is more memory, or where there is: auditor evaluate --benchmark own --model {made.name} --forget FORGET "
            f"--retain RETAIN --probes --max-new-tokens 0 --dtype {dtype} (the file of the run, its examples,{own} and its "
            f"--prompt). {how} The verdict here stays as it is; hold what is found against its limits."
        )

    def _mean(self, name: str, examples: Sequence[Example], values: Sequence[float]) -> Metric:
        """As the same figure of the model is made: questions of a probe that are of one example are drawn together."""
        groups = [one.id for one in examples] if name in _METRICS.values() else None
        return mean(values, seed=self.context.seed, empty=_NONE, groups=groups)

    def _survivors(self, read: _Read) -> tuple[set[tuple[bool, int]], set[tuple[bool, int]]]:
        """Answers to forget, and those that some way of asking brings back: of the file, and of a person's own questions."""
        asked, back = set[tuple[bool, int]](), set[tuple[bool, int]]()
        for name, (examples, values) in read.found.items():
            if name != RETAINED:
                keys = [(name == _PROBED, one.row) for one in examples]
                asked.update(keys)
                bound = self.spec.most_probability
                back.update(key for key, value in zip(keys, values, strict=True) if value > bound)
        return asked, back

    def _read(self, file: ModelFile, dtype: str) -> _Read:
        return self._read_gguf(file) if file.format == "gguf" else self._read_folder(file, dtype)

    def _read_gguf(self, file: ModelFile) -> _Read:
        from auditor.models.answer_reader import answer_reader
        from auditor.models.llama import ENGINE
        from auditor.models.words import words_of

        with closing(words_of(file, file.path)) as words:
            ways = self._ways(words, file)
        longest = max(len(piece.ids) for way in ways.values() for text in way.texts for piece in text)
        with answer_reader(file, longest) as reader:
            return _Read(self._all(reader.log_probabilities, ways, file), f"{ENGINE}; {reader.device}")

    def _read_folder(self, file: ModelFile, dtype: str) -> _Read:
        from auditor.models.readable import readable
        from auditor.models.torch_model import load

        loaded = load(file, device=self.spec.device, dtype=dtype)
        with closing(loaded.words) as words:
            found = self._all(_by_torch(readable(loaded)), self._ways(words, file), file)
        return _Read(found, f"torch, {dtype}; {loaded.device_name}")

    def _ways(self, words: "Words", file: ModelFile) -> dict[str, _Way]:
        """By metric, what is asked of a file."""
        asked = self._asked
        template, most = self.template, file.context_length or None
        ways = {
            name: [(one, template) for one in asked[role]]
            for name, role in ((FORGOTTEN, "forget"), (RETAINED, "retain"), (_PROBED, PROBES))
        }
        ways |= {
            _METRICS[kind]: pairs for kind, pairs in asked_otherwise(words, most, asked["forget"], template).items()
        }
        longest = min(self.spec.max_tokens, most or self.spec.max_tokens)
        return {
            name: _Way([one for one, _ in pairs], [answers(words, [one], way, longest)[0] for one, way in pairs])
            for name, pairs in ways.items()
            if pairs
        }

    def _all(
        self, read: _Telling, ways: Mapping[str, _Way], file: ModelFile
    ) -> dict[str, tuple[list[Example], list[float]]]:
        """Everything read in one pass."""
        texts = [text for way in ways.values() for text in way.texts]
        found = iter(probabilities(self._told(read, file), texts))
        return {name: (way.examples, [next(found) for _ in way.texts]) for name, way in ways.items()}

    def _told(self, read: _Telling, file: ModelFile) -> ReadAnswers:
        """The same, saying how far it is and stopping where a person asked for it."""

        def reading(given: Sequence[tuple[Sequence[int], int]]) -> Sequence[NDArray[np.float64]]:
            def tell(done: int) -> None:
                stop_if_asked(self.context)
                self.context.progress(done, len(given), f"Measuring {file.path.name}")

            return read(given, tell)

        return reading


def _require_room(target: Path, n_bytes: int) -> None:
    """Look before llama.cpp writes for minutes; what others write meanwhile shows in the end."""
    if shutil.disk_usage(target.parent).free < n_bytes:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(target))


def _by_torch(reader: "Readable") -> _Telling:
    from auditor.models.token_statistics import token_statistics

    return lambda given, tell: [one.log_p for one in token_statistics(reader, given, tell=tell)]
