"""The verdict and its rule: what is forgotten, what is kept, and what is said beside it."""

from dataclasses import replace
from typing import Any

import pytest
from auditor.audits.unlearning.cautions import cautions
from auditor.audits.unlearning.findings import (
    ConstraintInfo,
    CurvePoint,
    DataInfo,
    FileFigures,
    Relearning,
    TrainingInfo,
)
from auditor.audits.unlearning.metrics.metric import Metric, unavailable
from auditor.audits.unlearning.output import file_rows
from auditor.audits.unlearning.survivors import Survivors
from auditor.audits.unlearning.verdict import FORGOTTEN, RETAINED, Outcome, file_state, state_of, verdict
from auditor.audits.unlearning.words import measure_words, percent


def metric(value: float, spread: float = 0.01, n: int = 20) -> Metric:
    return Metric(value=value, low=max(0.0, value - spread), high=min(1.0, value + spread), n=n)


BEFORE = {FORGOTTEN: metric(0.94), RETAINED: metric(0.97)}


def outcome(
    forget: Metric,
    retain: float = 0.97,
    loss: float = 0.04,
    before: dict[str, Metric] = BEFORE,
    survived: Survivors | None = None,
    **other: Metric,
) -> Outcome:
    after = {FORGOTTEN: forget, RETAINED: metric(retain), **other}
    constraint = ConstraintInfo(
        epsilon=0.08, measured=True, retain_loss_before=0.03, retain_loss_after=loss, feasible=loss <= 0.08
    )
    return Outcome(
        before, after, constraint, most_probability=0.05, most_lost=0.05, is_starter=False, survivors=survived
    )


def training(**more: Any) -> TrainingInfo:
    usual = {"steps": 30, "kept_step": 30, "best_step": 30, "trained_weights": 10, "weights": 10, "tokens_per_s": 1.0}
    return TrainingInfo(**usual | {"resumed_at": ()} | more)


def data(**more: int) -> DataInfo:
    usual = {"n_forget": 20, "n_retain": 20, "n_holdout": 0, "n_probes": 0, "cut": 0, "overlaps": 0}
    tokens = dict.fromkeys(("forget_tokens", "retain_tokens", "forget_answer_tokens", "retain_answer_tokens"), 100)
    return DataInfo(**usual | tokens | more)


def file(kind: str, forget: Metric, retain: float = 0.97, survivors: int = 0, **otherwise: Metric) -> FileFigures:
    return FileFigures(
        name=f"artefacts/model-{kind}.gguf",
        kind=f"GGUF, {kind}",
        sha256="0" * 64,
        size_bytes=10,
        is_quantised=kind.startswith("Q"),
        engine="llama.cpp",
        forget=forget,
        retain=metric(retain),
        otherwise=otherwise,
        survivors=survivors,
        n_asked=20,
    )


def in_files(*files: FileFigures) -> Outcome:
    return replace(outcome(metric(0.001)), files=files)


WHOLE = file("BF16", metric(0.001))
CHATTING = file("BF16", metric(0.001), probe_chat_probability=metric(0.002))
ASKED_IN_A_CHAT = outcome(metric(0.001), probe_chat_probability=metric(0.002))


