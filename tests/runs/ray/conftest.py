"""A Ray head for the tests of this folder, and an audit that is quick and does as it is told."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from auditor.runs.ray import store
from tests.runs.ray import counting_audit
from tests.runs.ray.cluster import Head


@pytest.fixture(scope="session")
def announced(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for PYTHONPATH in which another distribution announces the audit "counting"."""
    folder = tmp_path_factory.mktemp("announced")
    assert counting_audit.__file__ is not None
    shutil.copy(counting_audit.__file__, folder / "counting_audit.py")
    told = folder / "counting-1.0.dist-info"
    told.mkdir()
    (told / "METADATA").write_text("Metadata-Version: 2.1\nName: counting\nVersion: 1.0\n", encoding="utf-8")
    (told / "entry_points.txt").write_text("[auditor.audits]\ncounting = counting_audit\n", encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def head(announced: Path) -> Iterator[Head]:
    """A Ray head; it ends with the tests that need it, since it works a little even when nobody asks."""
    started = Head(announced)
    try:
        started.start()
        yield started
    finally:
        started.close()


@pytest.fixture
def there(head: Head) -> Head:
    """The head, known under the name "there"."""
    store.add(head.backend())
    return head


@pytest.fixture
def words(tmp_path: Path) -> Path:
    file = tmp_path / "words.txt"
    file.write_text("four words of nobody", encoding="utf-8")
    return file
