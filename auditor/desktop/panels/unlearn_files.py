"""The files of an unlearning run: what to forget, what to keep, what was never learnt, and probes."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar

from PySide6.QtWidgets import QWidget

from auditor.audits import unlearning
from auditor.audits.unlearning import sample
from auditor.desktop.panels.run_files import RunFiles
from auditor.desktop.session import Session

_FIELDS = ("question", "answer", "text")
#: The two steps of the sample.
LEARN, FORGET = "learn", "forget"
#: Role of a log, which has no columns and means nothing where nothing is forgotten.
REFERENCE = "reference"


class UnlearnFiles(RunFiles):
    """Asks for the files of an unlearning run.

    Attributes
    ----------
    step : str
        Of the sample, where its files were taken: "learn" or "forget".
    """

    words: ClassVar[Mapping[str, str]] = MappingProxyType({"paraphrased_question": "Question in other words"})
    fields: ClassVar[Mapping[str, tuple[str, ...]]] = MappingProxyType(
        {
            "forget": (*_FIELDS, "paraphrased_question"),
            "retain": _FIELDS,
            "holdout": _FIELDS,
            "probes": ("question", "answer"),
            REFERENCE: (),
        }
    )
    units: ClassVar[Mapping[str, str]] = MappingProxyType(
        {
            "forget": "examples to forget",
            "retain": "examples to keep",
            "holdout": "examples never learnt",
            "probes": "probes",
            REFERENCE: "figures of a reference",
        }
    )
    samples: ClassVar[Mapping[str, str]] = MappingProxyType(
        {LEARN: "First: the starter model learns twenty facts", FORGET: "Then: it forgets five of them"}
    )

    first_words: ClassVar[str] = "examples to forget"

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        self._asks_reference = True
        super().__init__(session, unlearning.name, unlearning.input_roles, parent)
        self.step = ""
        #: Columns as they were recognised, before anybody said otherwise.
        self._recognised: dict[str, Mapping[str, str]] = {}

    @property
    def mapping(self) -> dict[str, str]:
        """Field -> column, where somebody said otherwise than what is recognised: it is then looked for in every file."""
        return {
            field: column
            for role, said in self._said.items()
            for field, column in said.items()
            if column != self._recognised.get(role, {}).get(field)
        }

    def take_sample(self, name: str) -> None:
        """Take the files of a step of the sample: to learn, only what is learnt."""
        files = sample.files(learning=name == LEARN)
        self.step = name
        for role in self._roles:
            if role in files:
                self.take(role, files[role])
            else:
                self.others[role].take(None)
        self.sample_taken.emit()

    @property
    def paths(self) -> dict[str, Path]:
        """Role -> file, of those that were chosen; without a log where none is asked for."""
        return {role: path for role, path in super().paths.items() if role != REFERENCE or self._asks_reference}

    def show_reference(self, is_shown: bool) -> None:
        """Ask for a log of a reference, or not."""
        is_new = is_shown and not self._asks_reference
        self._asks_reference = is_shown
        self.others[REFERENCE].setVisible(is_shown)
        self.previews[REFERENCE].setVisible(REFERENCE in self.paths)
        if is_new and REFERENCE in self.paths:
            self._read(REFERENCE)

    @property
    def is_sample(self) -> bool:
        """Whether what is to be forgotten is the sample's."""
        return self.paths.get("forget") == sample.files()["forget"]

    def _show(self, role: str, found: dict[str, Any]) -> None:
        if role not in self._said:
            self._recognised[role] = found["mapping"]
        super()._show(role, found)