@pytest.mark.parametrize(
    ("found", "state"),
    [
        (outcome(metric(0.001)), "forgotten by these measures"),
        (outcome(metric(0.6)), "not forgotten"),
        (outcome(metric(0.045, 0.02)), "inconclusive"),
        (outcome(metric(0.055, 0.02)), "inconclusive"),
        (outcome(metric(0.001), retain=0.5), "retention lost"),
        (outcome(metric(0.001), loss=0.2), "retention lost"),
        (outcome(metric(0.001), probe_paraphrase_probability=metric(0.4)), "not forgotten"),
        (outcome(metric(0.001), probes_probability=metric(0.4)), "not forgotten"),
        (outcome(metric(0.001), probes_probability=unavailable("None.")), "forgotten by these measures"),
        (outcome(metric(0.001), before=BEFORE | {FORGOTTEN: metric(0.03)}), "inconclusive"),
        (outcome(Metric(value=0.001, n=1)), "inconclusive"),
        (outcome(metric(0.001), probes_probability=Metric(value=0.001, n=1)), "inconclusive"),
        (outcome(metric(0.001), survived=Survivors(n=400, probable=1, said=0, either=1)), "not forgotten"),
        (outcome(metric(0.001), survived=Survivors(n=400, probable=0, said=1, either=1)), "not forgotten"),
        (
            outcome(metric(0.001), survived=Survivors(n=400, probable=0, said=0, either=0)),
            "forgotten by these measures",
        ),
        (outcome(metric(0.001), probe_chat_probability=metric(0.4)), "not forgotten"),
        (in_files(WHOLE, file("Q4_0", metric(0.002))), "forgotten by these measures"),
        (in_files(WHOLE, file("Q4_0", metric(0.3))), "not forgotten"),
        (in_files(WHOLE, file("Q4_0", metric(0.02), survivors=1)), "not forgotten"),
        (in_files(WHOLE, file("Q4_0", metric(0.045, 0.02))), "inconclusive"),
        (in_files(WHOLE, file("Q4_0", unavailable("It could not be read."))), "inconclusive"),
        (in_files(WHOLE, file("Q4_0", metric(0.001), probe_chat_probability=metric(0.3))), "not forgotten"),
        (in_files(WHOLE, file("Q4_0", metric(0.001), retain=0.5)), "forgotten by these measures"),
        (in_files(file("BF16", metric(0.001), retain=0.5)), "retention lost"),
        (replace(ASKED_IN_A_CHAT, files=(WHOLE,)), "inconclusive"),
        (replace(ASKED_IN_A_CHAT, files=(CHATTING,)), "forgotten by these measures"),
    ],
)
def test_the_rule(found: Outcome, state: str) -> None:
    assert state_of(found) == state
    answer = verdict(found)
    assert answer.state == state
    assert answer.sentence.lower().startswith(state)
    assert "delet" not in answer.sentence.lower()
    assert "certif" not in answer.sentence.lower()


def test_the_sentence_has_the_numbers() -> None:
    told = verdict(outcome(metric(0.001), probe_paraphrase_probability=metric(0.002))).sentence
    assert told == (
        "Forgotten by these measures: the probability of 20 answers to forget went from 94% to 0.1% a token (95% CI 0% to "
        "1.1%), in other words to 0.2% (95% CI 0% to 1.2%); "
        "that of 20 to keep from 97% to 97%; retain loss 0.040 nats, within epsilon 0.080."
    )


def test_a_file_in_which_answers_come_back_decides_and_is_named() -> None:
    """Forgotten in 16 bits and in 8, and back in 4: whoever gets that file has the answers."""
    back = file("Q4_0", metric(0.3), survivors=7)
    found = in_files(WHOLE, file("Q8_0", metric(0.002)), back)
    assert [file_state(one, 0.05) for one in found.files] == ["forgotten", "forgotten", "not forgotten"]
    answer = verdict(found)
    assert answer.state == "not forgotten"
    told = (
        "in artefacts/model-Q4_0.gguf it is 30% a token asked as trained (95% CI 29% to 31%), with 7 of 20 answers above 5% in "
        "some way"
    )
    assert told in answer.sentence
    (caution,) = (one for one in cautions(found, training(), ()) if one.code == "brought_back_file")
    assert "artefacts/model-Q4_0.gguf (GGUF, Q4_0) is not offered as a model that has forgotten" in caution.message
    assert caution.count == 7
    knowing = replace(found, after=found.after | {FORGOTTEN: metric(0.6)})
    assert "brought_back_file" not in {one.code for one in cautions(knowing, training(), ())}, "the verdict says so"
    well = verdict(in_files(WHOLE, file("Q4_0", metric(0.002)))).sentence
    assert (
        "; in the files made of the model it is 0.2% at most, in artefacts/model-Q4_0.gguf, asked as trained;" in well
    )
    chatty = verdict(in_files(WHOLE, file("Q4_0", metric(0.001), probe_chat_probability=metric(0.3)))).sentence
    assert "in artefacts/model-Q4_0.gguf it is 30% a token asked in a chat" in chatty
    unread = in_files(WHOLE, file("Q4_0", unavailable("artefacts/model-Q4_0.gguf could not be measured: it is gone.")))
    assert "artefacts/model-Q4_0.gguf could not be measured; " in verdict(unread).sentence
    assert "unmeasured_file" in {one.code for one in cautions(unread, training(), ())}


