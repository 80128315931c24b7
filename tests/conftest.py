"""What every test gets: quick compilers, a seed, and a NumPy generator."""

import os

# Tensors here are tiny: threads would only wait for each other, above all
# when pytest-xdist fills the cores. To be set before a backend is imported.
for _name in (
    "OMP_NUM_THREADS",
    "TF_NUM_INTEROP_THREADS",
    "TF_NUM_INTRAOP_THREADS",
):
    os.environ.setdefault(_name, "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# Most of the time here is spent compiling programs that run once: this makes
# it four times shorter. Set the level in XLA_FLAGS to test optimized programs.
if "xla_backend_optimization_level" not in os.environ.get("XLA_FLAGS", ""):
    os.environ["XLA_FLAGS"] = " ".join(
        [os.environ.get("XLA_FLAGS", ""), "--xla_backend_optimization_level=0"]
    ).strip()

import keras  # noqa: E402
import numpy as np  # noqa: E402
import pytest  # noqa: E402

SEED = 20230510


def pytest_configure(config):
    config.addinivalue_line("markers", "slow: takes more than a few seconds")
    config.addinivalue_line(
        "markers", "multi_device: needs several (virtual) devices"
    )


@pytest.fixture(autouse=True)
def _seeded():
    keras.utils.set_random_seed(SEED)


@pytest.fixture
def rng():
    return np.random.default_rng(SEED)
