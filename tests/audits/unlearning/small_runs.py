"""Settings with which a small model learns some facts and forgets a part of them in a second or two."""

from typing import Any

_COMMON = {"dtype": "float32", "device": "cpu", "warmup_epochs": 0.0, "weight_decay": 0.0, "schedule": "constant"}
LEARN: dict[str, Any] = _COMMON | {
    "method": "learn",
    "epochs": 25,
    "batch_size": 9,
    "learning_rate": 5e-3,
    "checkpoint_steps": 10,
}
#: Without GGUF files and without relearning, which most tests are not about.
UNLEARN: dict[str, Any] = _COMMON | {
    "epochs": 12,
    "batch_size": 6,
    "learning_rate": 2e-3,
    "new_tokens": 6,
    "lambda_start": 10.0,
    "dual_step": 5.0,
    "dual_warmup_epochs": 0,
    "checkpoint_steps": 4,
    "probe_steps": 2,
    "gguf": False,
    "relearn_steps": 0,
}
