"""Settings that cannot be, and what is told of them."""

import pytest
from auditor.audits.unlearning.spec import BASELINES, UnlearningSpec
from pydantic import ValidationError


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"prompt": "Answer:"}, "{question} must stand in it once"),
        ({"prompt": "{question} "}, "it ends in a blank"),
        ({"mapping": {"anwser": "a"}}, "there is no field 'anwser'"),
        ({"lambda_start": 10, "lambda_cap": 5}, "it lies below the first lambda, 10"),
        ({"lambda_start": 0}, "with 0 no gamma can be chosen that balances both terms"),
        ({"method": "npo", "settings": {"beat": 1}}, "there is no setting 'beat'; there are: beta, gamma, alpha"),
        ({"method": "npo", "settings": {"beta": -1}}, "beta: Input should be greater than 0"),
        ({"settings": {"beta": 1}}, "they are for the baselines; pdu has fields of its own"),
        ({"epsilon": 0}, "greater than 0"),
        ({"method": "gradascent"}, "Input should be"),
    ],
)
def test_impossible_settings_are_refused_with_a_reason(fields: dict[str, object], told: str) -> None:
    with pytest.raises(ValidationError) as caught:
        UnlearningSpec(**fields)
    assert told in str(caught.value)


@pytest.mark.parametrize("method", BASELINES)
def test_baselines_have_their_published_settings_unless_told_otherwise(method: str) -> None:
    assert UnlearningSpec(method=method).baseline_settings == BASELINES[method]()


def test_lambda_may_begin_at_0_where_gamma_is_set_or_there_is_none() -> None:
    assert UnlearningSpec(lambda_start=0, gamma=1).lambda_start == 0
    assert UnlearningSpec(method="npo", lambda_start=0).lambda_start == 0


def test_a_setting_of_a_baseline_is_taken_over() -> None:
    assert UnlearningSpec(method="npo", settings={"beta": 0.5}).baseline_settings.beta == 0.5


def test_every_field_has_words() -> None:
    for name, field in UnlearningSpec.model_fields.items():
        assert field.title, name
        assert field.description, name
