"""Curves of relearning: the folder that a run has written, and a reference where there is one, trained again. Worker processes.

Every curve begins with a model that was loaded anew, so that none knows what another was trained on. The files stay as they are.
A curve is short: one that was interrupted is computed again from its beginning, and comes out the same.
"""

import gc
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from auditor.audits import Context
from auditor.audits.stages import stop_if_asked
from auditor.audits.unlearning.answers import answers, probabilities
from auditor.audits.unlearning.examples import Example
from auditor.audits.unlearning.findings import Relearning
from auditor.audits.unlearning.inputs import UnlearningInputs
from auditor.audits.unlearning.material import Material, drawn, material, spread
from auditor.audits.unlearning.metrics.metric import Metric, mean
from auditor.audits.unlearning.relearning import benign, relearn, split_items
from auditor.audits.unlearning.spec import UnlearningSpec
from auditor.audits.unlearning.template import Template, Tokenizer
from auditor.errors import InputError, ModelError
from auditor.models.file import ModelFile

if TYPE_CHECKING:
    from auditor.models.trainable import Trainable

Which = Literal["unlearned", "reference"]
Data = Literal["benign", "items"]
#: What a copy is trained on again, in the order of the report.
DATA: tuple[Data, ...] = ("benign", "items")
_TOLD = {"benign": "answers to keep", "items": "a few examples to forget"}
_NO_BENIGN = "Every example to keep is like one to forget: there is nothing harmless to train on again."
_NO_ITEMS = "It takes two different examples to forget: one to train on again, and another to measure."


class Curves:
    """Trains copies again.

    Parameters
    ----------
    spec : UnlearningSpec
    given : UnlearningInputs
    context : Context
    dtype : str
        Precision in which models compute.
    """

    def __init__(self, spec: UnlearningSpec, given: UnlearningInputs, context: Context, dtype: str) -> None:
        self.spec, self.given, self.context, self.dtype = spec, given, context, dtype
        self.template = Template(spec.prompt)

    def curve(self, which: Which, file: Callable[[], ModelFile], data: Data) -> Relearning:
        """One curve; or why there is none.

        Parameters
        ----------
        which : str
            Whose it is.
        file : callable
            Its model.
        data : str
            What it is trained on.

        Raises
        ------
        Cancelled
            If a person asked for it.
        """
        trained, asked = self._examples(data)
        if not trained or not asked:
            return Relearning(model=which, data=data, unavailable=_NO_BENIGN if data == "benign" else _NO_ITEMS)
        stop_if_asked(self.context)
        self.context.progress(0, None, f"Loading a copy of the {which} model to train it again")
        try:
            return self._trained(which, file(), data, trained, asked)
        except (InputError, ModelError, RuntimeError, MemoryError) as error:
            # torch tells with a RuntimeError that memory has run out.
            return Relearning(model=which, data=data, unavailable=f"It could not be trained again: {str(error)[:300]}")

    def _examples(self, data: Data) -> tuple[tuple[Example, ...], tuple[Example, ...]]:
        """What is trained on, and what is measured: as many as are probed while a model is trained."""
        spec, seed = self.spec, self.context.seed
        if data == "benign":
            seen = drawn(benign(self.given), spec.relearn_steps * spec.batch_size, "benign", seed)
            return seen, spread(self.given.forget, spec.probe_examples)
        items, others = split_items(self.given.forget, spec.relearn_items, seed)
        return items, spread(others, spec.probe_examples)

    def _trained(
        self, which: Which, file: ModelFile, data: Data, trained: Sequence[Example], asked: Sequence[Example]
    ) -> Relearning:
        from auditor.models.generation import end_ids
        from auditor.models.token_statistics import token_statistics

        spec = self.spec
        with closing(self._loaded(file, trained)) as learner:
            words = learner.model.words
            end = next(iter(end_ids(learner.model)), None)
            texts = self._material(words, file, trained, end).forget
            most = min(spec.max_tokens, file.context_length or spec.max_tokens)
            read_again = answers(words, asked, self.template, most)

            def measure() -> Metric:
                found = probabilities(lambda given: [one.log_p for one in token_statistics(learner, given)], read_again)
                return mean(found, seed=self.context.seed, empty="There are no such examples.")

            points = relearn(
                learner,
                texts,
                steps=spec.relearn_steps,
                batch_size=spec.batch_size,
                learning_rate=spec.relearn_rate or spec.learning_rate,
                context=self.context,
                measure=measure,
                message=f"Relearning from {_TOLD[data]}, {which} model",
            )
        return Relearning(
            model=which,
            data=data,
            n_trained=len(trained),
            batch_size=min(spec.batch_size, len(texts)),
            learning_rate=spec.relearn_rate or spec.learning_rate,
            points=points,
        )

    def _material(self, words: Tokenizer, file: ModelFile, trained: Sequence[Example], end: int | None) -> Material:
        """What is trained on as tokens, cut as in the run itself."""
        given = replace(self.given, forget=tuple(trained), retain=())
        return material(words, given, self.spec, end=end, context_length=file.context_length)

    def _loaded(self, file: ModelFile, trained: Sequence[Example]) -> "Trainable":
        """A copy of the model to train, if the memory is there: with adapters where the run had some."""
        from auditor.models.make_trainable import trainable
        from auditor.models.torch_fit import Workload
        from auditor.models.words import words_of

        spec = self.spec
        gc.collect()  # a model before this one may still be held by nobody but a circle
        with closing(words_of(file, file.path)) as words:
            longest = self._material(words, file, trained, None).longest
        return trainable(
            file,
            lora_rank=spec.lora_rank or None,
            dtype=self.dtype,
            device=spec.device,
            gradient_checkpointing=spec.gradient_checkpointing,
            seed=self.context.seed,
            workload=Workload(sequences=spec.batch_size, length=longest + 1),
        )
