"""What the training tests share."""

import tempfile

import keras
import pytest

from tests.training import parts

if keras.config.backend() == "jax":
    import jax

    # Many tests compile the same small steps: each graph is compiled once and
    # then read back. Set before anything compiles; deleted at exit.
    _cache = tempfile.TemporaryDirectory(prefix="keras_imp_jax_cache_")
    jax.config.update("jax_compilation_cache_dir", _cache.name)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.05)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


@pytest.fixture(scope="session")
def trained():
    """A model after four epochs, and its history. Tests must not change it."""
    model = parts.make_model()
    history = model.fit(
        parts.in_turn(), steps_per_epoch=9, epochs=4, verbose=0
    ).history
    return model, history
