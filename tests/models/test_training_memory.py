"""The estimate of what training takes, against what it takes: a process of its own, its highest resident size."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from auditor.errors import ModelError
from auditor.models import make_trainable
from auditor.models.folder import inspect_folder
from auditor.models.make_trainable import trainable
from auditor.models.torch_fit import Workload, estimate_training, estimate_writing, lora_parameters
from tests.models import small
from tests.models.training_peak import Asked

_SHAPE = {
    "hidden_size": 512,
    "intermediate_size": 1408,
    "num_hidden_layers": 8,
    "num_attention_heads": 8,
    "num_key_value_heads": 4,
    "initializer_range": 0.02,
}


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").is_file(), reason="the highest resident size is asked of Linux")
@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"lora_rank": 8},
        {"gradient_checkpointing": True},
        {"dtype": "bfloat16"},
        {"method": "npo"},
    ],
    ids=lambda asked: "-".join(map(str, asked.values())) or "full",
)
def test_training_takes_about_what_was_estimated(tmp_path: Path, asked: dict[str, Any]) -> None:
    model = inspect_folder(small.write(tmp_path / "model", **_SHAPE))
    whole = Asked(model=model, folder=tmp_path / "run", sequences=4, length=256, **asked)
    command = [sys.executable, "-m", "tests.models.training_peak", whole.model_dump_json()]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=500, check=False)
    assert ran.returncode == 0, ran.stderr
    found = json.loads(ran.stdout)
    # Too little would let a training begin that ends the process; too much refuse one that fits.
    assert 0.95 <= found["estimated"] / found["measured"] <= 1.7, found


def test_parameters_of_adapters_are_counted(tmp_path: Path) -> None:
    model = inspect_folder(small.write(tmp_path / "model"))
    learner = trainable(model, device="cpu", dtype="float32", threads=1, lora_rank=4)
    try:
        assert lora_parameters(model, 4) == sum(weight.numel() for weight in learner.parameters)
    finally:
        learner.close()


@pytest.mark.parametrize(("dtype", "written", "times"), [("float32", 4, 8), ("float32", 2, 6), ("bfloat16", 2, 4)])
def test_what_writing_it_down_takes_is_asked_before_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dtype: str, written: int, times: int
) -> None:
    """Adapters train in little more than the weights take, but the model is held twice when it is written."""
    model = inspect_folder(small.write(tmp_path / "model")).model_copy(update={"parameters": 7_000_000_000})
    work = Workload(1, 8, written_bytes=written)
    monkeypatch.setattr(make_trainable, "free_bytes", lambda device: int((times - 0.5) * 7e9))
    with pytest.raises(ModelError, match=r"Writing model down after training needs about .* but only"):
        trainable(model, device="cpu", dtype=dtype, lora_rank=1, workload=work)
    fit = estimate_writing(
        model, dtype_bytes=4 if dtype == "float32" else 2, written_bytes=written, free_bytes=int((times + 0.5) * 7e9)
    )
    assert fit.fits
    assert fit.weights == times * 7_000_000_000


def test_less_is_estimated_for_what_saves_memory(tmp_path: Path) -> None:
    model = inspect_folder(small.write(tmp_path / "model", **_SHAPE))

    def total(**changes: Any) -> int:
        usual: dict[str, Any] = {
            "dtype_bytes": 4,
            "lora_rank": None,
            "gradient_checkpointing": False,
            "workload": Workload(4, 512),
        }
        return estimate_training(model, free_bytes=2**40, place="in memory", **(usual | changes)).memory_bytes

    assert total(lora_rank=8) < total()
    assert total(gradient_checkpointing=True) < total()
    assert total(dtype_bytes=2) < total()
    assert total(workload=Workload(2, 512)) < total()
    assert total(workload=Workload(4, 512, reference=True)) == total() + 4 * model.parameters
    # Layers that keep less are those of the Llama family alone; 8 layers, 2,048 tokens, 4 bytes.
    other = model.model_copy(update={"architecture": "gpt2"})
    full = estimate_training(
        other,
        dtype_bytes=4,
        lora_rank=None,
        gradient_checkpointing=False,
        workload=Workload(4, 512),
        free_bytes=2**40,
        place="in memory",
    ).memory_bytes
    wide, narrow = _SHAPE["intermediate_size"], _SHAPE["hidden_size"]
    assert full - total() == 4 * 2048 * (7 * (4 * wide + 24 * narrow) - 8 * (2 * wide + 12 * narrow))
    assert total(workload=Workload(4, 512, reference=True), lora_rank=8) == total(lora_rank=8)


def test_losses_look_at_more_logits_together_on_cuda(tmp_path: Path) -> None:
    model = inspect_folder(small.write(tmp_path / "model")).model_copy(update={"vocabulary": 150_000})

    def compute(*, is_cuda: bool) -> int:
        return estimate_training(
            model,
            dtype_bytes=4,
            lora_rank=None,
            gradient_checkpointing=False,
            workload=Workload(4, 512),
            free_bytes=2**40,
            place="on the graphics processor",
            is_cuda=is_cuda,
        ).compute

    assert compute(is_cuda=True) - compute(is_cuda=False) == 4 * 2**25 * 4
