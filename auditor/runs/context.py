"""What a run offers to an audit, kept in its directory."""

import secrets
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from auditor.audits.findings import TableInfo
from auditor.errors import RunError
from auditor.files import read_json, sync_folder
from auditor.models import ModelFile
from auditor.runs.contract import RunSpec
from auditor.runs.directory import RunDirectory
from auditor.runs.events import EventLog
from auditor.runs.live import MODELS, Presence

if TYPE_CHECKING:
    import pyarrow as pa

_PROGRESS_SECONDS = 0.25


class RunContext:
    """Implements `auditor.audits.Context` on a run directory."""

    def __init__(self, run: RunDirectory, spec: RunSpec, log: EventLog, presence: Presence) -> None:
        self._run, self._spec, self._log, self._presence = run, spec, log, presence
        self.seed = spec.seed
        self.artefacts = run.artefacts
        self.checkpoints = run.checkpoints
        self.cache = run.cache
        self._reported = 0.0
        self._message = ""

    def progress(self, done: int, total: int | None, message: str = "") -> None:
        """Write a progress event, at most four a second unless the message changes or the end is reached."""
        now = time.monotonic()
        if now - self._reported < _PROGRESS_SECONDS and message == self._message and done != total:
            return
        self._reported, self._message = now, message
        self._log.append("progress", done=done, total=total, message=message)

    def metric(self, name: str, value: float, step: int | None = None) -> None:
        """Write a metric event."""
        self._log.append("metric", name=name, value=value, step=step)

    def row(self, table: str, row: Mapping[str, Any]) -> None:
        """Write a row event."""
        self._log.append("row", table=table, row=dict(row))

    def rows(self, table: str) -> Iterator[dict[str, Any]]:
        """Rows flushed so far, by whichever process."""
        return self._log.rows(table)

    def save_table(self, info: TableInfo, batches: "Iterable[pa.RecordBatch]", schema: "pa.Schema") -> None:
        """Write ``tables/<name>.parquet`` atomically; the same rows give the same bytes."""
        import pyarrow.parquet as pq

        target = self.table(info.name)
        # Beside the run's sealed folders, so that a part left by a kill is never taken for a table.
        partial = self._run.live / f"{info.name}.{secrets.token_hex(4)}.part"
        try:
            with pq.ParquetWriter(partial, schema, compression="zstd") as writer:
                for batch in batches:
                    writer.write_batch(batch)
            partial.replace(target)
        finally:
            partial.unlink(missing_ok=True)
        sync_folder(self._run.tables)

    def table(self, name: str) -> Path:
        """The Parquet file of a table."""
        return self._run.tables / f"{name}.parquet"

    def warning(self, code: str, message: str, count: int = 1) -> None:
        """Write a warning event."""
        self._log.append("warning", code=code, message=message, count=count)

    def log(self, message: str) -> None:
        """Write a log event."""
        self._log.append("log", message=message)

    def cancelled(self) -> bool:
        """Whether a person asked the run to stop."""
        return self._presence.cancel_requested()

    def model(self, role: str) -> ModelFile:
        """The model that the spec names for a role, where it lies on this machine.

        Raises
        ------
        RunError
            If it names none.
        """
        try:
            model = self._spec.models[role]
        except KeyError:
            raise RunError(f"The run was asked for without a model for the role {role!r}.") from None
        try:
            places = read_json(self._run.live / MODELS)
        except FileNotFoundError:
            return model
        return model.model_copy(update={"path": Path(places[role])})
