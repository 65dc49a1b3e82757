"""Blocks of null distributions that outlive the process: a run that is killed in the middle of a test goes on from them.

The blocks of a test lie in one file of the run's checkpoints, arrays in the .npy format one after the other, each written
before it is counted. Which file belongs to which test of which run stands among the run's rows; files are removed once the
results themselves are flushed.
"""

import io
import os
import secrets
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from auditor import __version__
from auditor.audits import Context
from auditor.stats.permutation import DRAWING

_TABLE = "null_blocks"


class FlushedBlocks:
    """Implements `auditor.stats.permutation.Blocks` on a file.

    Parameters
    ----------
    path : Path
        Need not exist. A block that was being written when the machine or the disk gave up is cut off.

    Raises
    ------
    OSError
        If the disk refuses.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._blocks: list[NDArray[np.float64]] = []
        if path.exists():
            os.truncate(path, self._read())

    def _read(self) -> int:
        """Take in the whole blocks; where the last one ends, in bytes."""
        whole = 0
        with self._path.open("rb") as file:
            while True:
                try:
                    self._blocks.append(np.load(file, allow_pickle=False))
                except (EOFError, ValueError):
                    return whole
                whole = file.tell()

    def __len__(self) -> int:
        """Blocks so far."""
        return len(self._blocks)

    def __getitem__(self, number: int, /) -> NDArray[np.float64]:
        """Statistics of one block, shape (rows, H)."""
        return self._blocks[number]

    def append(self, block: NDArray[np.float64], /) -> None:
        """Write the next one; a kill of the process loses it no more.

        Raises
        ------
        OSError
            If the disk refuses.
        """
        data = io.BytesIO()
        np.save(data, block, allow_pickle=False)
        with self._path.open("ab") as file:
            file.write(data.getbuffer())
        self._blocks.append(block)


class NullBlocks:
    """The blocks of every test of a run.

    Parameters
    ----------
    context : Context
    """

    def __init__(self, context: Context) -> None:
        self._context = context
        rows = list(context.rows(_TABLE))
        self._files = [row["file"] for row in rows]
        # Another version of the program may count otherwise, and another way of drawing draws otherwise: their blocks are not
        # gone on from.
        self._of_test = {
            row["test"]: row["file"] for row in rows if (row["version"], row.get("drawing")) == (__version__, DRAWING)
        }

    def of(self, test: str) -> FlushedBlocks:
        """Blocks of a test, those of an earlier process first.

        Parameters
        ----------
        test : str
            Its name, once in a run.
        """
        if test not in self._of_test:
            # A folder of checkpoints may have seen other runs: what they left there is never taken for ours.
            self._of_test[test] = f"null-{secrets.token_hex(8)}.npy"
            self._files.append(self._of_test[test])
            self._context.row(
                _TABLE, {"test": test, "file": self._of_test[test], "version": __version__, "drawing": DRAWING}
            )
        return FlushedBlocks(self._context.checkpoints / self._of_test[test])

    def remove(self) -> None:
        """Remove the files: the results of the tests are flushed."""
        for file in self._files:
            (self._context.checkpoints / file).unlink(missing_ok=True)
