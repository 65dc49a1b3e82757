"""Shows a test while it runs."""

import time

from auditor.audits import Context
from auditor.audits.parity.permutation import SoFar
from auditor.audits.stages import stop_if_asked

_METRIC_SECONDS = 0.25


class Sharpening:
    """Shows a p-value while it sharpens: the closed form first, then relabelling by relabelling."""

    def __init__(self, context: Context, message: str) -> None:
        self._context, self._message = context, message
        self._told = float("-inf")

    def __call__(self, so_far: SoFar) -> None:
        """Tell where the test stands.

        Raises
        ------
        Cancelled
            If a person asked for it.
        """
        stop_if_asked(self._context)
        self._context.progress(so_far.done, so_far.total, self._message)
        now = time.monotonic()
        if now - self._told < _METRIC_SECONDS and so_far.done not in (0, so_far.total):
            return
        self._told = now
        if so_far.done == 0:
            self._context.metric("closed_form_p", so_far.p_value, 0)
        else:
            self._context.metric("p_value", so_far.p_value, so_far.done)
            self._context.metric("p_low", so_far.p_low, so_far.done)
            self._context.metric("p_high", so_far.p_high, so_far.done)
