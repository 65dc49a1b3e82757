"""Settings that contradict each other are refused with a sentence, and every field has the words that a form needs."""

from typing import Any

import pytest
from auditor.audits.guard.spec import GuardSpec
from pydantic import ValidationError


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({"p_value": "binomial"}, "exact for clipped losses only"),
        ({"labels": ("a", "b"), "target": "c"}, "the target 'c' is none of the labels"),
        ({"mapping": {"txt": "a"}}, "there is no field 'txt'; fields are id, text, label, group"),
        ({"label_words": {"0": "  "}}, "the label '0' has no word"),
        ({"attacks": ("cyclic", "cyclic")}, "an entry stands twice"),
        ({"attacks": ()}, "at least 1 item"),
        ({"more_epsilons": (0.1, 1.5)}, "less than 1"),
        ({"epsilon": 0}, "greater than 0"),
        ({"calibration_share": 1}, "less than 1"),
        ({"epsilonn": 0.1}, "Extra inputs"),
    ],
)
def test_settings_that_cannot_be_are_refused(asked: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        GuardSpec(**asked)


def test_the_binomial_tail_is_offered_for_clipped_losses() -> None:
    assert GuardSpec(transform="clip", p_value="binomial").p_value == "binomial"


def test_settings_survive_their_json() -> None:
    spec = GuardSpec(labels=("a", "b"), label_words={"a": " x "}, attacks=("cyclic:all", "own"), more_epsilons=(0.2,))
    assert GuardSpec.model_validate_json(spec.model_dump_json()) == spec
    assert spec.label_words == {"a": "x"}


def test_every_setting_has_a_title_and_a_sentence() -> None:
    titles = [field.title for field in GuardSpec.model_fields.values()]
    assert all(titles)
    assert len(set(titles)) == len(titles)
    assert all(str(field.description).endswith((".", "{text}.")) for field in GuardSpec.model_fields.values())
