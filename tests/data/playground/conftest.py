import pytest

from keras_imp.data import playground


@pytest.fixture(scope="session")
def splits():
    return {name: playground.load(name) for name in playground.SPLITS}
