"""Reading every layer of the starter model on 50 real prompts: its own logits, early, in batches, behind a prefix."""

import csv
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from auditor.errors import ModelError
from auditor.models import ModelFile
from auditor.models.exits import Prompt, Scorer, Stop, open_scorer
from auditor.models.torch_files import record_of
from auditor.models.torch_model import (
    MOST_VARIATION,
    TorchModel,
    load,
    own_logits,
    require_agreement,
    variation,
)
from auditor.resources import resource
from numpy.typing import NDArray
from tests.conftest import home_with

WORDS = ("negative", "positive")
N = 50
#: Kernels add up in another order when prompts are asked together: thirty layers of float32 differ by some units in the
#: last place. Of the largest logit, near 29, that is this share at most (measured 4e-7 in batches, 6e-7 behind a prefix).
ROUNDING = 1e-6
#: What the guard reads is the labels' probabilities: these are equal to 1e-5 (measured 1.5e-6 and 2.6e-6).
OF_PROBABILITIES = 1e-5


@pytest.fixture(scope="module")
def _home(tmp_path_factory: pytest.TempPathFactory, for_all: Path) -> Iterator[Path]:
    with pytest.MonkeyPatch.context() as patch:
        folder = home_with(tmp_path_factory.mktemp("home"), for_all)
        patch.setenv("AUDITOR_HOME", str(folder))
        yield folder


@pytest.fixture(scope="module")
def loaded(_home: Path, starter_model: ModelFile) -> Iterator[TorchModel]:
    """The model as it is, to compare with."""
    found = load(starter_model, device="cpu", dtype="float32")
    yield found
    found.words.close()


@pytest.fixture(scope="module")
def scorer(_home: Path, starter_model: ModelFile) -> Iterator[Scorer]:
    with open_scorer(starter_model, device="cpu", dtype="float32") as opened:
        yield opened


