"""A context for notebooks and tests: everything stays in memory, nothing is written but tables on request."""

import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from auditor.audits.findings import TableInfo
from auditor.models import ModelFile

if TYPE_CHECKING:
    import pyarrow as pa


class MemoryContext:
    """Runs an audit without a run directory.

    Parameters
    ----------
    models : Mapping[str, ModelFile]
        Role -> model file.
    seed : int
        Seed of every random draw.
    folder : Path, optional
        Where artefacts, checkpoints and tables go; a temporary folder if not given.

    Attributes
    ----------
    tables : dict of str to pyarrow.Table
        Finished tables.
    flushed : dict of str to list of dict
        Rows by table.
    """

    def __init__(
        self, models: Mapping[str, ModelFile] | None = None, *, seed: int = 0, folder: Path | None = None
    ) -> None:
        self._models = dict(models or {})
        self._folder = folder or Path(tempfile.mkdtemp(prefix="auditor-"))
        self.seed = seed
        self.artefacts = self._folder / "artefacts"
        self.checkpoints = self._folder / "checkpoints"
        self.cache = self._folder / "cache"
        for path in (self.artefacts, self.checkpoints):
            path.mkdir(parents=True, exist_ok=True)
        self.tables: dict[str, pa.Table] = {}
        self.flushed: dict[str, list[dict[str, Any]]] = {}
        self.warnings: list[tuple[str, str, int]] = []
        self.is_cancelled = False

    def progress(self, done: int, total: int | None, message: str = "") -> None:
        """Nobody watches."""

    def metric(self, name: str, value: float, step: int | None = None) -> None:
        """Nobody watches."""

    def row(self, table: str, row: Mapping[str, Any]) -> None:
        """Keep a row."""
        self.flushed.setdefault(table, []).append(dict(row))

    def rows(self, table: str) -> Iterator[dict[str, Any]]:
        """Rows kept so far."""
        return iter(list(self.flushed.get(table, ())))

    def save_table(self, info: TableInfo, batches: "Iterable[pa.RecordBatch]", schema: "pa.Schema") -> None:
        """Keep a finished table, and write it where figures can read it."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        table = pa.Table.from_batches(list(batches), schema=schema)
        self.tables[info.name] = table
        pq.write_table(table, self._folder / f"{info.name}.parquet")

    def table(self, name: str) -> Path:
        """The file of a finished table."""
        return self._folder / f"{name}.parquet"

    def table_files(self) -> dict[str, Path]:
        """Finished tables as files, name -> Parquet."""
        return {name: self.table(name) for name in self.tables}

    def warning(self, code: str, message: str, count: int = 1) -> None:
        """Keep a warning."""
        self.warnings.append((code, message, count))

    def log(self, message: str) -> None:
        """Nobody watches."""

    def cancelled(self) -> bool:
        """Whether `is_cancelled` was set."""
        return self.is_cancelled

    def model(self, role: str) -> ModelFile:
        """The model given for a role.

        Raises
        ------
        KeyError
            If none was given.
        """
        return self._models[role]
