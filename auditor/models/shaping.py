"""What architectures do to the products of their heads, as their configurations say it. Worker processes only."""

from dataclasses import dataclass
from typing import Any

import torch


@dataclass(frozen=True)
class Shaping:
    """What an architecture does to its head's products.

    Attributes
    ----------
    scale : float
        They are multiplied by it; 1 for most.
    soft_cap : float, optional
        Then pressed between -soft_cap and soft_cap: soft_cap x tanh(logit / soft_cap).
    """

    scale: float
    soft_cap: float | None

    def __call__(self, logits: Any) -> Any:
        """Logits as the model says them."""
        logits = logits * self.scale
        return logits if self.soft_cap is None else torch.tanh(logits / self.soft_cap) * self.soft_cap


def shaping_of(config: Any) -> Shaping:
    """What a configuration of transformers says is done to logits."""
    text = config.get_text_config(decoder=True)
    times, over = getattr(text, "logit_scale", None), getattr(text, "logits_scaling", None)
    cap = getattr(text, "final_logit_softcapping", None)
    return Shaping((1.0 if times is None else float(times)) / (1.0 if over is None else float(over)), cap)
