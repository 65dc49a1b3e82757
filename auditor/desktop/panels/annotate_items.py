"""The items of search results as raters see them: read in a process of its own, annotated in the open case."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from PySide6.QtCore import QObject, QTemporaryDir, Signal

from auditor.audits.parity.tones import LEVELS, ToneScale
from auditor.case.records import AnnotationSource
from auditor.case.store import Record
from auditor.desktop.panels.annotate_book import Own, Sheet, ToneBook, read_sheet
from auditor.desktop.panels.annotate_images import ItemImages
from auditor.desktop.panels.annotate_measure import Measurements
from auditor.desktop.session import Session
from auditor.desktop.widgets.contact_sheet import SheetCell

#: What is annotated where nobody has named it.
ATTRIBUTE = "skin tone"


class AnnotateItems(QObject):
    """Sheet, images, measurements and what raters said, of the results that were opened last.

    Signals
    -------
    ready()
        The sheet and the annotations of the case are there.
    failed(str)
        Why they are not.

    Attributes
    ----------
    sheet : Sheet or None
        None until it was read.
    attribute, scale : str
        What is annotated, and how.
    """

    ready = Signal()
    failed = Signal(str)

    def __init__(self, session: Session, parent: QObject) -> None:
        super().__init__(parent)
        self._session = session
        self.sheet: Sheet | None = None
        self.attribute = ATTRIBUTE
        kept = str(session.settings.value("tone_scale", "") or "")
        self.scale: ToneScale = next((scale for scale in LEVELS if scale == kept), "monk")
        self.book = ToneBook()
        self.images = ItemImages(session, self.image_of, self)
        self.measurements = Measurements(session, self)
        self._folder: QTemporaryDir | None = None
        self._turn = 0

    def open(self, results: Path, catalog: Path | None, options: Mapping[str, Any]) -> None:
        """Read results; `ready` or `failed` follows."""
        self.close()
        self.attribute = str(options.get("attribute") or ATTRIBUTE)
        self._folder = QTemporaryDir()
        folder, turn = Path(self._folder.path()), self._turn
        asked = {
            "results": str(results),
            "catalog": str(catalog) if catalog else None,
            "options": dict(options),
            "folder": str(folder),
        }

        def read(infos: Mapping[str, Any]) -> None:
            self._session.background.do(lambda: read_sheet(folder, infos), done, self.failed.emit)

        def done(sheet: Sheet) -> None:
            if turn == self._turn:
                self.sheet = sheet
                self.images.begin(folder)
                self.read_case()

        self._session.asker.ask("annotation_sheet", asked, read, self.failed.emit)

    def read_case(self) -> None:
        """Take in what was said on the scale so far; `ready` follows."""
        case, sheet, turn = self._session.case, self.sheet, self._turn
        if case is None or sheet is None or self._folder is None:
            return
        attribute, scale, folder = self.attribute, self.scale, Path(self._folder.path())

        def done(records: Sequence[Record]) -> None:
            if turn == self._turn and scale == self.scale:
                self.book.read(sheet, attribute, scale, records)
                self.measurements.begin(folder, scale)
                self.ready.emit()

        self._session.background.do(lambda: case.annotations(attribute, scale), done, self.failed.emit)

    def set_scale(self, scale: ToneScale) -> None:
        """Annotate on another scale; what was said on this one stays in the case."""
        self.scale = scale
        self._session.settings.setValue("tone_scale", scale)
        self.read_case()

    @property
    def is_open(self) -> bool:
        """Whether something was opened and not closed."""
        return self._folder is not None

    def close(self) -> None:
        """Hold nothing; copies of images are deleted."""
        self._turn += 1
        for name in ("annotation_sheet", "annotation_agreement"):
            self._session.asker.drop(name)
        self.sheet = None
        self.images.begin(None)
        self.measurements.begin(None, self.scale)
        self._folder = None

    def image_of(self, item: int) -> str:
        """Path of an item's image, or ""."""
        return self.sheet.image(item) if self.sheet else ""

    def can_be_measured(self, item: int) -> bool:
        """Whether an item has an image, and nothing is known against it."""
        known = self.images.known(item)
        return bool(self.image_of(item)) and not (known and known.problem)

    def item_id(self, item: int) -> str:
        """Id of an item."""
        return self.sheet.item_ids.whole_text(item) if self.sheet else ""

    def has_cell(self, query: int, column: int) -> bool:
        """Whether a query's list is that long."""
        return self.sheet is not None and self.sheet.slot(query, column) is not None

    def sheet_cell(self, query: int, column: int) -> SheetCell:
        """What a cell of the sheet shows."""
        slot = self.sheet.slot(query, column) if self.sheet else None
        assert self.sheet is not None
        assert slot is not None
        item = self.sheet.item[slot]
        picture, note = self.images.small(item)
        own, proposal = self.book.own(item), self.measurements.found(item)
        value, proposed = own.value if own else "", proposal.value if proposal else ""
        return SheetCell(self.sheet.item_ids.text(item), self.sheet.rank[slot], picture, note, value, proposed)

    def sheet_query(self, query: int) -> tuple[str, str]:
        """Id of a query, and nothing more: who knows the group of a query may see tones that fit it."""
        return (self.sheet.query_ids.text(query), "") if self.sheet else ("", "")

    def annotate(self, item: int, value: str, *, source: AnnotationSource, blind: bool) -> bool:
        """Commit what the rater says of an item; returns whether it is kept."""
        known, proposal = self.images.known(item), self.measurements.found(item)
        own = Own("", value, source, blind, known.sha256 if known else "", proposal.ita_degrees if proposal else None)
        record = self._commit(item, own)
        if record:
            self.book.took(item, own.kept_as(record))
        return bool(record)

    def _commit(self, item: int, own: Own) -> str:
        made: list[str] = []
        given = self.book.given(self.item_id(item), own)
        self._session.commit_annotation(lambda case: made.append(case.add_annotation(given)))
        return made[0] if made else ""

    def undo(self) -> tuple[int, str] | None:
        """Withdraw the rater's last annotation; the one before it holds again. Returns the item and what was withdrawn."""
        found = self.book.last_step()
        if found is None:
            self._session.said.emit("There is nothing to undo.")
            return None
        step, own = found
        again = ""
        if step.before is not None:
            again = self._commit(step.item, step.before)
            if not again:
                return None
        elif not self._session.commit_annotation(
            lambda case: case.withdraw_annotation(own.record, rater=self.book.rater)
        ):
            return None
        self.book.undone(step, again or None)
        return step.item, own.value

    def ask_agreement(self, show: Callable[[str], None]) -> None:
        """Have the raters' agreement computed; `show` gets it as a sentence."""
        asked = self._kept()
        if len(self.book.raters) < 2:
            show("Known once two raters have annotated the same items.")
        elif asked is not None and self.sheet is not None:
            self._session.asker.ask("annotation_agreement", asked, lambda found: show(found["sentence"]), show)

    def export(self, path: Path, saved: Callable[[], None]) -> None:
        """Save all raters' annotations on the scale as a table; `saved` is called once it is there."""
        asked = self._kept()
        if asked is None:
            return

        def done(answer: Mapping[str, Any]) -> None:
            self._session.said.emit(f"{answer['n']:,} annotations saved as {path.name}.")
            saved()

        self._session.asker.ask("annotation_export", {**asked, "path": str(path)}, done, self._session.said.emit)

    def _kept(self) -> dict[str, Any] | None:
        case = self._session.case
        return None if case is None else {"case": str(case.path), "attribute": self.attribute, "scale": self.scale}
