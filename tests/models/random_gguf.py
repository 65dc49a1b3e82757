"""Model files of any shape with random weights, for measuring memory: what they say means nothing."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from gguf import GGMLQuantizationType, GGUFWriter, LlamaFileType, quantize

#: Rows of which a matrix is made by repeating them: drawing and quantising billions of numbers would take minutes.
_ROWS = 64
_FILE_TYPES = {
    GGMLQuantizationType.Q4_0: LlamaFileType.MOSTLY_Q4_0,
    GGMLQuantizationType.Q8_0: LlamaFileType.MOSTLY_Q8_0,
    GGMLQuantizationType.BF16: LlamaFileType.MOSTLY_BF16,
    GGMLQuantizationType.F16: LlamaFileType.MOSTLY_F16,
}


@dataclass(frozen=True)
class Shape:
    """A model of the architecture "llama"."""

    layers: int
    embedding: int
    heads: int
    kv_heads: int
    feed_forward: int
    vocabulary: int

    @property
    def head_dim(self) -> int:
        return self.embedding // self.heads

    @property
    def parameters(self) -> int:
        return sum(max(rows, 1) * columns for _, rows, columns in _tensors(self))


MISTRAL_7B = Shape(layers=32, embedding=4096, heads=32, kv_heads=8, feed_forward=14336, vocabulary=32000)
SMALL = Shape(layers=8, embedding=1024, heads=16, kv_heads=4, feed_forward=2816, vocabulary=32000)


def write(path: Path, shape: Shape, kind: GGMLQuantizationType, seed: int = 0) -> Path:
    """Write a model file; needs the memory of its largest matrix."""
    draw = np.random.default_rng(seed)
    writer = GGUFWriter(path, "llama")
    writer.add_context_length(8192)
    writer.add_block_count(shape.layers)
    writer.add_embedding_length(shape.embedding)
    writer.add_feed_forward_length(shape.feed_forward)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.kv_heads)
    writer.add_rope_dimension_count(shape.head_dim)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(shape.vocabulary)
    writer.add_file_type(_FILE_TYPES[kind])
    _add_tokenizer(writer, shape.vocabulary)
    matrices = {}
    for name, rows, columns in _tensors(shape):
        if rows == 0:
            values = np.ones(columns, np.float32)
            writer.add_tensor_info(name, values.shape, values.dtype, values.nbytes)
            matrices[name] = values
            continue
        # As llama.cpp does when it quantises: the last matrix is kept finer.
        as_type = GGMLQuantizationType.Q8_0 if name == "output.weight" and kind.name == "Q4_0" else kind
        one = draw.normal(0, 0.02, (_ROWS, columns)).astype(np.float32)
        block = quantize(one, as_type)
        full = (rows, block.shape[1])
        writer.add_tensor_info(name, full, block.dtype, rows * block.shape[1] * block.itemsize, raw_dtype=as_type)
        matrices[name] = (block, rows)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    for made in matrices.values():
        writer.write_tensor_data(_whole(made))
    writer.close()
    return path


def _whole(made: Any) -> Any:
    if isinstance(made, np.ndarray):
        return made
    block, rows = made
    return np.tile(block, (rows // _ROWS + 1, 1))[:rows]


def _tensors(shape: Shape) -> Iterator[tuple[str, int, int]]:
    """Name, rows (0: a vector) and columns of every tensor."""
    kv = shape.kv_heads * shape.head_dim
    yield "token_embd.weight", shape.vocabulary, shape.embedding
    for layer in range(shape.layers):
        begin = f"blk.{layer}."
        yield begin + "attn_norm.weight", 0, shape.embedding
        yield begin + "attn_q.weight", shape.embedding, shape.embedding
        yield begin + "attn_k.weight", kv, shape.embedding
        yield begin + "attn_v.weight", kv, shape.embedding
        yield begin + "attn_output.weight", shape.embedding, shape.embedding
        yield begin + "ffn_norm.weight", 0, shape.embedding
        yield begin + "ffn_gate.weight", shape.feed_forward, shape.embedding
        yield begin + "ffn_up.weight", shape.feed_forward, shape.embedding
        yield begin + "ffn_down.weight", shape.embedding, shape.feed_forward
    yield "output_norm.weight", 0, shape.embedding
    yield "output.weight", shape.vocabulary, shape.embedding


def _add_tokenizer(writer: GGUFWriter, size: int) -> None:
    """The least that llama.cpp loads: bytes and made-up words."""
    tokens = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
    kinds = [2, 3, 3, *[6] * 256]
    more = size - len(tokens)
    writer.add_tokenizer_model("llama")
    writer.add_token_list([*tokens, *(f"w{number}" for number in range(more))])
    writer.add_token_scores([0.0] * size)
    writer.add_token_types([*kinds, *[1] * more])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_unk_token_id(0)
