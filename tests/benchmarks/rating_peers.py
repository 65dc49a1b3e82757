"""One measurement of `tests.benchmarks.rating`: ``python -m tests.benchmarks.rating_peers NAME MODEL FILE``.

A process of its own. Prints JSON: seconds for all ratings (loading is not counted, and on a graphics processor neither
is the first conversation, which loads the kernels), and the speed of a plain prefill. The peers are given the same
conversations, axis texts and scale.
"""

import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from auditor.audits import InputFile
from auditor.audits.rating import inputs, rubric
from auditor.audits.rating.conversation import Conversation
from auditor.audits.rating.judge import Judge, load_scorer
from auditor.audits.rating.prompt import instructions_of, question_of
from auditor.models import ModelFile
from auditor.models.library import Library
from auditor.models.measure import measured_plan
from auditor.models.tree import unique_tokens
from auditor.processor import usable_cores

N_CTX = 2048
PREFILL = 512
#: A plain prefill is repeated until this much time went by, and the median taken: it takes milliseconds on some devices.
_PREFILL_SECONDS = 0.5
_GRAMMAR = "root ::= [1-5]"
_RUBRIC = rubric.load()
_AXES = tuple(axis.name for axis in _RUBRIC.axes)


def conversations(file: Path) -> list[Conversation]:
    """The conversations that are rated."""
    return list(inputs.conversations(InputFile(file, file.name, ""), {}, on_bad=print))


def text_of(conversation: Conversation) -> str:
    """A conversation as it stands in a prompt."""
    return "".join(f"{turn.role.capitalize()}: {turn.text.strip()}\n\n" for turn in conversation.turns)


def messages(conversation: Conversation, axis: str, *, axis_last: bool) -> list[dict[str, str]]:
    """The rating prompt as chat messages: the axis's rubric in the system turn, or the whole rubric and the axis last."""
    asked = _RUBRIC.axis(axis)
    alone = _RUBRIC.model_copy(update={"axes": (asked,)})
    shown = instructions_of(_RUBRIC if axis_last else alone, "last_response")
    user = f"Conversation:\n\n{text_of(conversation)}"
    user += f"{question_of(asked)}\nRating:" if axis_last else "Rating:"
    return [{"role": "system", "content": shown}, {"role": "user", "content": user}]


def ours(model: ModelFile, found: Sequence[Conversation]) -> dict[str, Any]:
    """Our engine, with the limit of the same process: unique tokens over the speed of plain prefill."""
    with load_scorer(model, n_ctx=N_CTX) as scorer:
        plan = measured_plan(scorer).plan
        judge = Judge(scorer, _RUBRIC, _AXES, scope="last_response", n_ctx=N_CTX)
        if scorer.on_gpu:
            judge.rate(found[0])
            scorer.release()
        scorer.hold(list(range(100, 164)))
        begun = time.perf_counter()
        prepared = [judge.prepare(conversation) for conversation in found]
        layout = judge.layout(prepared, [range(len(_AXES))] * len(found))
        preparing = time.perf_counter() - begun
        n = sum(len(batch) for batch in judge.score(layout))
        seconds = time.perf_counter() - begun
        tokens = len(judge.prompt.prefix) + unique_tokens([one.unit for one in prepared])
        length = int(np.mean([len(judge.prompt.prefix) + len(one.unit.body) for one in prepared]))
        length += max(map(len, judge.prompt.suffixes))
        wide = min(N_CTX, plan.n_ubatch) if scorer.on_gpu else PREFILL
        return {
            "seconds": seconds,
            "preparing": preparing,
            "ratings": n,
            "tokens": tokens,
            "prompt_length": length,
            "limit_prompt_length": wide,
            "prefill": prefill(scorer.prefill, wide),
            "prefill_at_length": prefill(scorer.prefill, length),
            "plan": plan.model_dump(),
            "device": scorer.device,
        }


