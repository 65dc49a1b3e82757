"""Requantising a model file with llama.cpp. Imported by worker processes only: native code may take its process along."""

import ctypes
import os
from pathlib import Path

import llama_cpp

from auditor.errors import ModelError
from auditor.models.file import MADE_FROM_KEY, Kind
from auditor.processor import usable_cores

_FILE_TYPES: dict[Kind, int] = {
    "Q4_0": llama_cpp.LLAMA_FTYPE_MOSTLY_Q4_0,
    "Q8_0": llama_cpp.LLAMA_FTYPE_MOSTLY_Q8_0,
    "BF16": llama_cpp.LLAMA_FTYPE_MOSTLY_BF16,
}
#: Rows of a matrix that are held at a time.
_BUFFER_BYTES = 512 * 1024**2
#: More than a file system keeps back for the end of a file that it has taken already.
_PROBE_BYTES = 1024**2


def requantise(source: Path, target: Path, kind: Kind, *, made_from: str) -> None:
    """Write a model's weights with another quantisation.

    Parameters
    ----------
    source, target : Path
        GGUF file to read, and to write; the target is not complete before this returns.
    kind : str
        "Q4_0", "Q8_0" or "BF16".
    made_from : str
        SHA-256 of the source; written into the target's metadata, so that it travels with the file.

    Raises
    ------
    ModelError
        If llama.cpp refuses; nothing of the target is left.
    OSError
        If the target cannot be written, for example because the disk is full; nothing of it is left either.
    """
    said: list[str] = []
    on_log = llama_cpp.llama_log_callback(
        lambda _level, text, _data: said.append(text.decode(errors="replace").strip())
    )
    llama_cpp.llama_log_set(on_log, ctypes.c_void_p(0))
    llama_cpp.llama_backend_init()
    # The list ends with an empty key.
    added = (llama_cpp.llama_model_kv_override * 2)()
    added[0].key = MADE_FROM_KEY.encode()
    added[0].tag = llama_cpp.LLAMA_KV_OVERRIDE_TYPE_STR
    added[0].value.val_str = made_from.encode()
    settings = llama_cpp.llama_model_quantize_default_params()
    settings.nthread = usable_cores()
    settings.ftype = _FILE_TYPES[kind]
    settings.allow_requantize = True
    settings.max_buf_size = _BUFFER_BYTES
    settings.kv_overrides = added
    code = llama_cpp.llama_model_quantize(os.fsencode(source), os.fsencode(target), ctypes.byref(settings))
    if code != 0:
        try:
            _write_on(target)
        finally:
            target.unlink(missing_ok=True)
        reason = next((line for line in reversed(said) if "fail" in line or "error" in line), "")
        raise ModelError(f"llama.cpp could not write {kind}" + (f" ({reason[:200]})." if reason else "."))
    with target.open("rb") as written:
        os.fsync(written.fileno())


def _write_on(target: Path) -> None:
    """Write a little more where llama.cpp stopped: it does not say what kept it, and a disk that is full does.

    llama.cpp goes on until not a byte more fits, so that a little is enough.

    Raises
    ------
    OSError
        If that cannot be written either.
    """
    with target.open("ab") as out:
        out.write(bytes(_PROBE_BYTES))
        out.flush()
        os.fsync(out.fileno())
