"""Lambda and epsilon."""

import math
from typing import Any

import pytest
from auditor.audits.unlearning.cautions import before_training
from auditor.audits.unlearning.objective_settings import PduSettings
from auditor.audits.unlearning.primal_dual import DualVariable, balanced_gamma, check_epsilon, propose_epsilon
from auditor.audits.unlearning.spec import UnlearningSpec
from auditor.errors import InputError
from pydantic import ValidationError


def _dual(**changes: Any) -> DualVariable:
    usual = {"epsilon": 0.3, "lambda_start": 2.0, "dual_step": 5.0, "dual_warmup_epochs": 0}
    return DualVariable(PduSettings.model_validate(usual | changes))


def test_lambda_follows_the_constraint() -> None:
    dual, by_hand = _dual(), 2.0
    for loss in (0.5, 0.4, 0.1, 0.31):
        dual.after_step(loss, 0, False)
        by_hand = max(0.0, by_hand + 5 * (loss - 0.3))
        assert dual.value == pytest.approx(by_hand)
    assert dual.warnings() == ()


def test_it_waits_for_the_end_of_the_warm_up() -> None:
    dual = _dual(dual_warmup_epochs=2)
    for epoch in (0, 1):
        dual.after_step(0.9, epoch, True)
        assert dual.value == 2
    dual.after_step(0.4, 2, False)
    assert dual.value == pytest.approx(2.5)


def test_epoch_updates_take_the_mean_of_the_epoch() -> None:
    dual = _dual(dual_updates="epoch", dual_warmup_epochs=2)
    for epoch, losses in enumerate([(0.9, 0.9), (0.5, 0.3, 0.7), (0.2, 0.2)]):
        for place, loss in enumerate(losses):
            before = dual.value
            dual.after_step(loss, epoch, place == len(losses) - 1)
            if place < len(losses) - 1:
                assert dual.value == before
        # Two epochs have the first value: the mean of the second one gives the weight of the third.
        assert dual.value == pytest.approx([2.0, 2 + 5 * 0.2, 2 + 5 * 0.2 - 5 * 0.1][epoch])


def test_an_update_behind_the_last_step_led_nothing() -> None:
    dual = _dual(dual_updates="epoch", dual_warmup_epochs=1)
    dual.after_step(0.9, 0, True)
    assert dual.value == 5
    (told,) = dual.warnings()
    assert "held by a fixed weight of 2," in told
    dual.after_step(0.3, 1, True)
    assert dual.warnings() == ()


def test_zero_and_the_cap_are_told() -> None:
    slack = _dual(lambda_start=0.1)
    for _ in range(3):
        slack.after_step(0.0, 0, False)
    assert slack.value == 0
    assert "Lambda was 0 after 3 of 3 dual updates" in slack.warnings()[0]
    tight = _dual(lambda_cap=4.0)
    tight.after_step(0.35, 0, False)
    tight.after_step(9.0, 0, False)
    assert tight.value == 4
    assert "its cap of 4 after 1 of 2 dual updates" in tight.warnings()[0]


@pytest.mark.parametrize(
    ("changes", "why"), [({"dual_warmup_epochs": 5}, "a dual warm-up of 5 epochs"), ({"dual_step": 0.0}, "is 0")]
)
def test_a_weight_that_never_moved_is_no_constraint_and_says_so(changes: dict[str, Any], why: str) -> None:
    fixed = _dual(**changes)
    for epoch in range(5):
        fixed.after_step(9.0, epoch, True)
    (told,) = fixed.warnings()
    assert "No step was taken with an updated lambda" in told
    assert why in told
    assert "a fixed weight of 2" in told


@pytest.mark.parametrize("updates", ["step", "epoch"])
def test_a_checkpoint_goes_on_exactly(updates: str) -> None:
    losses = [0.1, 0.77, 0.3, 0.45, 0.2, 0.9, 0.0, 0.33]
    for cut in range(len(losses)):
        whole, first, second = (_dual(dual_updates=updates, lambda_cap=3.0) for _ in range(3))
        for place, loss in enumerate(losses):
            whole.after_step(loss, 0, place % 4 == 3)
            (first if place < cut else second).after_step(loss, 0, place % 4 == 3)
            if place == cut - 1:
                second.load(first.state())
        assert second.state() == whole.state()
        assert second.warnings() == whole.warnings()


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(ValueError, match="epsilon is not set"):
        DualVariable(PduSettings())
    with pytest.raises(ValueError, match="no finite number"):
        _dual().after_step(math.nan, 0, False)
    with pytest.raises(ValidationError, match="lambda starts above its cap"):
        PduSettings(lambda_start=20, lambda_cap=10)


