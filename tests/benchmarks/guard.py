"""Time per prompt of reading every layer, and of a true early exit. ``python -m tests.benchmarks.guard``

``[--quick] [--model NAME_OR_FILE] [--rounds N] [--prompts N] [--dtype float32|bfloat16] [--device cpu|cuda]
[--shape 7b]``

Scoring, whole prompts one at a time: (a) `ours`, labels at every layer; (b) `naive`, the library's hidden states of all
layers and the full-vocabulary head on each (at the last position only); (c) `plain`, one full forward pass with logits of
the last position only: the limit. `ours_batch` and `plain_batch` are the same prompts in the same batches.
Early exit: the answer at half depth and at 5/6 depth, asking at every layer from half depth on, against (c); the limit is
the share of layers that run. Fixed demonstrations: ours behind a held prefix, one query at a time and in one call,
against (b). All peers take turns within a round, and ratios are paired there.

``--shape 7b`` takes a randomly initialised Llama of 32 layers and width 4,096 in bfloat16 with 60 demonstrations in place
of a file; on a graphics processor prompts per second and memory are reported too.
"""

import csv
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import cycle
from typing import TYPE_CHECKING, Any

from auditor.models import ModelFile
from auditor.models.exits import Prompt, open_scorer, wait_quietly
from auditor.models.library import Library
from auditor.models.words import words_of
from auditor.resources import resource
from tests.benchmarks.harness import is_quick, ratio, report, summary

if TYPE_CHECKING:
    from auditor.models.exit_scorer import ExitScorer

WORDS = ("negative", "positive")
#: Tokens of demonstrations, and how many there are for the large shape.
DEMONSTRATIONS, MANY = 350, 60
_MS = 1000.0


def option(name: str, default: str) -> str:
    """The value of a command-line option."""
    return sys.argv[sys.argv.index(name) + 1] if name in sys.argv else default


@dataclass(frozen=True)
class Bench:
    """A model and what it is asked."""

    scorer: "ExitScorer"
    labels: list[tuple[int, ...]]
    prompts: list[Prompt]

    @property
    def module(self) -> Any:
        """The model of transformers."""
        return self.scorer.model.module

    @property
    def device(self) -> Any:
        """Where it computes."""
        return self.scorer.model.device

    @property
    def whole(self) -> list[Prompt]:
        """The same prompts without a common prefix."""
        return [Prompt((), prompt.tokens) for prompt in self.prompts]


def seven_b(device: str) -> "ExitScorer":
    """A Llama of the shape of a 7B model with random weights, and the starter's tokenizer."""
    wait_quietly()
    import torch
    from auditor.models.exit_scorer import ExitScorer
    from auditor.models.precision import Precision, pick_device, use_threads
    from auditor.models.readout import take_apart
    from auditor.models.torch_model import PROBE, TorchModel
    from transformers import LlamaConfig, LlamaForCausalLM

    use_threads(None)
    where = pick_device(device)
    starter = Library().get("starter")
    words = words_of(starter, starter.path)
    config = LlamaConfig(
        vocab_size=starter.vocabulary,
        hidden_size=4096,
        intermediate_size=11008,
        num_hidden_layers=32,
        num_attention_heads=32,
        max_position_embeddings=8192,
    )
    torch.manual_seed(0)
    torch.set_default_dtype(torch.bfloat16)
    with torch.device(where):
        module = LlamaForCausalLM(config).eval().requires_grad_(False)
    torch.set_default_dtype(torch.float32)
    file = ModelFile(name="7b-shape", format="folder", path=starter.path, sha256="", size_bytes=0, architecture="llama")
    parts = take_apart(file, module, words.tokenize(PROBE, begin=True))
    return ExitScorer(TorchModel(file, module, words, parts, where, Precision(dtype="bfloat16")))


