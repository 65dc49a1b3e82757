"""What several tests of the Parity audit look at."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="session")
def drawing() -> ModuleType:
    """The script that draws the sample: it knows where each figure shows skin."""
    path = Path(__file__).parents[3] / "packaging" / "draw_parity_sample.py"
    spec = importlib.util.spec_from_file_location("draw_parity_sample", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, spec.name, module)  # dataclasses look their module up while they are made
        spec.loader.exec_module(module)
    return module
