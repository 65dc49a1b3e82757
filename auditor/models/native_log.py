"""What llama.cpp says: its log, and what it makes use of in this processor. Imported by worker processes only."""

import ctypes
import re
from collections import deque

import llama_cpp

#: What it said last. Its log is one for the whole process, and it keeps the callback without owning it.
SAID: deque[str] = deque(maxlen=2000)
_ON_LOG = llama_cpp.llama_log_callback(lambda _level, text, _data: SAID.append(text.decode(errors="replace").rstrip()))
#: How it names a device that takes layers; what is free there is not part of the name, since that differs every time.
_DEVICE = re.compile(r": using device (.+?)(?: - \d+ MiB free)?$")


def listen() -> None:
    """Keep the log here instead of letting it be printed."""
    llama_cpp.llama_log_set(_ON_LOG, ctypes.c_void_p(0))


def features() -> str:
    """Instructions of the processor that it was built to use."""
    return str(llama_cpp.llama_print_system_info().decode()).strip().strip("|").strip()


def devices() -> list[str]:
    """Graphics processors that it said last it would offload layers to."""
    return [found[1] for line in SAID if (found := _DEVICE.search(line))]
