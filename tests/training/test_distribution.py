"""Several devices train the same model as one: see `distributed.py`."""

import json
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
BACKEND = keras.config.backend()
# Four devices on one processor, and quick compilation.
FLAGS = (
    "--xla_force_host_platform_device_count=4 "
    "--xla_backend_optimization_level=0"
)

several_devices = pytest.mark.skipif(
    BACKEND == "torch", reason="torch trains on one device"
)
on_jax = pytest.mark.skipif(BACKEND != "jax", reason="keras.distribution")
on_tensorflow = pytest.mark.skipif(
    BACKEND != "tensorflow", reason="tf.distribute"
)


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """What the runs in a process of its own came to."""
    file = tmp_path_factory.mktemp("distributed") / "results.json"
    done = subprocess.run(
        [sys.executable, "-m", "tests.training.distributed", str(file)],
        cwd=ROOT,
        env={**os.environ, "KERAS_BACKEND": BACKEND, "XLA_FLAGS": FLAGS},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(file.read_text())


def assert_close(found, expected, tolerance=1e-5):
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        np.testing.assert_allclose(
            found[name], values, atol=tolerance, rtol=tolerance, err_msg=name
        )


@several_devices
@pytest.mark.multi_device
def test_losses_and_metrics_equal_those_of_one_device(results):
    runs = results["runs"]
    expected = runs.pop("one device")
    assert len(expected["history"]["val_loss"]) == 2
    assert len(runs) == {"jax": 4, "tensorflow": 1}[BACKEND]
    for run in runs.values():
        assert_close(run["history"], expected["history"])
        assert_close(run["evaluated"], expected["evaluated"])
        assert run["step"] == expected["step"] == 12
        np.testing.assert_allclose(
            run["predicted"], expected["predicted"], atol=1e-5
        )
    assert np.shape(expected["predicted"]) == (11, 3)
