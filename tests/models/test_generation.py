"""Generation in padded batches with a cache gives what the likeliest token after the whole text gives, step by step."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from auditor.errors import ModelError
from auditor.models.folder import inspect_folder
from auditor.models.generation import cut, end_ids, generate
from auditor.models.readable import Reading, readable
from auditor.models.torch_model import load
from tests.models.tiny import write

PROMPTS = [[40], list(range(60, 75)), [9, 9, 9], list(range(100, 121)), [33, 7]]
Opened = Callable[..., Reading]


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Opened]:
    made: list[Reading] = []

    def open_one(architecture: str, **changes: Any) -> Reading:
        # Tokens that no text of 258 bytes and signs is: nothing ends an answer by chance.
        given = {"eos_token_id": 257, "pad_token_id": None, "bos_token_id": 256} | changes
        file = inspect_folder(write(tmp_path / f"{architecture}{len(made)}", architecture, **given))
        made.append(readable(load(file, device="cpu", dtype="float32", threads=1)))
        return made[-1]

    yield open_one
    for reader in made:
        reader.model.words.close()


def step_by_step(reader: Reading, prompt: list[int], n: int) -> list[int]:
    ids = list(prompt)
    for _ in range(n):
        with torch.no_grad():
            logits = reader.module(input_ids=torch.tensor([ids]), use_cache=False).logits[0, -1]
        ids.append(int(logits.argmax()))
    return ids[len(prompt) :]


@pytest.mark.parametrize("architecture", ["llama", "qwen2", "gemma2", "mistral", "gpt2", "bloom", "mamba"])
def test_a_batch_gives_what_single_texts_give(opened: Opened, architecture: str) -> None:
    reader = opened(architecture)
    # Longer than the windows of gemma2 and mistral.
    found = generate(reader, PROMPTS, max_new_tokens=24)
    for prompt, new in zip(PROMPTS, found, strict=True):
        wanted = step_by_step(reader, prompt, 24)
        assert new == (wanted[: wanted.index(257)] if 257 in wanted else wanted)
    assert generate(reader, PROMPTS, max_new_tokens=24) == found


def test_an_answer_ends_before_the_token_that_ends_a_text(opened: Opened) -> None:
    reader = opened("llama")
    long = generate(reader, PROMPTS, max_new_tokens=12)
    ends = {long[1][4], long[3][6]}
    reader.module.generation_config.eos_token_id = sorted(ends)
    for new, whole in zip(generate(reader, PROMPTS, max_new_tokens=12), long, strict=True):
        first = next((place for place, token in enumerate(whole) if token in ends), len(whole))
        assert new == whole[:first]


def test_a_models_own_wish_to_draw_is_passed_over(opened: Opened) -> None:
    reader = opened("llama")
    calm = generate(reader, PROMPTS, max_new_tokens=8)
    reader.module.generation_config.update(do_sample=True, temperature=5.0, repetition_penalty=9.0)
    assert generate(reader, PROMPTS, max_new_tokens=8) == calm


def test_the_ends_are_those_of_the_configuration_the_first_one_first(opened: Opened) -> None:
    reader = opened("llama")
    reader.module.generation_config.eos_token_id = [11, 257]
    assert end_ids(reader.model) == (257, 11)


@pytest.mark.parametrize("architecture", ["llama", "gpt2", "opt"])
def test_an_answer_ends_with_the_context_and_a_prompt_that_fills_it_is_refused(
    opened: Opened, architecture: str
) -> None:
    reader = opened(architecture)
    found = generate(reader, [[7] * 500, [40, 41]], max_new_tokens=20)
    assert [len(new) for new in found] == [12, 20]
    assert found[1] == generate(reader, [[40, 41]], max_new_tokens=20)[0]
    with pytest.raises(ModelError, match="longer than the 512"):
        generate(reader, [[7] * 512], max_new_tokens=20)


def test_it_can_be_stopped_between_tokens(opened: Opened) -> None:
    told: list[int] = []

    def stop_at_third(done: int) -> None:
        told.append(done)
        if len(told) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        generate(opened("llama"), PROMPTS, max_new_tokens=12, tell=stop_at_third)
    assert told == [0, 0, 0]


def test_a_text_is_cut_at_the_first_stop() -> None:
    assert cut(" Paris\nQuestion: and\n\nmore", ("\n\n", "\nQuestion", "Question:")) == "Paris"
    assert cut("  Paris. ", ()) == "Paris."
