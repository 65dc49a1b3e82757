"""The right part of the rubric editor: the exact prompt as the judge reads it, with token counts, live."""

from collections.abc import Mapping
from typing import Any

from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QComboBox, QVBoxLayout, QWidget

from auditor.desktop.session import Session
from auditor.desktop.widgets.detail import plain_label
from auditor.desktop.widgets.prompt_view import PromptView

_DELAY_MS = 500
_HEADINGS = {"prefix": "Before every conversation", "conversation": "A conversation, here a sample"}
#: The prompts that a run can ask; see `auditor.audits.rating.variants`.
_VARIANTS = {
    "5": "5: scale 1 to 5",
    "4": "4: scale 1 to 4",
    "5-examples": "5-examples: scale 1 to 5, with rated examples",
    "4-examples": "4-examples: scale 1 to 4, with rated examples",
}


class RubricPrompt(QWidget):
    """Shows the prompt of a rubric in the tokens of a judge.

    Parameters
    ----------
    session : Session
        Whose asker has the prompt built by a process of its own.
    """

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self._judge: Mapping[str, Any] = {"model": None}
        self._rubric: Mapping[str, Any] | None = None
        self._delay = QTimer(self, singleShot=True, interval=_DELAY_MS)
        self._delay.timeout.connect(self._ask)
        self.variant = QComboBox()
        self.variant.setAccessibleName("Prompt that is shown")
        for name, words in _VARIANTS.items():
            self.variant.addItem(words, name)
        self.variant.currentIndexChanged.connect(lambda _index: self._delay.start())
        self.sizes = plain_label(name="help")
        self.problem = plain_label(name="alert")
        self.problem.hide()
        self.prompt = PromptView()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(12, 4, 14, 10)
        layout.addWidget(plain_label("The prompt, as the judge reads it", name="heading"))
        for widget in (self.variant, self.sizes, self.problem):
            layout.addWidget(widget)
        layout.addWidget(self.prompt, 1)

    def show_for(self, judge: Mapping[str, Any]) -> None:
        """Take the judge: ``model`` (a name, or None), ``scope``, ``n_ctx`` and ``variant``."""
        self._judge = judge
        self.variant.setCurrentIndex(max(0, self.variant.findData(judge["variant"])))

    def show_rubric(self, fields: Mapping[str, Any] | None) -> None:
        """Show a rubric's prompt once changes pause; None while something is not right in it."""
        self._rubric = fields
        self._delay.start()

    def stop(self) -> None:
        """Ask nothing more."""
        self._delay.stop()
        self._session.asker.drop("rubric_preview")

    def _ask(self) -> None:
        self._session.asker.drop("rubric_preview")
        if self._judge["model"] is None:
            self._show_none("Choose a judge model in the panel to see the prompt in its tokens.")
        elif self._rubric is None:
            self._show_none("What is shown below is out of date until the marked fields are right.")
        else:
            asked = {**self._judge, "variant": self.variant.currentData(), "rubric": self._rubric}
            self._session.asker.ask("rubric_preview", asked, self._show, self._show_none)

    def _show_none(self, sentence: str) -> None:
        self.sizes.hide()
        self.problem.setText(sentence)
        self.problem.show()

    def _show(self, found: dict[str, Any]) -> None:
        titles = {axis["name"]: axis["title"] for axis in (self._rubric or {}).get("axes", ())}
        taken = found["n_ctx"] - found["room"]
        self.sizes.setText(
            f"Tokens of {self._judge['model']}: {taken:,} of {found['n_ctx']:,} are taken by rubric and question, "
            f"{found['room']:,} are left for a conversation, and its explanation if asked. "
            f"{found['layout'].capitalize()}."
        )
        self.problem.hide()
        self.sizes.show()
        self.prompt.show_pieces(
            [(f"{_heading(piece, titles)}: {piece['tokens']:,} tokens", piece["text"]) for piece in found["pieces"]]
        )


def _heading(piece: Mapping[str, Any], titles: Mapping[str, str]) -> str:
    return _HEADINGS.get(piece["kind"]) or f"Question on {titles.get(piece['axis'], piece['axis'])}"
