"""A judge of two layers with random weights, as a GGUF file that llama.cpp reads: its scores mean nothing, and come at once.

For what does not depend on who judges: what is computed, what is reused, and that a run that was stopped or killed ends
like one that was not. Its words are those of the rubric and the sample, so that prompts are about as long as the starter's.
"""

from pathlib import Path

import numpy as np
from auditor.resources import resource
from gguf import GGMLQuantizationType, GGUFWriter, LlamaFileType
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

_LAYERS, _EMBEDDING, _HEADS, _KV_HEADS, _FEED_FORWARD, _CONTEXT = 2, 64, 4, 2, 96, 8192
_VOCABULARY = 2000
_NORMAL, _CONTROL = 1, 3


def write(path: Path, seed: int = 0) -> Path:
    """Write the model file; takes less than a second."""
    tokens, merges = _vocabulary()
    writer = GGUFWriter(path, "llama")
    writer.add_context_length(_CONTEXT)
    writer.add_block_count(_LAYERS)
    writer.add_embedding_length(_EMBEDDING)
    writer.add_feed_forward_length(_FEED_FORWARD)
    writer.add_head_count(_HEADS)
    writer.add_head_count_kv(_KV_HEADS)
    writer.add_rope_dimension_count(_EMBEDDING // _HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(len(tokens))
    writer.add_file_type(LlamaFileType.MOSTLY_F16)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    writer.add_token_types([_CONTROL] * 2 + [_NORMAL] * (len(tokens) - 2))
    writer.add_token_merges(merges)
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(1)
    writer.add_add_bos_token(False)
    draw = np.random.default_rng(seed)
    for name, shape in _shapes(len(tokens)).items():
        if len(shape) == 1:
            writer.add_tensor(name, np.ones(shape, np.float32))
        else:
            # Wide enough that scores of different texts differ clearly.
            weights = draw.normal(0, 0.2, shape).astype(np.float16)
            writer.add_tensor(name, weights, raw_dtype=GGMLQuantizationType.F16)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _vocabulary() -> tuple[list[str], list[str]]:
    """Tokens in the order of their ids, and merges as llama.cpp takes them."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=_VOCABULARY,
        special_tokens=["<s>", "</s>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    files = (resource("rubrics", "default.toml"), resource("samples", "conversations.jsonl"))
    tokenizer.train_from_iterator((file.read_text(encoding="utf-8") for file in files), trainer)
    ids = tokenizer.get_vocab()
    merges = tokenizer.model.__getstate__()
    return sorted(ids, key=lambda token: ids[token]), _merges(merges)


def _merges(state: bytes) -> list[str]:
    import json

    return [" ".join(pair) for pair in json.loads(state)["merges"]]


def _shapes(vocabulary: int) -> dict[str, tuple[int, ...]]:
    kv = _KV_HEADS * (_EMBEDDING // _HEADS)
    found: dict[str, tuple[int, ...]] = {"token_embd.weight": (vocabulary, _EMBEDDING)}
    for layer in range(_LAYERS):
        begin = f"blk.{layer}."
        found |= {
            begin + "attn_norm.weight": (_EMBEDDING,),
            begin + "attn_q.weight": (_EMBEDDING, _EMBEDDING),
            begin + "attn_k.weight": (kv, _EMBEDDING),
            begin + "attn_v.weight": (kv, _EMBEDDING),
            begin + "attn_output.weight": (_EMBEDDING, _EMBEDDING),
            begin + "ffn_norm.weight": (_EMBEDDING,),
            begin + "ffn_gate.weight": (_FEED_FORWARD, _EMBEDDING),
            begin + "ffn_up.weight": (_FEED_FORWARD, _EMBEDDING),
            begin + "ffn_down.weight": (_EMBEDDING, _FEED_FORWARD),
        }
    return found | {"output_norm.weight": (_EMBEDDING,), "output.weight": (vocabulary, _EMBEDDING)}
