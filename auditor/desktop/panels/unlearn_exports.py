"""The files that an unlearning run has made of the model: what they still say, and how they were written."""

from collections.abc import Collection, Mapping
from typing import Any

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QSplitter, QVBoxLayout, QWidget

from auditor.desktop.widgets.detail import plain_label
from auditor.desktop.widgets.table import Table

_LEAST_HEIGHT = 96


class UnlearnExports(QWidget):
    """What was measured in each file, and how it was written.

    Signals
    -------
    selected(object)
        What the findings say of the file that was selected, None for none.
    """

    selected = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.tables = {"files": Table("Files as they were measured", "Measured"), "exports": Table("Files", "Written")}
        self.tables["files"].filter.setPlaceholderText("Filter: text, or survivors > 0; several with ;")
        self.tables["exports"].filter.setPlaceholderText("Filter: text; several with ;")
        self.missing = plain_label(name="alert")
        both = QSplitter(Qt.Orientation.Vertical)
        both.setChildrenCollapsible(False)
        for table in self.tables.values():
            table.setMinimumHeight(_LEAST_HEIGHT)
            table.selected.connect(lambda shown, table=table: self._select(table, shown))
            both.addWidget(table)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 6, 0, 0)
        layout.addWidget(both, 1)
        layout.addWidget(self.missing)
        self.clear()

    def clear(self) -> None:
        """Show no run."""
        self._made: Mapping[str, Mapping[str, Any]] = {}
        self.missing.hide()

    def show_there(self, there: Collection[str]) -> None:
        """Show the tables that a run has."""
        for name, table in self.tables.items():
            table.setVisible(name in there)

    def show_found(self, findings: Mapping[str, Any]) -> None:
        """Say what there is of a finished run beside the tables, which are loaded by themselves."""
        self._made = {made["name"]: made for made in findings["exports"]}
        reason = findings.get("not_exported") or ""
        lines = [f"There is no GGUF file of the model. {reason}"] if reason else []
        lines += findings.get("not_quantised") or ()
        self.missing.setText("\n".join(lines))
        self.missing.setVisible(bool(lines))

    def _select(self, table: Table, shown: int) -> None:
        name = str(table.model.value(shown, "name")) if 0 <= shown < table.model.rowCount() else ""
        self.selected.emit(self._made.get(name))