def rows(name: str) -> list[dict[str, str]]:
    """A file of the bundled sample."""
    with resource("samples", "guard", name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def bench(n: int) -> Bench:
    """Load the model and make the prompts."""
    device, large = option("--device", "cpu"), option("--shape", "") == "7b"
    if large:
        scorer = seven_b(device)
    else:
        model = Library().get(option("--model", "starter"))
        scorer = open_scorer(model, backend="torch", device=device, dtype=option("--dtype", "float32"))
    shown: list[int] = scorer.tokenize("Is the text negative or positive?\n\n", begin=True)
    for number, one in enumerate(cycle(rows("demonstrations.csv"))):
        if number >= MANY if large else len(shown) >= DEMONSTRATIONS:
            break
        shown += scorer.tokenize(f"Text: {one['text']}\nLabel: {one['label']}\n\n", begin=False)
    queries = [scorer.tokenize(f"Text: {one['text']}\nLabel:", begin=False) for one in rows("queries.csv")[:n]]
    prompts = [Prompt(tuple(shown), tuple(query)) for query in queries]
    return Bench(scorer, [scorer.label_tokens(word) for word in WORDS], prompts)


def timed(work: Callable[[], Any], device: Any) -> float:
    """Milliseconds."""
    _wait(device)
    begun = time.perf_counter()
    work()
    _wait(device)
    return (time.perf_counter() - begun) * _MS


def _wait(device: Any) -> None:
    if device.type == "cuda":
        import torch

        torch.cuda.synchronize(device)


def plain(made: Bench, prompts: Sequence[Prompt]) -> None:
    """The limit: one full pass, logits of the last position only."""
    import torch

    width = max(map(len, prompts))
    ids = torch.tensor([[*prompt.tokens, *[0] * (width - len(prompt))] for prompt in prompts], device=made.device)
    with torch.inference_mode():
        made.module(input_ids=ids, use_cache=False, logits_to_keep=1).logits.float().cpu()


def naive(made: Bench, prompt: Prompt) -> None:
    """All hidden states, and the whole head on each."""
    import torch

    parts = made.scorer.model.parts
    norm = parts.norm[-1]
    with torch.inference_mode():
        ids = torch.tensor([prompt.tokens], device=made.device)
        states = made.module(input_ids=ids, use_cache=False, output_hidden_states=True, logits_to_keep=1).hidden_states
        # The last one is normed already.
        lasts = [norm(state[:, -1]) for state in states[1:-1]] + [states[-1][:, -1]]
        for last in lasts:
            parts.head(last).float().cpu()


def exit_at(made: Bench, prompt: Prompt, exit_: int, first: int) -> None:
    """A true early exit."""
    reached, _ = made.scorer.answer(prompt, made.labels, lambda at, _logits: at == exit_, first_exit=first)
    assert reached == exit_


def round_of(made: Bench, number: int) -> dict[str, float]:
    """Every peer once, milliseconds per prompt, in an order that turns from round to round."""
    device, scorer = made.device, made.scorer
    half, later = scorer.n_exits // 2 - 1, round(scorer.n_exits * 5 / 6) - 1
    whole, several = made.whole, made.prompts
    few = whole[: max(2, 1024 // max(map(len, whole)))]
    scorer.hold(several[0].prefix)
    works: list[tuple[str, Callable[[], Any], int]] = []
    for name, work in (
        ("ours", lambda prompt: scorer.scores([prompt], made.labels)),
        ("naive", lambda prompt: naive(made, prompt)),
        ("plain", lambda prompt: plain(made, [prompt])),
        ("exit_half", lambda prompt: exit_at(made, prompt, half, half)),
        ("exit_five_sixths", lambda prompt: exit_at(made, prompt, later, half)),
    ):
        works += [
            (name, lambda work=work, prompt=prompt: work(prompt), 1) for prompt in whole[: 1 if is_quick() else 3]
        ]
    works.append(("ours_batch", lambda: scorer.scores(few, made.labels), len(few)))
    works.append(("plain_batch", lambda: plain(made, few), len(few)))
    works += [
        ("fixed_single", lambda one=one: scorer.scores([one], made.labels), 1)
        for one in several[: 4 if is_quick() else 8]
    ]
    works.append(("fixed_batch", lambda: scorer.scores(several, made.labels), len(several)))
    turn = number * 5 % len(works)
    times: dict[str, list[float]] = {}
    for name, work, prompts in works[turn:] + works[:turn]:
        times.setdefault(name, []).append(timed(work, device) / prompts)
    return {name: sum(found) / len(found) for name, found in times.items()}


def main() -> None:
    """Measure."""
    rounds = int(option("--rounds", "1" if is_quick() else "7"))
    made = bench(int(option("--prompts", "6" if is_quick() else "48")))
    if not is_quick():
        round_of(made, 0)  # libraries warm up
    found = [round_of(made, number) for number in range(rounds)]
    times = {name: [one[name] for one in found] for name in found[0]}
    n_exits = made.scorer.n_exits
    half, later = n_exits // 2 / n_exits, round(n_exits * 5 / 6) / n_exits
    ratios = {
        "scoring_vs_plain_forward": ratio(times["ours"], times["plain"]),
        "scoring_vs_plain_forward_batch": ratio(times["ours_batch"], times["plain_batch"]),
        "naive_vs_ours": ratio(times["naive"], times["ours"]),
        "exit_half_vs_depth_fraction": ratio(times["exit_half"], [half * one for one in times["plain"]]),
        "exit_five_sixths_vs_depth_fraction": ratio(times["exit_five_sixths"], [later * one for one in times["plain"]]),
        "fixed_demos_vs_naive_single": ratio(times["naive"], times["fixed_single"]),
        "fixed_demos_vs_naive_batch": ratio(times["naive"], times["fixed_batch"]),
    }
    figures = {f"{name}_per_prompt": summary(values, "ms") for name, values in times.items()}
    figures["prompts_per_s_fixed_batch"] = summary([_MS / value for value in times["fixed_batch"]], "1/s")
    figures["prompts_per_s_ours_batch"] = summary([_MS / value for value in times["ours_batch"]], "1/s")
    if made.device.type == "cuda":
        import torch

        figures["peak_memory"] = summary([torch.cuda.max_memory_allocated() / 1024**3], "GiB")
    settings = {
        "model": made.scorer.file.name,
        **made.scorer.settings,
        "demonstration_tokens": len(made.prompts[0].prefix),
        "query_tokens": sum(len(prompt.query) for prompt in made.prompts) / len(made.prompts),
        "queries": len(made.prompts),
        "rounds": rounds,
        "depths": {"half": half, "five_sixths": later},
    }
    report(settings, figures, ratios)
    made.scorer.close()


if __name__ == "__main__":
    main()