def _sample(name: str) -> list[dict[str, str]]:
    with resource("samples", "guard", name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def labels(scorer: Scorer) -> list[tuple[int, ...]]:
    return [scorer.label_tokens(word) for word in WORDS]


@pytest.fixture(scope="module")
def prompts(scorer: Scorer) -> list[Prompt]:
    shown = "".join(f"Text: {one['text']}\nLabel: {one['label']}\n\n" for one in _sample("demonstrations.csv")[:2])
    prefix = tuple(scorer.tokenize("Is the text negative or positive?\n\n" + shown, begin=True))
    queries = _sample("queries.csv")[:N]
    return [Prompt(prefix, tuple(scorer.tokenize(f"Text: {one['text']}\nLabel:", begin=False))) for one in queries]


@pytest.fixture(scope="module")
def whole(prompts: list[Prompt]) -> list[Prompt]:
    return [Prompt((), prompt.tokens) for prompt in prompts]


@pytest.fixture(scope="module")
def alone(scorer: Scorer, whole: list[Prompt], labels: list[tuple[int, ...]]) -> NDArray[np.float32]:
    """Scores of one whole prompt at a time."""
    return np.concatenate([scorer.scores([prompt], labels) for prompt in whole])


def assert_same(found: NDArray[np.float32], expected: NDArray[np.float32], scale: float) -> None:
    """Logits, the last axis of which are labels, are equal but for rounding; `scale` is the largest logit there is."""
    assert np.abs(found - expected).max() < ROUNDING * scale
    assert np.abs(_p(found) - _p(expected)).max() < OF_PROBABILITIES


def stop_at(wanted: int) -> Stop:
    return lambda reached, _logits: reached == wanted


@pytest.mark.slow
def test_the_last_exit_is_the_model_itself(
    loaded: TorchModel, whole: list[Prompt], labels: list[tuple[int, ...]], alone: NDArray[np.float32]
) -> None:
    every = [own_logits(loaded, prompt.tokens) for prompt in whole]
    own = np.array([[max(logits[token] for token in label) for label in labels] for logits in every])
    assert np.abs(alone[:, -1] - own).max() < 1e-5


@pytest.mark.slow
def test_an_early_exit_is_that_layers_score(
    scorer: Scorer, whole: list[Prompt], labels: list[tuple[int, ...]], alone: NDArray[np.float32]
) -> None:
    for place, prompt in enumerate(whole):
        wanted = 14 + place % 16
        reached, logits = scorer.answer(prompt, labels, stop_at(wanted), first_exit=14)
        assert reached == wanted
        assert np.abs(logits - alone[place, wanted]).max() < 1e-5


@pytest.mark.slow
def test_batches_give_what_single_prompts_give(
    scorer: Scorer, whole: list[Prompt], labels: list[tuple[int, ...]], alone: NDArray[np.float32]
) -> None:
    together = scorer.scores(whole, labels)
    assert_same(together, alone, np.abs(alone).max())
    assert np.array_equal(scorer.scores(whole, labels), together)


@pytest.mark.slow
def test_a_held_prefix_gives_what_whole_prompts_give(
    scorer: Scorer, prompts: list[Prompt], labels: list[tuple[int, ...]], alone: NDArray[np.float32]
) -> None:
    together = scorer.scores(prompts, labels)
    assert_same(together, alone, np.abs(alone).max())
    assert np.array_equal(scorer.scores(prompts, labels), together)
    for place in range(0, N, 10):
        scorer.hold(prompts[place].prefix)
        _, logits = scorer.answer(prompts[place], labels, stop_at(20), first_exit=0)
        assert_same(logits, alone[place, 20], np.abs(alone).max())


@pytest.mark.slow
def test_layers_above_an_early_exit_are_not_computed(
    scorer: Scorer, whole: list[Prompt], labels: list[tuple[int, ...]]
) -> None:
    from auditor.models.exit_scorer import ExitScorer

    assert isinstance(scorer, ExitScorer)
    ran: list[int] = []
    handles = [
        layer.register_forward_pre_hook(lambda _layer, _inputs, at=at: ran.append(at))
        for at, layer in enumerate(scorer._parts.layers)
    ]
    try:
        scorer.answer(whole[0], labels, stop_at(17), first_exit=15)
    finally:
        for handle in handles:
            handle.remove()
    assert ran == list(range(18))


@pytest.mark.slow
def test_the_exits_that_are_asked_begin_where_it_was_said(
    scorer: Scorer, whole: list[Prompt], labels: list[tuple[int, ...]], alone: NDArray[np.float32]
) -> None:
    asked: list[int] = []

    def note(reached: int, logits: NDArray[np.float32]) -> bool:
        asked.append(reached)
        assert logits.shape == (2,)
        return False

    reached, logits = scorer.answer(whole[1], labels, note, first_exit=27)
    assert (reached, asked) == (29, [27, 28, 29])
    assert np.abs(logits - alone[1, -1]).max() < 1e-5


@pytest.mark.slow
def test_attention_adds_up_to_one(scorer: Scorer, prompts: list[Prompt]) -> None:
    prompt = prompts[0]
    middle = len(prompt.prefix)
    shares = scorer.attention(prompt, [(0, middle), (middle, len(prompt))])
    assert shares.shape == (30, 9, 2)
    assert np.allclose(shares.sum(-1), 1, atol=1e-5)


@pytest.mark.slow
@pytest.mark.usefixtures("_home")
def test_what_was_dequantised_agrees_with_llama_cpp(scorer: Scorer) -> None:
    """Total variation distance of next-token probabilities: measured .07, a fifth is refused."""
    record = record_of(scorer.file)
    assert record is not None
    assert record.agreement is not None
    assert record.agreement.total_variation < 0.1 < MOST_VARIATION


@pytest.mark.slow
def test_positions_that_are_turned_wrongly_are_found(loaded: TorchModel) -> None:
    """Rotary frequencies of another base than the file's: short texts would hardly show it."""
    rotary = loaded.module.model.rotary_emb
    right = rotary.inv_freq.clone()
    try:
        rotary.inv_freq.copy_(10_000.0 ** -(torch.arange(0, 64, 2) / 64))
        assert variation(loaded) > MOST_VARIATION
        with pytest.raises(ModelError, match=r"probabilities differ from llama\.cpp's by up to \d+% \(at most 20%\)"):
            require_agreement(loaded)
    finally:
        rotary.inv_freq.copy_(right)
    assert variation(loaded) < 0.1


@pytest.mark.slow
def test_llama_cpp_reads_the_last_layer_alike(
    starter_model: ModelFile,
    scorer: Scorer,
    prompts: list[Prompt],
    labels: list[tuple[int, ...]],
    alone: NDArray[np.float32],
) -> None:
    """It rounds activations to 8 bits: probabilities differ by .05 on average at most (measured .02)."""
    some, whole = prompts[:8], [Prompt((), prompt.tokens) for prompt in prompts[:8]]
    with open_scorer(starter_model, backend="llama.cpp") as full:
        assert full.n_exits == 1
        assert [full.label_tokens(word) for word in WORDS] == labels
        assert full.tokenize("Text: fine", begin=True) == scorer.tokenize("Text: fine", begin=True)
        shared, single = full.scores(some, labels), full.scores(whole, labels)
        assert shared.shape == (8, 1, 2)
        assert np.abs(_p(shared) - _p(single)).mean() < 0.05
        assert np.abs(_p(shared) - _p(alone[:8, -1:])).mean() < 0.05
        reached, logits = full.answer(some[0], labels, stop_at(0), first_exit=0)
        assert reached == 0
        assert np.abs(_p(logits) - _p(shared[0, 0])).max() < 0.05


def _p(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    exact = np.exp(logits.astype(np.float64) - logits.max(-1, keepdims=True))
    return exact / exact.sum(-1, keepdims=True)


@pytest.mark.slow
def test_llama_cpp_keeps_what_several_prompts_begin_with(starter_model: ModelFile, prompts: list[Prompt]) -> None:
    """A guard that falls back asks behind the demonstrations and without them in turns: nothing is decoded again."""
    from auditor.models.full_model import FullModelScorer

    with FullModelScorer(starter_model, threads=None) as scorer:
        labels = [scorer.label_tokens(word) for word in WORDS]
        shown = prompts[0]
        without = Prompt(tuple(scorer.tokenize("Is the text negative or positive?\n\n", begin=True)), shown.query)
        for prompt in (shown, without):
            scorer.hold(prompt.prefix)
        before, first = scorer._scorer.decoded, [scorer.scores([prompt], labels) for prompt in (shown, without)]
        again = [scorer.scores([prompt], labels) for prompt in (shown, without)]
        assert scorer._scorer.decoded - before == 4 * len(shown.query)
        assert all(np.array_equal(one, other) for one, other in zip(first, again, strict=True))
        scorer.release()
        scorer.scores([shown], labels)
        assert scorer._scorer.decoded - before == 4 * len(shown.query) + len(shown)


@pytest.mark.slow
@pytest.mark.usefixtures("_home")
def test_in_bfloat16_a_lost_token_would_be_seen(starter_model: ModelFile) -> None:
    """A prefix is shared only where that differs less from the whole prompt than any lost token makes it differ."""
    from auditor.models.exit_scorer import ExitScorer
    from auditor.models.readout import distance
    from auditor.models.torch_model import PROBE

    with open_scorer(starter_model, device="cpu", dtype="bfloat16") as scorer:
        assert isinstance(scorer, ExitScorer)
        assert scorer.settings["shared_prefix"] == "attention in two parts"
        tokens = tuple(scorer.tokenize(PROBE, begin=True))
        prefixes = scorer._prefixes
        whole = prefixes.probed([tokens], None)
        lost = [
            distance(prefixes.probed([tokens[:at] + tokens[at + 1 :]], None), whole) for at in range(1, len(tokens))
        ]
        shared = distance(prefixes.probed([tokens[12:]], prefixes.hold(tokens[:12])), whole)
        assert shared < min(lost)
