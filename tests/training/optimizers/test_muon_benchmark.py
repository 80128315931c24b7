"""`benchmarks/muon.py` runs."""

import os
import re
import subprocess
import sys
from pathlib import Path

import keras
import pytest

ROOT = Path(__file__).parents[3]
SCRIPT = ROOT / "benchmarks" / "muon.py"


@pytest.mark.slow
@pytest.mark.skipif(not SCRIPT.exists(), reason="needs the repository")
def test_it_compares_three_optimizers_on_two_encoders():
    backend = keras.config.backend()
    found = subprocess.run(
        [sys.executable, str(SCRIPT), "--smoke"],
        env={**os.environ, "PYTHONPATH": str(ROOT), "KERAS_BACKEND": backend},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert found.returncode == 0, found.stderr[-3000:]
    for preset in ("imp_tiny", "imp_moe_tiny"):
        assert f"{preset}, {backend}, a step" in found.stdout
    rows = re.findall(r"^(AdamW|Muon, five steps|Muon) ", found.stdout, re.M)
    assert rows == 2 * ["AdamW", "Muon", "Muon, five steps"]
