"""Sizes for people."""

import pytest
from auditor.sizes import size_words


@pytest.mark.parametrize(
    ("n_bytes", "told"),
    [
        (0, "0 KiB"),
        (1, "1 KiB"),
        (300 * 1024, "300 KiB"),
        (1024**2, "1.0 MiB"),
        (15 * 1024**2 + 1, "15 MiB"),
        (102 * 1024**2, "102 MiB"),
        (103 * 1024**2, "0.10 GiB"),
        (1536 * 1024**2, "1.50 GiB"),
        (5000 * 1024**3, "5,000.00 GiB"),
    ],
)
def test_little_is_never_told_as_nothing(n_bytes: int, told: str) -> None:
    assert size_words(n_bytes) == told
