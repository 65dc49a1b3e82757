"""The annotation desk: a contact sheet whose items get their tones by keyboard, rater by rater."""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from PySide6.QtCore import Qt, QTimer, Signal
from PySide6.QtWidgets import QFileDialog, QSplitter, QVBoxLayout, QWidget

from auditor.audits.parity.tones import LEVELS, UNCERTAIN
from auditor.case.records import AnnotationSource
from auditor.desktop.panels import annotate_keys
from auditor.desktop.panels.annotate_bar import AnnotateBar
from auditor.desktop.panels.annotate_items import AnnotateItems
from auditor.desktop.panels.annotate_pages import AnnotatePages
from auditor.desktop.panels.annotate_side import AnnotateSide
from auditor.desktop.session import Session
from auditor.desktop.widgets.contact_sheet import ContactSheet, SheetModel
from auditor.desktop.widgets.detail import plain_label
from auditor.desktop.widgets.pane import ScrollPane
from auditor.desktop.widgets.swatches import tone_words

_NO_NAME = "Enter your name first: it is kept with your annotations."
_NO_CASE = "Annotations are kept in a case: make or open one first."
_READ_ONLY = "This case is open for reading only: nobody can annotate in it here."
_AGREEMENT_MS = 1200


class AnnotationDesk(QWidget):
    """One rater at the keyboard, over the items of search results.

    Signals
    -------
    closed()
        The rater wants to go back.
    exported(str)
        Path of a table of annotations that was saved.
    """

    closed = Signal()
    exported = Signal(str)

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self.items = AnnotateItems(session, self)
        self.items.ready.connect(self._show_sheet)
        self.items.failed.connect(self._fail)
        self.items.images.arrived.connect(self._show_arrived)
        self.items.measurements.arrived.connect(self._show_arrived)
        self._seen: set[int] = set()
        self._revealed = False
        self._build()
        self._agreement = QTimer(self, singleShot=True, interval=_AGREEMENT_MS)
        self._agreement.timeout.connect(partial(self.items.ask_agreement, self.side.alpha.setText))
        self._make_shortcuts()
        session.case_changed.connect(self._leave)

    def _build(self) -> None:
        self.bar = AnnotateBar()
        self.bar.back.connect(self.closed)
        self.bar.named.connect(self._take_rater)
        self.bar.scale_asked.connect(self._take_scale)
        self.bar.blind.toggled.connect(lambda _on: self._show_others())
        self.bar.export_asked.connect(self._choose_export)
        self.model = SheetModel(self.items, self)
        self.sheet = ContactSheet(self.model)
        self.sheet.moved.connect(self._moved)
        self.sheet.doubleClicked.connect(lambda _index: self.toggle_large())
        self.bar.resized.connect(self.sheet.resize_cells)
        self.middle = AnnotatePages(self.sheet)
        self.large, self.state = self.middle.large, self.middle.state
        self.bar.done.connect(self.middle.look)
        self.side = AnnotateSide()
        for picture in (self.large, self.side.picture):
            picture.corrected.connect(self._correct)
        self.side.pressed.connect(self.annotate)
        self.side.measure_asked.connect(self.measure)
        self.side.confirmed.connect(self.confirm)
        self.side.reset_asked.connect(self.measure)
        self.side.reveal_asked.connect(self.toggle_others)
        pane = ScrollPane(self.side)
        # A click beside a key leaves the focus where the sheet is.
        pane.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        splitter = QSplitter(Qt.Orientation.Horizontal)
        splitter.addWidget(self.middle)
        splitter.addWidget(pane)
        splitter.setChildrenCollapsible(False)
        splitter.setStretchFactor(0, 1)
        splitter.setStretchFactor(1, 0)
        splitter.setSizes([900, 290])
        self.help = plain_label(name="help")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(16, 12, 16, 10)
        layout.setSpacing(10)
        layout.addWidget(self.bar)
        layout.addWidget(splitter, 1)
        layout.addWidget(self.help)

    def _make_shortcuts(self) -> None:
        commands: list[tuple[str, Callable[[], object]]] = [
            *((str(digit), partial(self._digit, digit)) for digit in range(10)),
            ("Z", partial(self.annotate, UNCERTAIN)),
            ("?", partial(self.annotate, UNCERTAIN)),
            ("U", self.undo),
            ("J", self.next_open),
            ("M", self.measure),
            ("O", self.toggle_others),
            ("+", partial(self.sheet.resize_cells, 1)),
            ("-", partial(self.sheet.resize_cells, -1)),
            ("Escape", self._escape),
        ]
        annotate_keys.bind_everywhere(self, commands)
        annotate_keys.bind_pages((self.sheet, self.large), self.toggle_large, self.confirm)
        annotate_keys.bind_arrows(self.large, self.sheet.step)

    def open(self, results: Path, catalog: Path | None, options: Mapping[str, Any]) -> bool:
        """Read results and show their items; returns whether there is a case that annotations can be kept in.

        Parameters
        ----------
        results : Path
            Search results in any of the formats of a parity run.
        catalog : Path, optional
            Where images may be named.
        options : mapping
            Fields of a parity spec: format, mapping, folder of images; ``attribute`` names what is annotated.
        """
        case = self._session.case
        if case is None or not case.writable:
            self._session.said.emit(_NO_CASE if case is None else _READ_ONLY)
            return False
        self._forget()
        self.items.book.rater = str(self._session.settings.value("rater", "") or "")
        self.bar.scale.setCurrentIndex(self.bar.scale.findData(self.items.scale))
        self.items.open(results, catalog, options)
        self.bar.show_title(f"Annotate {self.items.attribute}: {results.name}")
        self.state.setText(f"Reading {results.name}…")
        return True

    def _forget(self) -> None:
        self._agreement.stop()
        self.items.close()
        self._seen.clear()
        self._revealed = False
        self.model.set_size(0, 0)
        self.middle.show_words()
        self.side.setEnabled(False)
        self.side.clear()

    def _leave(self) -> None:
        # Another case is open: what was annotated in the last one is kept there.
        if self.items.is_open:
            self._forget()
            self.closed.emit()

    def _fail(self, sentence: str) -> None:
        self.middle.show_words(sentence)

    def _show_sheet(self) -> None:
        sheet, book = self.items.sheet, self.items.book
        if sheet is None or not sheet.n_queries:
            self._fail("The file holds no results.")
            return
        self.model.scale = self.items.scale
        self.side.show_scale(self.items.scale)
        self._show_help()
        if not self.model.rowCount():
            self.model.set_size(sheet.n_queries, sheet.longest)
        self.side.setEnabled(True)
        self.middle.show_sheet()
        self.bar.show_raters(book.raters, book.rater)
        self.sheet.go_to(*sheet.cell(book.next_open(-1) or 0))
        self._show_item()
        self.sheet.redraw()
        self.items.ask_agreement(self.side.alpha.setText)
        if book.rater:
            self.middle.look()
        else:
            self.bar.name.setFocus()

    @property
    def slot(self) -> int | None:
        """Slot of the current cell."""
        sheet, index = self.items.sheet, self.sheet.currentIndex()
        return sheet.slot(index.row(), index.column()) if sheet and index.isValid() else None

    @property
    def item(self) -> int | None:
        """Number of the item in view."""
        slot = self.slot
        return self.items.sheet.item[slot] if self.items.sheet and slot is not None else None

    def _moved(self, _query: int, _column: int) -> None:
        self._revealed = False
        self._show_item()

    def _show_item(self) -> None:
        sheet, slot, item = self.items.sheet, self.slot, self.item
        if sheet is None or slot is None or item is None:
            return
        own = self.items.book.own(item)
        held = f"You said: {tone_words(self.items.scale, own.value)}, {own.source}." if own else "Not annotated by you."
        where = f"Query {self.items.sheet_query(sheet.cell(slot)[0])[0]}, rank {sheet.rank[slot]:,}"
        self.side.show_item(self.items.item_id(item), where, own.value if own else "", held)
        self._show_pictures(item)
        self._show_others()
        book = self.items.book
        self.bar.show_progress(book.n_said, book.n_uncertain, book.n_items, book.rater)

    def _show_pictures(self, item: int) -> None:
        known, proposal = self.items.images.known(item), self.items.measurements.found(item)
        words = self.items.item_id(item) if known and known.large else self.items.images.small(item)[1]
        overlay = proposal.overlay if proposal else ""
        is_large = self.middle.is_large
        if is_large:
            self.large.show_image(known.large if known else "", words, overlay=overlay)
        self.side.picture.setVisible(not is_large)
        self.side.picture.show_image(known.small if known else "", words, overlay=overlay)
        self.side.measure.setEnabled(self.items.can_be_measured(item))
        self.side.show_proposal(proposal)

    def _show_arrived(self, item: int | None = None) -> None:
        # Images have come, or the measurement of one item.
        self.sheet.redraw()
        if self.item is not None and item in (None, self.item):
            self._show_pictures(self.item)

    def _show_others(self) -> None:
        item = self.item
        if item is None:
            return
        is_shown = self._revealed or not self.bar.blind.isChecked()
        self.side.show_others(self.items.book.others(item) if is_shown else None, was_seen=item in self._seen)
        if is_shown:
            self._seen.add(item)

    def toggle_others(self) -> None:
        """Show what other raters said of the item in view, or hide it again."""
        self._revealed = not self._revealed
        self._show_others()

    def toggle_large(self) -> None:
        """Show the image in large, or the sheet again."""
        if self.item is None:
            return
        self.middle.toggle_large()
        self._show_pictures(self.item)
        self._show_help()
        self.middle.look()

    def _show_help(self) -> None:
        self.help.setText(annotate_keys.help_words(self.items.scale, is_large=self.middle.is_large))

    def _escape(self) -> None:
        if self.middle.is_large:
            self.toggle_large()
        elif self.sheet.hasFocus() or self.middle.is_empty:
            self.closed.emit()
        else:
            self.middle.look()

    def _digit(self, digit: int) -> None:
        levels = LEVELS[self.items.scale]
        place = (digit - 1) % 10
        if place < len(levels):
            self.annotate(levels[place])

    def annotate(self, value: str, source: AnnotationSource = "by eye") -> None:
        """Commit the rater's tone of the item in view, and go on to what is not annotated yet."""
        item = self.item
        if item is None or self._needs_name():
            return
        if self.items.annotate(item, value, source=source, blind=item not in self._seen):
            self._agreement.start()
            self.sheet.redraw()
            self.next_open()

    def confirm(self) -> None:
        """Take the measured tone of the item in view as the rater's own."""
        proposal = self.items.measurements.found(self.item) if self.item is not None else None
        if proposal is None or not proposal.value:
            self._session.said.emit("There is no proposal to confirm: M measures the image.")
            return
        self.annotate(proposal.value, "measurement confirmed")

    def measure(self) -> None:
        """Measure the image of the item in view; what comes is a proposal."""
        self._measure([])

    def _correct(self, stroke: Mapping[str, Any]) -> None:
        proposal = self.items.measurements.found(self.item) if self.item is not None else None
        self._measure([*(proposal.corrections if proposal else ()), stroke])

    def _measure(self, corrections: list[Mapping[str, Any]]) -> None:
        item = self.item
        if item is None or not self.items.can_be_measured(item):
            self._session.said.emit("This item has no image that could be measured.")
            return
        self.items.measurements.ask(item, self.items.image_of(item), corrections)

    def _needs_name(self) -> bool:
        if self.items.book.rater:
            return False
        self._session.said.emit(_NO_NAME)
        self.bar.name.setFocus()
        return True

    def next_open(self) -> None:
        """Go to the next item that is not annotated, from the beginning again at the end."""
        slot, sheet, book = self.slot, self.items.sheet, self.items.book
        following = book.next_open(slot if slot is not None else -1)
        if following is None or sheet is None:
            self._show_item()
            self._session.said.emit(f"{book.rater} has annotated all {book.n_items:,} items.")
        else:
            self.sheet.go_to(*sheet.cell(following))
            self._show_item()

    def undo(self) -> None:
        """Withdraw the rater's last annotation, and the one before when pressed again; the item comes into view."""
        undone, sheet = self.items.undo(), self.items.sheet
        if undone is None or sheet is None:
            return
        item, value = undone
        self.sheet.go_to(*sheet.cell(self.items.book.first_slot(item)))
        self._show_item()
        self.sheet.redraw()
        self._agreement.start()
        words = tone_words(self.items.scale, value)
        self._session.said.emit(f"Withdrawn: {words} for item {self.items.item_id(item)}.")

    def _take_rater(self, name: str) -> None:
        book = self.items.book
        if not name or name == book.rater:
            return
        if book.rater:
            # Another person sits down, who has seen nothing yet.
            self._seen.clear()
            self._revealed = False
        book.sit_down(name)
        self._session.settings.setValue("rater", name)
        self.bar.show_raters(book.raters, book.rater)
        sheet, item = self.items.sheet, self.item
        if sheet is not None and item is not None and book.own(item) is not None:
            self.sheet.go_to(*sheet.cell(book.next_open(-1) or 0))
        self._show_item()
        self.sheet.redraw()

    def _take_scale(self, name: str) -> None:
        self._seen.clear()
        self.items.set_scale(next(scale for scale in LEVELS if scale == name))

    def _choose_export(self) -> None:
        name, _ = QFileDialog.getSaveFileName(self, "Save annotations", "annotations.csv", "Table (*.csv)")
        if name:
            self.export(Path(name))

    def export(self, path: Path) -> None:
        """Save all raters' annotations on this scale as a table, which is an input of a parity run."""
        self.items.export(path, lambda: self.exported.emit(str(path)))

    def refresh_theme(self) -> None:
        """Draw in the colours of the theme."""
        self.sheet.redraw()
        self._show_item()
