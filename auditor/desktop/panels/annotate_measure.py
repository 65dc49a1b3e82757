"""Tones measured from images, on request: proposals until a rater confirms them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PySide6.QtCore import QObject, Signal

from auditor.desktop.session import Session

_QUESTION = "annotation_measure"


@dataclass(frozen=True)
class Proposal:
    """What was measured from an image.

    Attributes
    ----------
    value : str
        Nearest tone of the scale; "" where no skin was found.
    sentence : str
        In words.
    overlay : str
        File with the mask.
    ita_degrees : float or None
        Individual typology angle.
    corrections : tuple of mapping
        What was drawn on the mask so far.
    """

    value: str
    sentence: str
    overlay: str
    ita_degrees: float | None
    corrections: tuple[Mapping[str, Any], ...] = ()


class Measurements(QObject):
    """Asks for one measurement at a time and keeps what came.

    Signals
    -------
    arrived(int)
        Item whose measurement has come, or could not be made.
    """

    arrived = Signal(int)

    def __init__(self, session: Session, parent: QObject) -> None:
        super().__init__(parent)
        self._session = session
        self._found: dict[int, Proposal] = {}
        self._folder: Path | None = None
        self._scale = ""
        self._turn = 0

    def begin(self, folder: Path | None, scale: str) -> None:
        """Begin with other items or another scale; nothing is measured while the folder for masks is None."""
        self._session.asker.drop(_QUESTION)
        self._found.clear()
        self._folder, self._scale = folder, scale

    def found(self, item: int) -> Proposal | None:
        """What was measured of an item."""
        return self._found.get(item)

    def ask(self, item: int, image: str, corrections: Sequence[Mapping[str, Any]] = ()) -> None:
        """Measure an item's image, with what was drawn on the mask."""
        if self._folder is None:
            return
        self._turn += 1  # what is on the screen is never written over
        asked = {
            "image": image,
            "scale": self._scale,
            "corrections": list(corrections),
            "folder": str(self._folder),
            "overlay": f"{item}-mask-{self._turn}.png",
        }

        def take(answer: Mapping[str, Any]) -> None:
            self._found[item] = Proposal(
                str(answer.get("value", "")),
                str(answer["sentence"]),
                str(answer["overlay"]),
                answer.get("ita_degrees"),
                tuple(corrections),
            )
            self.arrived.emit(item)

        self._session.asker.ask(_QUESTION, asked, take, self._session.said.emit)
