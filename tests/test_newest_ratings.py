"""Of a person's ratings of one conversation, given for several runs of one file, the newest counts everywhere."""

from pathlib import Path

import numpy as np
import pytest
from auditor.case import Case
from auditor.cli_rating import _people, _Rated
from auditor.runs.directory import RunDirectory
from auditor.tasks_compare_rating import _compared, _said
from tests.conftest import SAMPLE
from tests.ratings import peaked, write_ratings

AXIS = "naturalness"
FINDINGS = f'{{"axes": [{{"name": "{AXIS}", "title": "Naturalness"}}], "confidence": 0.95}}'


def rated(case: Case) -> RunDirectory:
    """A run of the sample with ratings made for the purpose."""
    run = case.new_run("rating", {}, {"conversations": SAMPLE}, {}, seed=0)
    run.tables.mkdir(exist_ok=True)
    write_ratings(run.tables / "ratings.parquet", {AXIS: peaked(np.linspace(1, 5, 12))})
    run.findings_file.write_text(FINDINGS)
    return run


@pytest.mark.parametrize("turned", [False, True])
def test_the_newest_rating_counts_whichever_run_is_named_first(tmp_path: Path, turned: bool) -> None:
    with Case.create(tmp_path / "case") as case:
        runs = [rated(case), rated(case)]
        one, two = (run.path.name for run in runs)
        for row in range(1, 13):
            case.add_human_rating(two, str(row), AXIS, 1, rater="Ada")
            case.add_human_rating(one, str(row), AXIS, 2, rater="Ada")
        case.add_human_rating(two, "1", AXIS, 5, rater="Ada")
        named = runs[::-1] if turned else runs
        for people in (
            _people(case, [_Rated.of(case, run.path.name) for run in named], None, [], map_linear=False),
            _compared(case, named)[0],
        ):
            assert {rating.row: rating.score for rating in people.ratings} == {1: 5, **dict.fromkeys(range(2, 13), 2)}
        assert [_said(case, named, row, AXIS) for row in (1, 2)] == ["People: Ada 5", "People: Ada 2"]
