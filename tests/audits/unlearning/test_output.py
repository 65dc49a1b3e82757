"""Rows of tables: a figure stands under the model that it was measured of."""

from auditor.audits.unlearning.metrics.metric import Metric
from auditor.audits.unlearning.output import metric_rows


def test_a_figure_after_is_never_shown_as_one_before() -> None:
    (row,) = metric_rows({}, {"mia_loss": Metric(value=0.5, n=9)})
    assert (row["before"], row["after"]) == (None, 0.5)
    assert row["unavailable"] == "It was not measured before."
