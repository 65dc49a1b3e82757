"""What is read back of a run's rows: arrays in the order of the file, whatever the order of computing."""

import tracemalloc

from auditor.audits.memory import MemoryContext
from auditor.audits.rating.output import Collected, collect
from auditor.audits.rating.rating_pass import Member

AXES = ("naturalness", "on_topic")
MEMBER = Member(0, 0, "judge", "5", "ratings")


def collected(groups: list[str | None]) -> Collected:
    """Rows of a run, the last conversation first; row n has the score 1 + n modulo 5."""
    context = MemoryContext({})
    for row, group in reversed(list(enumerate(groups, start=1))):
        for axis in AXES:
            p = {f"p{score}": float(score == 1 + row % 5) for score in range(1, 6)}
            told = {
                "id": f"c{row}",
                "row": row,
                "group": group,
                "axis": axis,
                "judge": "judge",
                "variant": "5",
                "scale": 5,
                **p,
            }
            told |= {"expected": 1.0 + row % 5, "mode": 1 + row % 5, "entropy": 0.0, "length": 5, "prompt": "x"}
            told |= {"truncated_turns": row % 2, "explanation": None, "member": 0, "window": 0, "reused": False}
            context.row("ratings", told)
    return collect(context, [MEMBER], AXES, "mean")


def test_rows_come_back_in_the_order_of_the_file() -> None:
    found = collected(["a", None, "a", "b"])
    assert found.groups == ["group a", "row 2", "group a", "group b"]
    assert (found.n, found.n_truncated) == (4, 2)
    assert found.mode["on_topic"].tolist() == [2, 3, 4, 5]
    assert found.expected["naturalness"].tolist() == [2, 3, 4, 5]
    assert found.p["naturalness"].argmax(axis=1).tolist() == [1, 2, 3, 4]
    assert collected([None, None]).groups is None


def test_what_is_held_of_a_run_is_a_few_bytes_a_rating() -> None:
    n = 3000
    tracemalloc.start()
    try:
        found = collected([None] * n)
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert found.n == n
    assert held / (n * len(AXES)) < 120
