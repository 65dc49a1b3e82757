"""Images of items for the annotation desk: read in a process of their own, held as long as they are looked at."""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PySide6.QtCore import QObject, QTimer, Signal
from PySide6.QtGui import QImage, QPixmap

from auditor.desktop.background import Background
from auditor.desktop.session import Session

#: Images that are read at a time, that wait at most, and small ones that are held.
_AT_A_TIME, _WAITING, _HELD = 24, 200, 500
_QUESTION = "annotation_images"


@dataclass(frozen=True)
class Shown:
    """What is known of an image that was read."""

    small: str = ""
    large: str = ""
    sha256: str = ""
    problem: str = ""


class ItemImages(QObject):
    """Reads images when they are first drawn; those asked for last come first.

    Parameters
    ----------
    path_of : callable
        Number of an item -> path of its image, or "".

    Signals
    -------
    arrived()
        Some images can be drawn now.
    """

    arrived = Signal()

    def __init__(self, session: Session, path_of: Callable[[int], str], parent: QObject) -> None:
        super().__init__(parent)
        self._session, self._path_of = session, path_of
        self._background = Background(session)
        self._folder: Path | None = None
        self._known: dict[int, Shown] = {}
        self._pixmaps: OrderedDict[int, QPixmap] = OrderedDict()
        self._wanted: OrderedDict[int, None] = OrderedDict()
        self._alone: list[int] = []
        self._asked: list[int] = []
        self._turn = 0
        # Everything that one painting asks for is read together.
        self._soon = QTimer(self, singleShot=True, interval=0)
        self._soon.timeout.connect(self._ask)

    def begin(self, folder: Path | None) -> None:
        """Begin with other items; copies go to a folder that exists, and nothing is read while it is None."""
        self._turn += 1
        self._session.asker.drop(_QUESTION)
        self._folder = folder
        self._known.clear()
        self._pixmaps.clear()
        self._wanted.clear()
        self._alone, self._asked = [], []

    def known(self, item: int) -> Shown | None:
        """What is known of an item's image; None before it was read."""
        return self._known.get(item)

    def small(self, item: int) -> tuple[QPixmap | None, str]:
        """The picture of a cell, or what stands in its place; it is read if it is not there."""
        pixmap = self._pixmaps.get(item)
        if pixmap is not None:
            self._pixmaps.move_to_end(item)
            return pixmap, ""
        if not self._path_of(item):
            return None, "no image"
        known = self._known.get(item)
        if known is not None and known.problem:
            return None, known.problem
        self._want(item)
        return None, "reading…"

    def _want(self, item: int) -> None:
        if item not in self._asked and item not in self._alone:
            self._wanted[item] = None
            self._wanted.move_to_end(item)
            while len(self._wanted) > _WAITING:
                self._wanted.popitem(last=False)
        self._soon.start()

    def _ask(self) -> None:
        if self._asked or self._folder is None:
            return
        if self._alone:
            items = [self._alone.pop()]
        else:
            items = [self._wanted.popitem()[0] for _ in range(min(_AT_A_TIME, len(self._wanted)))]
        if not items:
            return
        fresh = [item for item in items if item not in self._known]
        self._asked = items
        if not fresh:
            self._load(items)
            return
        asked = {"images": {str(item): self._path_of(item) for item in fresh}, "folder": str(self._folder)}
        self._session.asker.ask(_QUESTION, asked, self._take, self._fail)

    def _take(self, found: dict[str, dict[str, Any]]) -> None:
        for item, facts in found.items():
            self._known[int(item)] = Shown(**facts)
        self._load(self._asked)

    def _load(self, items: list[int]) -> None:
        files = {item: self._known[item].small for item in items if item in self._known and self._known[item].small}
        turn = self._turn

        def read() -> dict[int, QImage]:
            return {item: QImage(file) for item, file in files.items()}

        def done(images: dict[int, QImage]) -> None:
            if turn != self._turn:
                return
            for item, image in images.items():
                if image.isNull():
                    self._known[item] = Shown(problem="The copy of this image cannot be read.")
                else:
                    self._pixmaps[item] = QPixmap.fromImage(image)
            while len(self._pixmaps) > _HELD:
                self._pixmaps.popitem(last=False)
            self._next()

        if files:
            self._background.do(read, done, self._fail)
        else:
            self._next()

    def _fail(self, sentence: str) -> None:
        # Which of them did it is found out by reading them one by one.
        if len(self._asked) > 1:
            self._alone += self._asked
        else:
            for item in self._asked:
                self._known[item] = Shown(problem=sentence)
        self._next()

    def _next(self) -> None:
        self._asked = []
        self.arrived.emit()
        if self._wanted or self._alone:
            self._soon.start()

    @property
    def is_idle(self) -> bool:
        """Whether everything that was asked for is there."""
        return not (self._asked or self._wanted or self._alone or self._soon.isActive()) and self._background.is_idle