def test_a_file_that_was_not_asked_as_the_model_was_is_not_known_to_have_forgotten() -> None:
    found = replace(ASKED_IN_A_CHAT, files=(WHOLE,))
    assert "Inconclusive: artefacts/model-BF16.gguf could not be measured asked in a chat; " in verdict(found).sentence
    codes = {caution.code: caution.message for caution in cautions(found, training(), ())}
    assert "could not be asked in a chat, as the model was" in codes["unasked_file"]
    (row,) = file_rows(found.files, 0.05, found.asked())
    assert row["state"] == "inconclusive"


def test_what_quantising_costs_is_told_beside_the_verdict() -> None:
    found = in_files(WHOLE, file("Q4_0", metric(0.001), retain=0.8))
    (caution,) = (one for one in cautions(found, training(), ()) if one.code == "file_retention")
    assert "a probability of 80% a token, the start model 97%" in caution.message


def curve(model: str, *values: float, data: str = "items") -> Relearning:
    points = tuple(CurvePoint(step=step, forget=metric(value), loss=None) for step, value in enumerate(values))
    return Relearning.model_validate(
        {"model": model, "data": data, "n_trained": 2, "batch_size": 2, "learning_rate": 1e-4, "points": points}
    )


def test_what_comes_back_when_a_copy_is_trained_again_is_told_and_decides_nothing() -> None:
    alone = replace(outcome(metric(0.001)), relearning=(curve("unlearned", 0.001, 0.6, 0.4),))
    assert state_of(alone) == "forgotten by these measures"
    (caution,) = (one for one in cautions(alone, training(), ()) if one.code == "relearnt_items")
    assert "for 2 steps on 2 examples to forget a copy gives other answers to forget" in caution.message
    assert "up to 60% a token, from 0.1%" in caution.message
    assert "none was given to compare with" in caution.message
    beside = replace(alone, relearning=(*alone.relearning, curve("reference", 0.001, 0.02)))
    (caution,) = (one for one in cautions(beside, training(), ()) if one.code == "relearnt_items")
    assert "The reference, which has never learnt them, went from 0.1% to 2% at most" in caution.message
    flat = replace(alone, relearning=(curve("unlearned", 0.001, 0.002),))
    assert [one for one in cautions(flat, training(), ()) if one.code.startswith("relearnt")] == []


def test_what_was_said_in_a_chat_is_told() -> None:
    before = BEFORE | {"probe_chat_probability": metric(0.8)}
    asked = replace(outcome(metric(0.001), before=before, probe_chat_probability=metric(0.02)), has_chat_template=True)
    (caution,) = (one for one in cautions(asked, training(), ()) if one.code == "chat_template")
    assert "the plain prompt alone was trained" in caution.message
    assert "went from 80% to 2% a token, which counts for the verdict" in caution.message
    failed = replace(asked, after=asked.after | {"probe_chat_probability": unavailable("The template cannot be used.")})
    (caution,) = (one for one in cautions(failed, training(), ()) if one.code == "chat_template")
    assert "was not measured. The template cannot be used." in caution.message


def test_the_starter_is_never_evidence() -> None:
    found = outcome(metric(0.001))
    starter = Outcome(found.before, found.after, found.constraint, 0.05, 0.05, is_starter=True)
    assert verdict(starter).sentence.endswith("(starter model: for trying the program, not evidence).")
    assert cautions(starter, training(), ())[0].code == "starter"


def test_learning_has_a_verdict_of_its_own() -> None:
    after = {FORGOTTEN: metric(0.95), RETAINED: metric(0.9)}
    before = {FORGOTTEN: metric(0.2), RETAINED: metric(0.2)}
    found = Outcome(before, after, None, 0.05, 0.05, is_starter=False)
    assert verdict(found).sentence == (
        "Learnt: the probability a token went for 20 answers to forget later from 20% to 95% and for 20 answers to keep from "
        "20% to 90%."
    )
    assert state_of(Outcome(before, before, None, 0.05, 0.05, is_starter=False)) == "not learnt"
    half = after | {RETAINED: metric(0.2)}
    assert state_of(Outcome(before, half, None, 0.05, 0.05, is_starter=False)) == "not learnt", "both files count"


def test_answers_that_survive_are_counted_in_the_sentence_and_beside_it() -> None:
    found = outcome(metric(0.02), survived=Survivors(n=400, probable=8, said=3, either=9))
    told = "9 of 400 answers survived in some way of asking: 8 above 5%, 3 said whole"
    assert told in verdict(found).sentence
    (caution,) = (one for one in cautions(found, training(), ()) if one.code == "survivors")
    assert caution.count == 9
    none = outcome(metric(0.001), survived=Survivors(n=400, probable=0, said=0, either=0))
    assert "; no answer is above 5% or said whole in any way of asking;" in verdict(none).sentence


