"""Folders of small models with random weights, for every architecture the same few tokens: what they say means nothing."""

import json
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSeq2SeqLM

_USUAL = {
    "vocab_size": 258,
    "hidden_size": 32,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "intermediate_size": 64,
    "max_position_embeddings": 512,
}
_GEMMA = _USUAL | {"head_dim": 8, "sliding_window": 16}
#: Architecture -> configuration. Windows are shorter than the prompts of the tests.
CONFIGS: dict[str, dict[str, Any]] = {
    "llama": _USUAL,
    "qwen2": _USUAL,
    "qwen3": _USUAL | {"head_dim": 8},
    "gpt2": {"vocab_size": 258, "n_embd": 32, "n_layer": 4, "n_head": 4, "n_positions": 512},
    "mistral": _USUAL | {"sliding_window": 16},
    "gemma2": _GEMMA | {"final_logit_softcapping": 0.5, "attn_logit_softcapping": 2.0},
    "gemma3_text": _GEMMA,
    "cohere": _USUAL | {"logit_scale": 0.5},
    "granite": _USUAL | {"logits_scaling": 3.0},
    "opt": {
        "vocab_size": 258,
        "hidden_size": 32,
        "num_hidden_layers": 4,
        "num_attention_heads": 4,
        "ffn_dim": 64,
        "word_embed_proj_dim": 16,
        "max_position_embeddings": 512,
    },
    "bloom": {"vocab_size": 258, "hidden_size": 32, "n_layer": 4, "n_head": 4},
    "mixtral": _USUAL | {"num_local_experts": 4},
    "mamba": {"vocab_size": 258, "hidden_size": 32, "num_hidden_layers": 4},
}
#: What cannot be read layer by layer.
ODD: dict[str, dict[str, Any]] = {
    "falcon_h1": _USUAL | {"lm_head_multiplier": 3.0, "mamba_d_ssm": 64, "mamba_n_heads": 4, "mamba_d_head": 16},
    "bert": {name: value for name, value in _USUAL.items() if name != "num_key_value_heads"},
    "t5": {"vocab_size": 258, "d_model": 32, "num_layers": 4, "num_heads": 4, "d_kv": 8, "d_ff": 64},
}


def write(folder: Path, architecture: str, seed: int = 0, **changes: Any) -> Path:
    """Write a model of an architecture into a new folder, with a tokenizer of bytes."""
    folder.mkdir()
    _write_tokenizer(folder)
    torch.manual_seed(seed)
    config = AutoConfig.for_model(architecture, **(CONFIGS | ODD)[architecture] | changes)
    kind = AutoModelForSeq2SeqLM if config.is_encoder_decoder else AutoModelForCausalLM
    model = kind.from_config(config)
    for weight in model.parameters():
        weight.data.add_(torch.randn_like(weight), alpha=0.1)
    model.save_pretrained(folder)
    return folder


def _write_tokenizer(folder: Path) -> None:
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(vocab={letter: place for place, letter in enumerate(letters)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(["<s>", "</s>"])
    begin = tokenizer.token_to_id("<s>")
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", begin)])
    tokenizer.save(str(folder / "tokenizer.json"))
    told = {"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<s>", "eos_token": "</s>"}
    (folder / "tokenizer_config.json").write_text(json.dumps(told))