@pytest.mark.parametrize(("start", "proposed"), [(0.03, 0.08), (0.5, 0.55), (2.0, 2.2), (0.0, 0.05)])
def test_epsilon_leaves_a_tenth_or_a_twentieth_of_a_nat(start: float, proposed: float) -> None:
    assert propose_epsilon(start) == pytest.approx(proposed)
    assert check_epsilon(propose_epsilon(start), start) == ()


def test_an_epsilon_below_the_start_needs_a_word() -> None:
    with pytest.raises(InputError, match=r"Epsilon is 0\.1, but .* 0\.400 nats.* Take 0\.450 or more"):
        check_epsilon(0.1, 0.4)
    (told,) = check_epsilon(0.1, 0.4, allow_below=True)
    assert "below the start" in told
    assert "trained on until it is met" in told
    assert "Nothing in the method works towards it" in check_epsilon(0.1, 0.4, allow_below=True, enforced=False)[0]


def test_an_epsilon_far_above_the_start_is_told() -> None:
    assert check_epsilon(0.6, 0.03) == ()
    (told,) = check_epsilon(1.5, 0.03)
    assert "lose 77% of their probability" in told
    assert "0.080 is proposed" in told


def test_gamma_gives_both_terms_the_same_size() -> None:
    gamma = balanced_gamma(forget_loss=640.0, epsilon=0.08, lambda_start=100.0)
    assert gamma * 640 == pytest.approx(100 * 0.08)
    with pytest.raises(ValueError, match="nothing to balance"):
        balanced_gamma(0.0, 0.1, 1.0)


@pytest.mark.parametrize("updates", ["step", "epoch"])
@pytest.mark.parametrize("step", [0.0, 5.0])
@pytest.mark.parametrize("warmup", range(4))
@pytest.mark.parametrize("epochs", range(1, 4))
@pytest.mark.parametrize("per_epoch", range(1, 4))
def test_a_weight_that_cannot_move_is_told_before_the_training(
    per_epoch: int, epochs: int, warmup: int, step: float, updates: str
) -> None:
    """As the multiplier itself tells it afterwards."""
    dual = _dual(dual_warmup_epochs=warmup, dual_step=step, dual_updates=updates)
    for epoch in range(epochs):
        for place in range(per_epoch):
            dual.after_step(0.4, epoch, place == per_epoch - 1)
    asked = UnlearningSpec.model_validate(
        {"epochs": epochs, "dual_warmup_epochs": warmup, "dual_step": step, "dual_updates": updates}
        | {"batch_size": 2, "accumulation": 2}
    )
    told = [caution.message for caution in before_training(asked, 4 * per_epoch - 1)]
    assert bool(told) == any("held by a fixed weight" in warning for warning in dual.warnings())
    assert all("held by a fixed weight, not by a constraint" in message for message in told)


def test_a_baseline_has_no_weight_that_could_move() -> None:
    asked = UnlearningSpec.model_validate({"method": "grad_diff", "epochs": 1})
    assert list(before_training(asked, 8)) == []
    (caution,) = before_training(UnlearningSpec.model_validate({"epochs": 1, "batch_size": 4}), 8)
    assert "2 steps are taken, and an update could count after 11 at the earliest." in caution.message


def test_a_lambda_of_0_holds_nothing_and_is_not_called_a_weight() -> None:
    asked = UnlearningSpec.model_validate({"lambda_start": 0.0, "gamma": 1.0, "epochs": 2})
    (caution,) = before_training(asked, 8)
    assert "Retention will be held by nothing." in caution.message
    dual = _dual(lambda_start=0.0, dual_step=0.0)
    dual.after_step(9.0, 0, True)
    assert "Retention was held by nothing, lambda being 0." in dual.warnings()[0]