def test_an_epsilon_below_the_start_that_is_not_reached_has_lost_nothing() -> None:
    found = outcome(metric(0.001))
    improved = ConstraintInfo(
        epsilon=0.8, measured=False, retain_loss_before=1.0, retain_loss_after=0.9, feasible=False
    )
    answer = verdict(replace(found, constraint=improved))
    assert answer.state == "inconclusive"
    assert "the retain loss fell, but not to epsilon" in answer.sentence


def test_a_loss_above_epsilon_never_looks_like_it() -> None:
    found = outcome(metric(0.001), loss=0.08004)
    assert "retain loss 0.0800 nats" not in verdict(found).sentence
    assert "retain loss 0.08004 nats, above epsilon 0.08000" in verdict(found).sentence


@pytest.mark.parametrize(
    ("found", "info", "code"),
    [
        (outcome(metric(0.001), probe_paraphrase_probability=metric(0.4)), training(), "brought_back_probe_paraphrase"),
        (outcome(metric(0.001), mia_min_k=metric(0.03)), training(), "over_forgotten_mia_min_k"),
        (outcome(metric(0.001), loss=0.2), training(), "infeasible"),
        (outcome(metric(0.001), mia_loss=metric(0.9)), training(), "still_told_mia_loss"),
        (
            outcome(metric(0.001), probe_answer_start_probability=metric(0.9)),
            training(),
            "brought_back_probe_answer_start",
        ),
        (replace(outcome(metric(0.001)), has_chat_template=True), training(), "chat_template"),
        (replace(outcome(metric(0.001)), dtype="bfloat16"), training(), "bfloat16"),
        (replace(outcome(metric(0.001)), data=data(n_forget=4000)), training(), "sampled"),
        (outcome(metric(0.001)), training(best_step=None), "no_feasible_step"),
        (outcome(metric(0.001)), training(best_step=20, kept_step=20), "best_step"),
    ],
)
def test_what_a_reader_must_know_is_counted(found: Outcome, info: TrainingInfo, code: str) -> None:
    assert code in {caution.code for caution in cautions(found, info, ())}


def test_nothing_is_said_where_all_is_well() -> None:
    found = outcome(metric(0.001), mia_min_k=metric(0.48), survived=Survivors(n=20, probable=0, said=0, either=0))
    assert cautions(replace(found, data=data()), training(), ()) == []


def test_nothing_is_made_of_an_area_that_may_as_well_be_one_half() -> None:
    found = outcome(metric(0.001), mia_loss=metric(0.9, 0.45))
    assert not {one.code for one in cautions(found, training(), ())} & {
        "still_told_mia_loss",
        "over_forgotten_mia_loss",
    }


def test_a_sample_is_told_with_what_it_was_drawn_from() -> None:
    found = replace(outcome(metric(0.001)), data=data(n_forget=4000))
    (caution,) = (one for one in cautions(found, training(), ()) if one.code == "sampled")
    assert "Measured were 20 of 4,000 examples to forget, drawn by the seed." in caution.message


@pytest.mark.parametrize(
    ("share", "told"),
    [
        (0.0, "0%"),
        (1.0, "100%"),
        (0.97, "97%"),
        (0.9991, "99.91%"),
        (0.99995, "over 99.99%"),
        (0.042, "4.2%"),
        (0.00013, "0.013%"),
        (1e-06, "under 0.001%"),
        (0.104, "10%"),
    ],
)
def test_a_probability_is_never_rounded_to_none_or_to_all(share: float, told: str) -> None:
    assert percent(share) == told


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("forget_probability", "To forget, probability with the token that ends the answer (TOFU)"),
        ("forget_answer_probability", "To forget, probability of the answer's own tokens"),
        ("mia_zlib", "Membership inference, AUC by zlib"),
        ("mia_min_k_plus_plus", "Membership inference, AUC by min-k++"),
        ("probe_answer_start_rouge_recall", "Asked otherwise, answer start ROUGE-L recall"),
        ("probes_probability", "Own probes, probability"),
        ("extraction_strength", "Extraction strength"),
    ],
)
def test_measures_are_told_in_words(name: str, told: str) -> None:
    assert measure_words(name) == told
