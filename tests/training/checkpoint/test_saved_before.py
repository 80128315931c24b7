"""What version 0.1.0 saved loads, and gives what it gave then."""

import keras
import numpy as np
import pytest

import keras_imp
from tests.helpers import saved_run
from tests.helpers.saved_run import FILES

JAX_FILES = FILES / "jax"


@pytest.fixture(scope="module")
def inputs():
    return dict(np.load(JAX_FILES / "inputs.npz"))


@pytest.fixture(scope="module")
def outputs():
    return dict(np.load(JAX_FILES / "outputs.npz"))


def assert_close(found, outputs):
    for name, values in found.items():
        np.testing.assert_allclose(
            values, outputs[name], rtol=0, atol=1e-5, err_msg=name
        )


def test_a_model_loads_with_equal_outputs(inputs, outputs):
    model = keras.models.load_model(JAX_FILES / "model.keras")
    assert_close(saved_run.outputs_of(model, inputs), outputs)


def test_weights_load_with_equal_outputs(inputs, outputs):
    model = saved_run.make_model()
    model.load_weights(JAX_FILES / "model.weights.h5")
    assert_close(saved_run.outputs_of(model, inputs), outputs)


def test_a_preset_loads_with_equal_outputs(inputs, outputs):
    encoder = keras_imp.IMPEncoder.from_preset(str(JAX_FILES / "preset"))
    found = {
        f"encoder_{name}": keras.ops.convert_to_numpy(values["pooled_output"])
        for name, values in encoder(inputs).items()
    }
    assert_close(found, outputs)


@pytest.mark.parametrize("backend", ["jax", "tensorflow"])
def test_a_backup_resumes_with_equal_losses(backend, tmp_path):
    if keras.config.backend() != backend:
        pytest.skip("each backend resumes its own backup here")
    # Each backend draws other masks for masked modeling.
    expected = np.load(FILES / backend / "outputs.npz")["loss_after"]
    folder = tmp_path / "backup"
    folder.mkdir()
    for path in (FILES / backend / "backup").iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    model = saved_run.make_model()
    data, _ = saved_run.make_data()
    # The backup is of a run that ended after two epochs: this is its third.
    history = model.fit(
        saved_run.make_mixture(data),
        steps_per_epoch=10,
        epochs=3,
        verbose=0,
        callbacks=[keras_imp.callbacks.Backup(folder, keep=1)],
    ).history
    assert len(history["loss"]) == 1
    np.testing.assert_allclose(history["loss"], expected, rtol=0, atol=1e-4)
