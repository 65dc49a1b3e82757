"""The sample that ships: facts that nobody knows, disjoint, and read without a complaint but that they are few."""

import pytest
from auditor.audits import InputFile
from auditor.audits.unlearning import sample
from auditor.audits.unlearning.inputs import read
from auditor.audits.unlearning.spec import UnlearningSpec

FILES = {role: InputFile(path, path.name, "") for role, path in sample.files().items()}


def test_the_sample_is_read_without_a_complaint() -> None:
    found = read(FILES, UnlearningSpec(**sample.UNLEARN))
    assert {caution.code for caution in found.cautions} == {"few-forget", "few-retain"}
    assert (len(found.forget), len(found.retain), len(found.holdout), len(found.probes)) == (5, 15, 5, 5)
    assert found.overlaps == ()


def test_every_fact_to_forget_has_a_paraphrase_and_wrong_answers_in_its_form() -> None:
    for one in read(FILES, UnlearningSpec()).forget:
        assert one.paraphrased_question
        assert len({one.paraphrased_answer, *one.perturbed_answers}) == 4
        assert all(wrong.split()[-1] == one.paraphrased_answer.split()[-1] for wrong in one.perturbed_answers)


def test_probes_are_no_training_strings() -> None:
    found = read(FILES, UnlearningSpec())
    trained = {one.question for one in found.forget} | {one.paraphrased_question for one in found.forget}
    assert not trained & {one.question for one in found.probes}
    assert [one.answer for one in found.probes] == [one.answer for one in found.forget]


@pytest.mark.parametrize("settings", [sample.LEARN, sample.UNLEARN], ids=["learn", "unlearn"])
def test_its_settings_are_possible(settings: dict[str, object]) -> None:
    assert UnlearningSpec(**settings)
