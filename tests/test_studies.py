"""What the studies of `benchmarks/` share."""

import importlib
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"

pytestmark = [
    pytest.mark.one_backend,
    pytest.mark.skipif(not BENCHMARKS.exists(), reason="needs the repository"),
]


@pytest.fixture
def study(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module("_study")


@pytest.mark.parametrize("runs", [2, 8, 12])
def test_an_interval_knows_any_number_of_runs(study, runs):
    mean, half = study.interval([0.0, 2.0] * (runs // 2))
    quantile = {2: 12.706, 8: 2.365, 12: 2.201}[runs]
    assert mean == 1.0
    error = (runs / (runs - 1)) ** 0.5 / runs**0.5
    assert half == pytest.approx(quantile * error, rel=1e-3)
