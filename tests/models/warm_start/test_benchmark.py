"""`benchmarks/warm_start.py` runs."""

import os
import re
import subprocess
import sys
from pathlib import Path

import keras
import pytest

from tests.helpers.backbones import CASES

ROOT = Path(__file__).parents[3]
SCRIPT = ROOT / "benchmarks" / "warm_start.py"


@pytest.mark.slow
@pytest.mark.skipif(not SCRIPT.exists(), reason="needs the repository")
def test_it_shows_that_every_map_is_exact():
    backend = keras.config.backend()
    found = subprocess.run(
        [sys.executable, str(SCRIPT), "--smoke"],
        env={**os.environ, "PYTHONPATH": str(ROOT), "KERAS_BACKEND": backend},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert found.returncode == 0, found.stderr[-3000:]
    rows = re.findall(r"^(.+?)  +(\S+e-\d+)  +(\S+e-\d+)$", found.stdout, re.M)
    assert {name for name, *_ in rows} == set(CASES)
    for _, *differences in rows:
        assert max(map(float, differences)) < 1e-4
    assert "largest_difference" in found.stdout
