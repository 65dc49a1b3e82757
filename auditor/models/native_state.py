"""What llama.cpp's cache holds of one sequence, as bytes. Imported by worker processes only."""

import ctypes
from typing import Any

import llama_cpp


def state_of(context: Any, sequence: int) -> Any:
    """The bytes of a sequence, an array of ctypes; None if llama.cpp does not give them."""
    size = llama_cpp.llama_state_seq_get_size(context, sequence)
    state = (ctypes.c_uint8 * size)()
    return state if llama_cpp.llama_state_seq_get_data(context, state, size, sequence) == size else None


def restore(context: Any, sequence: int, state: Any) -> bool:
    """Put the bytes of a sequence back into an emptied cache; whether that worked."""
    return bool(llama_cpp.llama_state_seq_set_data(context, state, len(state), sequence))
