"""Memory predicted before a model is loaded, against the peak of a process that loads it."""

import subprocess
import sys
from pathlib import Path

import pytest
from auditor.models import ModelFile
from auditor.models.batch_plan import BatchPlan, candidates, cells
from auditor.models.fit import RESERVE_BYTES, estimate, fitting
from auditor.models.inspect import inspect
from gguf import GGMLQuantizationType
from tests.models.random_gguf import SMALL, write

N_CTX = 2048


def peak(model: ModelFile, place: int = 0) -> int:
    command = [sys.executable, "-m", "tests.models.peak", model.model_dump_json(), str(N_CTX), "1000", str(place)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[2])
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells the highest resident size of a process")
def test_the_starters_peak_is_predicted_within_a_tenth_whatever_plan_is_chosen(starter_model: ModelFile) -> None:
    before = estimate(starter_model, n_ctx=N_CTX).memory_bytes
    # The third takes less of everything.
    for place, plan in enumerate(candidates(on_gpu=False)[:2]):
        found = peak(starter_model, place)
        assert estimate(starter_model, n_ctx=N_CTX, plan=plan).memory_bytes == pytest.approx(found, rel=0.1)
        # What is said before a run holds for the plan that it takes.
        assert before >= found


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells the highest resident size of a process")
@pytest.mark.parametrize("kind", [GGMLQuantizationType.Q4_0, GGMLQuantizationType.BF16])
def test_the_peak_of_a_larger_model_is_predicted_within_a_tenth(tmp_path: Path, kind: GGMLQuantizationType) -> None:
    model = inspect(write(tmp_path / "random.gguf", SMALL, kind))
    usual = candidates(on_gpu=False)[0]
    assert estimate(model, n_ctx=N_CTX, plan=usual).memory_bytes == pytest.approx(peak(model), rel=0.1)


def test_what_is_rearranged_for_the_processor_counts_twice(tmp_path: Path) -> None:
    model = inspect(write(tmp_path / "random.gguf", SMALL, GGMLQuantizationType.Q4_0))
    # Every matrix of the layers; those of the vocabulary are read as they are.
    layer = 2 * 1024 * 1024 + 2 * 256 * 1024 + 3 * 1024 * 2816
    assert model.repacked_bytes == 8 * layer * 18 // 32
    assert (model.feed_forward, model.kv_heads, model.head_dim) == (2816, 4, 64)
    assert estimate(model, n_ctx=N_CTX).weights == model.size_bytes + model.repacked_bytes


def test_the_parts_of_the_estimate_are_those_of_the_scorers_context(starter_model: ModelFile) -> None:
    plan = candidates(on_gpu=False)[0]
    fit = estimate(starter_model, n_ctx=N_CTX, plan=plan)
    position = 2 * 30 * 3 * 64 * 2
    assert fit.kv == position * (cells(N_CTX, plan.capacity) + 512)
    assert fit.memory_bytes == fit.weights + fit.kv + fit.compute
    assert estimate(starter_model, n_ctx=N_CTX, plan=plan, talk=96).memory_bytes > fit.memory_bytes
    plain = plan.model_copy(update={"flash_attention": False})
    assert estimate(starter_model, n_ctx=N_CTX, plan=plain).compute > fit.compute


def test_plans_are_left_out_where_they_alone_do_not_fit(starter_model: ModelFile) -> None:
    usual, plain, small = candidates(on_gpu=False)
    sizes = [estimate(starter_model, n_ctx=8192, plan=plan).memory_bytes for plan in (usual, plain, small)]
    assert sizes[1] > sizes[0] > sizes[2]
    plenty, tight, too_little = sizes[1] + RESERVE_BYTES, sizes[0] + RESERVE_BYTES, sizes[2] + RESERVE_BYTES - 1

    def found(free: int) -> tuple[int, bool, tuple[BatchPlan, ...]]:
        fit = estimate(starter_model, n_ctx=8192, free_bytes=free)
        plans = fitting(starter_model, (usual, plain, small), n_ctx=8192, talk=0, free_bytes=free)
        return fit.memory_bytes, fit.fits, plans

    assert found(plenty) == (sizes[1], True, (usual, plain, small))
    assert found(tight) == (sizes[0], True, (usual, small))
    assert found(too_little) == (sizes[2], False, ())
