"""A run that ends in the middle of a test goes on from the blocks of permutations that were done, in every test of every mode."""

from pathlib import Path
from typing import Any

import pytest
from auditor.audits import InputFile, parity
from auditor.audits.memory import MemoryContext
from auditor.audits.parity import null_blocks
from auditor.errors import Cancelled
from auditor.resources import resource

SAMPLE = resource("samples", "parity")
FILES = {
    role: InputFile(SAMPLE / name, name, "")
    for role, name in (("results", "results-biased.csv"), ("catalog", "catalog.csv"))
}
ASKED: dict[str, Any] = {
    "mapping": {"attribute": "monk"},
    "scale": "ordinal",
    "k": 20,
    "more_k": (5, 10),
    "permutations": 1_000,
    "sensitivity": False,
}
TESTS = ("Shuffling", "Shuffling for differences in shape", "Shuffling for further hypotheses")


class Watched(MemoryContext):
    """Cancels the run when a test has done so many permutations."""

    def __init__(self, folder: Path | None = None) -> None:
        super().__init__(seed=3, folder=folder)
        self.stop_at: tuple[str, int] | None = None

    def progress(self, done: int, total: int | None, message: str = "") -> None:
        if self.stop_at is not None and message == self.stop_at[0] and done >= self.stop_at[1]:
            self.is_cancelled = True

    @property
    def files(self) -> list[Path]:
        return sorted(self.checkpoints.glob("null-*.npy"))


@pytest.mark.parametrize("mode", ["B", "C1"])
@pytest.mark.parametrize("test", TESTS)
def test_every_test_goes_on_from_its_blocks(mode: str, test: str) -> None:
    spec = parity.Spec.model_validate({**ASKED, "mode": mode})
    whole = parity.run(spec, FILES, MemoryContext(seed=3))
    context = Watched()
    context.stop_at = (test, 300)
    with pytest.raises(Cancelled):
        parity.run(spec, FILES, context)
    assert context.files, "nothing was kept of the test"
    context.stop_at, context.is_cancelled = None, False
    resumed = parity.run(spec, FILES, context)
    assert resumed == whole
    assert not context.files, "files of finished tests were left behind"


def test_blocks_of_other_runs_and_other_versions_are_never_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = parity.Spec.model_validate({**ASKED, "mode": "B"})
    whole = parity.run(spec, FILES, MemoryContext(seed=3))
    left = Watched(tmp_path)
    left.stop_at = ("Shuffling", 300)
    with pytest.raises(Cancelled):
        parity.run(spec, {**FILES, "results": InputFile(SAMPLE / "results-fair.csv", "results-fair.csv", "")}, left)
    assert left.files
    assert parity.run(spec, FILES, Watched(tmp_path)) == whole, "the other run's blocks were taken"
    left.stop_at, left.is_cancelled = None, False
    (before,) = left.files
    with monkeypatch.context() as patch:
        patch.setattr(null_blocks, "__version__", "0.0.1")
        newer = null_blocks.NullBlocks(left)
        assert len(newer.of("primary")) == 0
        patch.undo()
        patch.setattr(null_blocks, "DRAWING", null_blocks.DRAWING + 1)
        newer = null_blocks.NullBlocks(left)
        assert len(newer.of("primary")) == 0, "drawn in another way"
        newer.remove()
    assert not before.exists()
