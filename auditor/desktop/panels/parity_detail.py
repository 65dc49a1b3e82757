"""The right part of the Parity panel: one query with its ranked results."""

from typing import Any

from PySide6.QtWidgets import QWidget

from auditor.desktop.panels.run_detail import RunDetail
from auditor.desktop.session import Session
from auditor.desktop.widgets.contact_strip import ContactStrip
from auditor.desktop.widgets.detail import plain_label
from auditor.runs.directory import RunDirectory

_EMPTY = "Select a query in the tab Queries to see its results, their tones and how far the list is from the others."


class ParityDetail(RunDetail):
    """One row of the table of queries."""

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(session, parent)
        self._query = ""
        self._found: dict[str, Any] | None = None
        self.heading = plain_label(name="heading")
        self.words = plain_label(_EMPTY, name="soft")
        self.strip = ContactStrip()
        self.strip.chosen.connect(self._show_place)
        self.place = plain_label(name="soft")
        self._layout.addWidget(self.heading)
        self._layout.addWidget(self.words)
        self._layout.addWidget(self.strip, 1)
        self._layout.addWidget(self.place)
        self._layout.addWidget(self._spring, 1)
        self.clear()

    def clear(self, words: str = _EMPTY) -> None:
        """Show no query."""
        self._session.asker.drop("parity_query")
        self._query, self._found = "", None
        self.words.setText(words)
        for widget in (self.heading, self.strip, self.place):
            widget.hide()
        self._spring.show()

    def show_query(self, run: RunDirectory, query: str) -> None:
        """Ask for the results of a query of a finished run."""
        self.clear("")
        self._query = query
        self.heading.setText(query)
        self.heading.show()
        asked = {"run_dir": str(run.path), "query_id": query}
        self._session.asker.ask("parity_query", asked, self._show, self.clear)

    def _show(self, found: dict[str, Any]) -> None:
        if found["query_id"] != self._query:
            return
        self._found = found
        unit = found["unit"]
        lines = [f"Group {found['group']}"] if found["group"] else []
        lines.append(f"{unit[:1].upper()}{unit[1:]}: {found['value']:.3g}, deviation {found['deviation']:+.3g}")
        shown = len(found["slots"])
        if shown < found["n_slots"]:
            lines.append(f"The first {shown:,} of {found['n_slots']:,} results.")
        self.words.setText("\n".join(lines))
        self.strip.show_slots(found["slots"])
        self._spring.hide()
        self.strip.show()
        self.place.show()
        self.place.setText("Number: rank; swatch and name: the tone, hatched where it is not known.")

    def _show_place(self, place: int) -> None:
        if self._found is not None and 0 <= place < len(self._found["slots"]):
            self.place.setText(self.strip.words(self._found["slots"][place]))

    def refresh_theme(self) -> None:
        """Draw the strip in the colours of the theme."""
        self.strip.refresh_theme()
