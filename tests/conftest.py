"""What every test gets: quick compilers, a seed, and a NumPy generator."""

import importlib.metadata
import os
import pathlib

ROOT = pathlib.Path(__file__).parents[1]

# Tensors here are tiny: threads would only wait for each other, above all
# when pytest-xdist fills the cores. To be set before a backend is imported.
for _name in (
    "OMP_NUM_THREADS",
    "TF_NUM_INTEROP_THREADS",
    "TF_NUM_INTRAOP_THREADS",
):
    os.environ.setdefault(_name, "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# Most of the time here is spent compiling programs that run once: these make it
# a fraction. Set the level in XLA_FLAGS to test optimized programs.
if "xla_backend_optimization_level" not in os.environ.get("XLA_FLAGS", ""):
    _flags = [
        os.environ.get("XLA_FLAGS", ""),
        "--xla_backend_optimization_level=0",
    ]
    # XLA ends the process for a flag that it does not know, so only where it is
    # known to be: in TensorFlow's XLA they are not.
    if os.environ.get("KERAS_BACKEND") == "jax" and importlib.metadata.version(
        "jaxlib"
    ).startswith("0.10."):
        _flags += [
            "--xla_cpu_use_fusion_emitters=false",
            "--xla_cpu_parallel_codegen_split_count=1",
        ]
    os.environ["XLA_FLAGS"] = " ".join(_flags).strip()

# Workers of pytest-xdist, processes that a test starts, and the next call of
# pytest read what one of them has compiled.
for _name, _value in {
    "COMPILATION_CACHE_DIR": ROOT / ".pytest_cache" / "jax",
    "PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": 0,
    "PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": -1,
}.items():
    os.environ.setdefault(f"JAX_{_name}", str(_value))

import keras  # noqa: E402
import numpy as np  # noqa: E402
import pytest  # noqa: E402

from tests.helpers.modalities import restored_registry  # noqa: E402

SEED = 20230510


def pytest_configure(config):
    config.addinivalue_line("markers", "slow: takes more than a few seconds")
    config.addinivalue_line(
        "markers", "one_backend: uses no backend, or all of them alike"
    )
    config.addinivalue_line(
        "markers", "multi_device: needs several (virtual) devices"
    )


@pytest.fixture(autouse=True)
def _seeded():
    keras.utils.set_random_seed(SEED)


@pytest.fixture(scope="module", autouse=True)
def _modalities_restored():
    """What a file registers, or runs that registers, is forgotten after it."""
    with restored_registry():
        yield


@pytest.fixture
def rng():
    return np.random.default_rng(SEED)


@pytest.fixture
def keras_hub_contract(monkeypatch, tmp_path):
    """What keras-hub promises of its own classes, as its wheel tests it."""
    from keras_hub.src.tests.test_case import TestCase

    if keras.backend.backend() == "torch":
        # Without a GPU it returns before it tests any precision on torch, but
        # torch computes in all of them on a CPU too.
        monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    contract = TestCase()
    monkeypatch.setattr(contract, "get_temp_dir", lambda: str(tmp_path))
    return contract
