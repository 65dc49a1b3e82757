"""The files of a parity audit: results, what may stand beside them, how their columns are read."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import ClassVar

from PySide6.QtWidgets import QWidget

from auditor.audits import parity
from auditor.desktop.panels.run_files import RunFiles
from auditor.desktop.session import Session
from auditor.resources import resource

#: The sample's catalog holds the same tone on three scales.
_SAMPLE_MAPPING = {"attribute": "monk"}


class ParityFiles(RunFiles):
    """Asks for the files of a parity run."""

    words: ClassVar[Mapping[str, str]] = MappingProxyType(
        {
            "query_id": "Query",
            "item_id": "Item",
            "query_group": "Query group",
            "query_item": "Query is item",
            "rater": "Rater",
        }
    )
    fields: ClassVar[Mapping[str, tuple[str, ...]]] = MappingProxyType(
        {
            "results": ("query_id", "item_id", "rank", "score", "query_group", "attribute", "query_item", "image"),
            "catalog": ("item_id", "attribute", "image"),
            "queries": ("query_id", "query_group", "query_item"),
            "shares": ("query_id",),
            "annotations": ("item_id", "rater", "attribute"),
        }
    )
    units: ClassVar[Mapping[str, str]] = MappingProxyType(
        {
            "results": "results",
            "catalog": "items",
            "queries": "queries",
            "shares": "rows of shares",
            "annotations": "judgements",
        }
    )
    samples: ClassVar[Mapping[str, str]] = MappingProxyType({"biased": "A biased engine", "fair": "A fair engine"})

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(session, parity.name, parity.input_roles, parent)
        about = "Folder of the images that are shown beside results. The case does not copy it."
        self._add_other("images", "Images", (), about)
        self.others["images"].changed.connect(lambda _path: self.changed.emit())

    @property
    def image_folder(self) -> Path | None:
        """Where images are looked up."""
        return self.others["images"].path

    def take_sample(self, engine: str) -> None:
        """Take the sample: results of one of the two engines, the catalog and its images."""
        self.take_first(resource("samples", "parity", f"results-{engine}.csv"))
        self.others["catalog"].take(resource("samples", "parity", "catalog.csv"))
        self._said["catalog"] = dict(_SAMPLE_MAPPING)
        self._read("catalog")
        self.others["images"].take(resource("samples", "parity"))
        for role in ("queries", "shares", "annotations"):
            self.others[role].take(None)
        self.sample_taken.emit()