def prefill(decode: Callable[[list[int]], None], n: int) -> float:
    """Tokens per second of one plain prompt of n random tokens."""
    tokens = np.random.default_rng(0).integers(100, 20_000, n).tolist()
    seconds: list[float] = []
    while sum(seconds) < _PREFILL_SECONDS:
        begun = time.perf_counter()
        decode(tokens)
        seconds.append(time.perf_counter() - begun)
    return n / median(seconds)


def loop(model: ModelFile, found: Sequence[Conversation], *, axis_last: bool) -> dict[str, Any]:
    """A plain loop of chat completions that answer with one digit; the stock reuse of the last prompt's prefix is on."""
    from llama_cpp import Llama, LlamaGrammar, llama_supports_gpu_offload

    llama = Llama(
        str(model.path),
        n_ctx=N_CTX,
        n_threads=usable_cores(),
        n_threads_batch=usable_cores(),
        flash_attn=axis_last,
        n_gpu_layers=-1,
        verbose=False,
    )
    grammar = LlamaGrammar.from_string(_GRAMMAR, verbose=False)

    def rate(conversation: Conversation) -> None:
        for axis in _AXES:
            llama.create_chat_completion(
                messages(conversation, axis, axis_last=axis_last), grammar=grammar, max_tokens=1, temperature=0
            )

    offloads = bool(llama_supports_gpu_offload())
    if offloads:
        rate(found[0])
        llama.reset()
    begun = time.perf_counter()
    for conversation in found:
        rate(conversation)
    return {"seconds": time.perf_counter() - begun, "ratings": len(found) * len(_AXES), "offloads": offloads}


def server(model: ModelFile, found: Sequence[Conversation], *, slots: int) -> dict[str, Any]:
    """llama-server in a process, through xllamacpp, asked as its users do; with its own speed of prefill."""
    import xllamacpp as xlc

    parameters = xlc.CommonParams()
    parameters.model.path = str(model.path)
    parameters.n_ctx = N_CTX * slots
    parameters.n_parallel = slots
    parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = usable_cores()
    parameters.flash_attn_type = xlc.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_ENABLED
    parameters.cache_prompt = True
    parameters.verbosity = -1
    running = xlc.Server(parameters)

    def ask(asked: dict[str, Any], chat: bool) -> dict[str, Any]:
        handle = running.handle_chat_completions if chat else running.handle_completions
        answer = handle({"temperature": 0, "cache_prompt": True, **asked})
        if isinstance(answer, (str, bytes)):
            answer = json.loads(answer)
        assert "error" not in answer, answer
        return dict(answer)

    tokens = np.random.default_rng(1).integers(100, 20_000, PREFILL).tolist()
    ask({"prompt": tokens[:32], "max_tokens": 1}, chat=False)
    begun = time.perf_counter()
    ask({"prompt": tokens[32:], "max_tokens": 1}, chat=False)
    speed = (PREFILL - 32) / (time.perf_counter() - begun)
    begun = time.perf_counter()
    for conversation in found:
        for axis in _AXES:
            asked = {"messages": messages(conversation, axis, axis_last=True), "grammar": _GRAMMAR, "max_tokens": 1}
            ask(asked, chat=True)
    return {"seconds": time.perf_counter() - begun, "ratings": len(found) * len(_AXES), "prefill": speed}


PEERS: dict[str, Callable[[ModelFile, Sequence[Conversation]], dict[str, Any]]] = {
    "ours": ours,
    "loop": lambda model, found: loop(model, found, axis_last=False),
    "best_loop": lambda model, found: loop(model, found, axis_last=True),
    "server": lambda model, found: server(model, found, slots=1),
}


def main() -> None:
    """Measure one."""
    name, model, file = sys.argv[1:4]
    told = PEERS[name](Library().get(model), conversations(Path(file)))
    print(json.dumps(told))  # noqa: T201


if __name__ == "__main__":
    main()
