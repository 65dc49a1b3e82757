"""Unlearning while it runs: forget loss, retain loss against epsilon, probabilities of probed answers, lambda, pace."""

from collections import deque
from collections.abc import Mapping, Sequence
from datetime import datetime
from statistics import fmean
from typing import Any

from PySide6.QtCore import Qt
from PySide6.QtGui import QColor, QPen
from PySide6.QtWidgets import QGridLayout, QWidget

from auditor.audits.unlearning.words import percent
from auditor.desktop import theme
from auditor.desktop.widgets.live_chart import Curve, LiveChart
from auditor.runs.clock import duration

#: Steps whose times tell how long the others will take: many, so that probes and checkpoints take part as often as they are made.
_PACE_STEPS = 60
#: How the trainer calls what it does; see `auditor.audits.unlearning.trainer`.
_TRAINING = "epoch "


def _kept(look: theme.Theme) -> QPen:
    return QPen(QColor(look.accent), 2)


def _forgotten(look: theme.Theme) -> QPen:
    return QPen(QColor(look.ink), 2, Qt.PenStyle.DashLine)


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


class LiveTraining(QWidget):
    """Draws what the events of a run say of its training."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName("Training so far")
        self.forget = LiveChart("Forget loss", {"forget_loss": Curve("now", _forgotten)}, _number)
        self.retain = LiveChart("Retain loss, nats", {"retain_loss": Curve("now", _kept)}, _number)
        curves = {"retain_probability": Curve("to keep", _kept), "forget_probability": Curve("to forget", _forgotten)}
        self.probability = LiveChart("Probability a token, probed answers", curves, _share, highest=1.0)
        self.weight = LiveChart("Lambda", {"lambda": Curve("now", _kept)}, _number)
        self._charts = (self.forget, self.retain, self.probability, self.weight)
        self._by_metric = {name: chart for chart in self._charts for name in chart.curves}
        layout = QGridLayout(self)
        layout.setContentsMargins(0, 10, 0, 0)
        layout.setSpacing(14)
        for place, chart in enumerate(self._charts):
            layout.addWidget(chart, place // 2, place % 2)
        self.begin("pdu")

    def begin(self, method: str) -> None:
        """Forget what was drawn; a method has what it has."""
        self.step, self.total, self._where = 0, 0, ""
        self._epsilon: float | None = None
        self._tokens_per_s: float | None = None
        self._last_step_at: datetime | None = None
        self._times: deque[float] = deque(maxlen=_PACE_STEPS)
        for chart in self._charts:
            chart.clear()
        unlearns = method != "learn"
        self.forget.title = "Forget loss: squared margin of logits" if method == "pdu" else "Forget loss"
        if not unlearns:
            self.forget.title = "Loss, nats"
        for chart in (self.retain, self.probability):
            chart.setVisible(unlearns)
        self.weight.setVisible(method == "pdu")
        self._describe()

    def take_events(self, events: Sequence[Mapping[str, Any]]) -> None:
        """Take in events of the run, from its first on."""
        for event in events:
            kind = event["kind"]
            if kind == "metric" and event["step"] is not None:
                self._take_metric(event)
            elif kind == "progress" and str(event["message"]).startswith(_TRAINING):
                self._take_progress(event)
            elif kind == "row" and event["table"] == "stages" and event["row"].get("stage") == "bound":
                self._take_bound(event["row"]["result"])
            elif kind == "state":
                # Between two processes no step was taken.
                self._last_step_at = None
        for chart in self._charts:
            chart.show_news()
        self._describe()

    def _take_metric(self, event: Mapping[str, Any]) -> None:
        name, step, value = str(event["name"]), int(event["step"]), float(event["value"])
        if name in self._by_metric:
            self._by_metric[name].take(name, step, value)
        if name == "forget_loss":
            self.step = step
            now = datetime.fromisoformat(event["t"])
            if self._last_step_at is not None:
                self._times.append((now - self._last_step_at).total_seconds())
            self._last_step_at = now
        elif name == "tokens_per_s":
            self._tokens_per_s = value

    def _take_progress(self, event: Mapping[str, Any]) -> None:
        self._where = str(event["message"])
        self.step, self.total = int(event["done"]), int(event["total"] or 0)
        for chart in self._charts:
            chart.set_last_step(self.total)

    def _take_bound(self, bound: Mapping[str, Any]) -> None:
        epsilon = bound.get("epsilon")
        if epsilon is not None:
            self._epsilon = float(epsilon)
            self.retain.set_bound(self._epsilon, "epsilon")

    @property
    def has_steps(self) -> bool:
        """Whether there is anything to draw."""
        return any(curve.steps for chart in self._charts for curve in chart.curves.values())

    @property
    def where(self) -> str:
        """How far the training is, in words; empty before its first step."""
        if not self.total:
            return ""
        epoch = f", {self._where}" if self._where else ""
        return f"step {self.step:,} of {self.total:,}{epoch}"

    @property
    def left_s(self) -> float | None:
        """Seconds of training that are left, from the last steps and what was done between them; None while that is not known."""
        return fmean(self._times) * (self.total - self.step) if self._times and self.total else None

    @property
    def sentence(self) -> str:
        """What the figures are now, in words; empty while there are none."""
        parts = []
        retain = self.retain.curves["retain_loss"].values
        if retain:
            side = "" if self._epsilon is None else _side(retain[-1], self._epsilon)
            parts.append(f"Retain loss of the last step {_number(retain[-1])} nats{side}")
        forget, kept = (self.probability.curves[f"{name}_probability"] for name in ("forget", "retain"))
        if forget.values and kept.values:
            parts.append(
                f"probability of probed answers to forget {percent(forget.values[-1])}, to keep "
                f"{percent(kept.values[-1])} (step {forget.steps[-1]:,})"
            )
        weight = self.weight.curves["lambda"].values
        if weight:
            parts.append(f"lambda {_number(weight[-1])}")
        if self._tokens_per_s is not None:
            parts.append(f"{self._tokens_per_s:,.0f} tokens/s")
        told = " · ".join(parts)
        return f"{told[:1].upper()}{told[1:]}"

    def _describe(self) -> None:
        self.setAccessibleDescription(self.sentence)

    def left_words(self) -> str:
        """The same in words, with a comma before it; empty while that is not known."""
        left = self.left_s
        return "" if left is None or self.step >= self.total else f", about {duration(left)} of training left"


def _side(loss: float, epsilon: float) -> str:
    return f", {'within' if loss <= epsilon else 'above'} epsilon {_number(epsilon)}"


def _share(value: float) -> str:
    return percent(value)
