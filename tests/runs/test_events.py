from pathlib import Path

import pytest
from auditor.errors import RunError
from auditor.runs.directory import RunDirectory
from auditor.runs.events import EventLog
from auditor.runs.follow import Follower


def test_a_torn_last_line_is_cut_and_the_numbers_go_on(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    with EventLog(path) as log:
        log.append("row", table="t", row={"a": 1})
        log.append("row", table="t", row={"a": 2})
    with path.open("ab") as file:
        file.write(b'{"v":1,"n":2,"kind":"row","table":"t","row":{"a"')
    assert len(list(RunDirectory(tmp_path).events())) == 2
    with EventLog(path) as log:
        assert log.cut == 48
        log.append("row", table="t", row={"a": 3})
        assert [row["a"] for row in log.rows("t")] == [1, 2, 3]
    assert [event["n"] for event in RunDirectory(tmp_path).events()] == [0, 1, 2]


def test_rows_of_a_table_are_not_mistaken_by_their_text(tmp_path: Path) -> None:
    with EventLog(tmp_path / "events.jsonl") as log:
        log.append("log", message='"kind":"row"')
        log.append("row", table="u", row={"text": '{"kind":"row","table":"t"}'})
        assert list(log.rows("t")) == []


def test_the_newest_of_each_kind_is_found_behind_long_rows(tmp_path: Path) -> None:
    """Also where the text of a row looks like an event of another kind."""
    with EventLog(tmp_path / "events.jsonl") as log:
        log.append("state", state="running", message='"kind":"progress"')
        for done in range(3):
            log.append("progress", done=done, total=3, message="Shuffling")
            log.append("row", table="stages", row={"null": ["x" * 9_000] * 4, "text": '{"kind":"state"}', "done": done})
    last = RunDirectory(tmp_path).last_events()
    assert {kind: event["n"] for kind, event in last.items()} == {"state": 0, "progress": 5, "row": 6}
    assert last["progress"]["done"] == 2


def test_numbers_that_are_none_are_refused_and_leave_nothing(tmp_path: Path) -> None:
    with EventLog(tmp_path / "events.jsonl") as log:
        with pytest.raises(ValueError, match="JSON"):
            log.append("metric", name="x", value=float("nan"))
        log.append("metric", name="x", value=1.0)
    assert [event["n"] for event in RunDirectory(tmp_path).events()] == [0]


def test_a_follower_gets_every_whole_event_once_in_pieces(tmp_path: Path) -> None:
    follower = Follower(tmp_path)
    assert follower.poll() == []
    path = tmp_path / "events.jsonl"
    with EventLog(path) as log:
        for number in range(2500):
            log.append("metric", name="x", value=float(number))
        assert len(follower.poll(limit=1000)) == 1000
        with path.open("ab") as file:
            file.write(b'{"half')
        found = follower.poll(limit=5000)
        assert [event["n"] for event in found] == list(range(1000, 2500))
        assert follower.poll() == []


def test_a_damaged_line_in_the_middle_is_named(tmp_path: Path) -> None:
    (tmp_path / "events.jsonl").write_bytes(b'{"n":0}\nnonsense\n{"n":2}\n')
    with pytest.raises(RunError, match="Line 2"):
        Follower(tmp_path).poll()
