"""What every test gets: a seed, and a NumPy generator."""

import keras
import numpy as np
import pytest

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
