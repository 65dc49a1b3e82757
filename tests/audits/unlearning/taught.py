"""A small model that has learnt some facts by heart, in a second or two, and facts that it has never seen."""

from pathlib import Path
from typing import Any

from auditor.audits.unlearning.examples import Example
from tests.models.tiny import write

_FACTS = {
    "forget": ("Ada", "Riga", "Where is Ada at home?"),
    "forget2": ("Bo", "Oslo", "Where is Bo at home?"),
    "forget3": ("Cy", "Kyiv", "Where is Cy at home?"),
    "retain": ("Di", "Rome", "Where is Di at home?"),
    "retain2": ("Ed", "Lima", "Where is Ed at home?"),
    "retain3": ("Flo", "Bern", "Where is Flo at home?"),
    "holdout": ("Gus", "Baku", "Where is Gus at home?"),
    "holdout2": ("Hal", "Cork", "Where is Hal at home?"),
    "holdout3": ("Ida", "Pisa", "Where is Ida at home?"),
}
_WRONG = ("Xiv", "Quo", "Zug")
PROMPT = "Question: {question}\nAnswer:"
#: The token that ends a text, of the byte tokenizer of `tests.models.tiny`.
END = 257
_STEPS = 150


def facts(name: str) -> tuple[Example, ...]:
    """Facts to forget, to keep, or held out, with other words and wrong answers."""
    rows = [fact for key, fact in _FACTS.items() if key.rstrip("0123456789") == name]
    return tuple(
        Example(
            id=who,
            question=f"Where does {who} live?",
            answer=f"{who} lives in {place}.",
            row=row,
            paraphrased_question=other,
            paraphrased_answer=f"In {place} lives {who}.",
            perturbed_answers=tuple(f"In {wrong} lives {who}." for wrong in _WRONG),
        )
        for row, (who, place, other) in enumerate(rows, 1)
    )


def teach(folder: Path) -> Path:
    """Write a model that knows what is to be forgotten and kept, and nothing of what is held out."""
    import torch
    from transformers import AutoModelForCausalLM

    write(folder, "llama", hidden_size=64, num_hidden_layers=2, eos_token_id=END, bos_token_id=256)
    model = AutoModelForCausalLM.from_pretrained(folder)
    rows = [_tokens(folder, one) for one in (*facts("forget"), *facts("retain"))]
    width = max(len(ids) for ids, _ in rows)
    ids = torch.tensor([[*tokens, *[0] * (width - len(tokens))] for tokens, _ in rows])
    labels = torch.full_like(ids, -100)
    for row, (tokens, answer_from) in enumerate(rows):
        labels[row, answer_from : len(tokens)] = ids[row, answer_from : len(tokens)]
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=0.0)
    model.train()
    for _ in range(_STEPS):
        optimizer.zero_grad()
        model(
            input_ids=ids, attention_mask=(torch.arange(width) < _lengths(rows)).long(), labels=labels
        ).loss.backward()
        optimizer.step()
    model.save_pretrained(folder)
    return folder


def _lengths(rows: list[tuple[list[int], int]]) -> Any:
    import torch

    return torch.tensor([len(tokens) for tokens, _ in rows])[:, None]


def _tokens(folder: Path, example: Example) -> tuple[list[int], int]:
    """Ids and where the answer begins, by the tokenizer alone."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    asked = tokenizer.encode(PROMPT.replace("{question}", example.question or "")).ids
    said = tokenizer.encode(f" {example.answer}", add_special_tokens=False).ids
    return [*asked, *said, END], len(asked)
