"""Small files for tests of any audit."""

from pathlib import Path

from auditor.audits import InputFile


def written(folder: Path, name: str, content: str | bytes) -> InputFile:
    """A file as a run sees it."""
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return InputFile(path, name, "")
