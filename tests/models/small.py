"""Small models of random weights with a real byte-pair tokenizer, which both transformers and llama.cpp read."""

from pathlib import Path
from typing import Any

import torch
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedTokenizerFast

_TEXTS = [
    "Question: Who keeps the lighthouse?\nAnswer: Ada Marsh keeps it, and has done so for 31 years.",
    "The quick brown fox jumps over the lazy dog; it didn't stop for 1,234 hours.",
    "Rooms of the house and what was found in each: a copper kettle, nine barrels, a broken cradle.",
] * 20
_QWEN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
SHAPE = {
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 1024,
    "initializer_range": 0.2,
}
GPT2 = {"n_embd": 64, "n_layer": 2, "n_head": 4, "n_positions": 1024, "initializer_range": 0.1}


def write(folder: Path, architecture: str = "llama", *, begins: bool = True, seed: int = 0, **changes: Any) -> Path:
    """Write a model into a new folder, as transformers does.

    Parameters
    ----------
    architecture : str
        "llama", "qwen2" or "gpt2".
    begins : bool
        Whether a prompt begins with a token of its own.
    """
    tokenizer = _tokenizer("qwen2" if architecture == "qwen2" else "gpt2")
    if begins:
        tokenizer.post_processor = processors.TemplateProcessing(
            single="<s> $A", pair="<s> $A <s> $B", special_tokens=[("<s>", 0)]
        )
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>").save_pretrained(folder)
    torch.manual_seed(seed)
    shape = (GPT2 if architecture == "gpt2" else SHAPE) | changes
    config = AutoConfig.for_model(
        architecture, vocab_size=tokenizer.get_vocab_size(), bos_token_id=0, eos_token_id=1, **shape
    )
    model = AutoModelForCausalLM.from_config(config)
    for weight in model.parameters():
        # Norms and biases that are all alike would hide that they were mixed up.
        weight.data.add_(torch.randn_like(weight), alpha=0.05)
    model.save_pretrained(folder)
    return folder


def _tokenizer(way: str) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = (
        pre_tokenizers.Sequence(
            [
                pre_tokenizers.Split(Regex(_QWEN), behavior="isolated"),
                pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
            ]
        )
        if way == "qwen2"
        else pre_tokenizers.ByteLevel(add_prefix_space=False)
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=["<s>", "</s>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_TEXTS, trainer)
    return tokenizer
