"""The files of a guard audit: labelled queries, demonstrations, and a person's own corrupted ones."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import ClassVar

from PySide6.QtWidgets import QWidget

from auditor.audits import guard
from auditor.audits.guard.sample import files
from auditor.desktop.panels.run_files import RunFiles
from auditor.desktop.session import Session

_FIELDS = ("text", "label", "id", "group")


class GuardFiles(RunFiles):
    """Asks for the files of a guard run."""

    fields: ClassVar[Mapping[str, tuple[str, ...]]] = MappingProxyType(
        {"queries": _FIELDS, "demonstrations": _FIELDS, "corrupted": _FIELDS}
    )
    units: ClassVar[Mapping[str, str]] = MappingProxyType(
        {"queries": "queries", "demonstrations": "demonstrations", "corrupted": "corrupted demonstrations"}
    )

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(session, guard.name, guard.input_roles, parent)

    def take_sample(self, _name: str) -> None:
        """Take the sample: short remarks, good demonstrations and poisoned ones."""
        for role, path in files().items():
            self.take(role, path)
        self.sample_taken.emit()
