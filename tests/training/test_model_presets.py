"""A preset of a model has its tasks; of an older one, nothing stays."""

import json
import os
import re
import subprocess
import sys

import h5py
import keras
import numpy as np
import pytest

import keras_imp
from keras_imp.tasks import Classification, Combined, Contrastive
from tests.helpers import models
from tests.helpers.weights import randomize

TASK_FILES = {"task.json", "task.weights.h5"}
IMAGES = np.random.default_rng(0).random((4, 16, 16, 3), "float32")
WORDS = np.random.default_rng(0).integers(1, 11, (4, 5))


def make_model(**options):
    encoder = keras_imp.IMPEncoder(
        8, 16, 1, 2, modalities=("image", "text"), vocabulary_size=11
    )
    tasks = [
        Classification("objects", "image", 3),
        Combined(
            "captions",
            [
                Contrastive("texts", ("image", "text"), projection_dim=8),
                Classification("kinds", "image", 2),
            ],
        ),
    ]
    model = keras_imp.AlternatingModel(encoder, tasks, **options)
    for part in (encoder, *tasks):
        randomize(part, np.random.default_rng(1))
    model.compile()
    return model


@pytest.fixture(scope="module")
def model():
    return make_model(update="all")


def load(folder, **arguments):
    return keras_imp.AlternatingModel.from_preset(folder, **arguments)


def outputs(model):
    objects = model.predict({"image": IMAGES}, task="objects", verbose=0)
    both = {"image": IMAGES, "text": WORDS}
    captions = model.predict(both, task="captions", verbose=0)
    return [objects, *keras.tree.flatten(captions)]


def names(folder):
    return {path.name for path in folder.iterdir()}


def refused(text, error=ValueError):
    return pytest.raises(error, match=re.escape(text))


def test_a_model_comes_back_with_its_tasks_and_their_outputs(model, tmp_path):
    model.save_to_preset(tmp_path)
    assert names(tmp_path) >= {"config.json", "model.weights.h5", *TASK_FILES}
    again = load(tmp_path)
    assert list(again.tasks) == ["objects", "captions"]
    assert again.update == "all"
    for found, expected in zip(outputs(again), outputs(model), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6)


def test_it_starts_a_run_of_its_own(tmp_path):
    model = make_model()
    batch = ({"image": IMAGES}, np.arange(4) % 3)
    mixture = keras_imp.TaskMixture({"objects": [batch]})
    model.fit(mixture, steps_per_epoch=2, verbose=0)
    model.save_to_preset(tmp_path)
    again = load(tmp_path)
    assert int(again.step_counter) == 0
    again.fit(mixture, steps_per_epoch=1, verbose=0)
    assert int(again.step_counter) == 1


def test_the_encoder_is_a_preset_too(model, tmp_path):
    model.save_to_preset(tmp_path)
    encoder = keras_imp.IMPEncoder.from_preset(tmp_path)
    models.assert_same(encoder.get_weights(), model.encoder.get_weights())


def test_an_encoder_alone_replaces_the_tasks(model, tmp_path):
    model.save_to_preset(tmp_path)
    model.encoder.save_to_preset(tmp_path)
    assert not names(tmp_path) & TASK_FILES
    with refused(
        "The preset has an encoder only: no task.json, which "
        f"model.save_to_preset writes. Received: preset='{tmp_path}'. Use "
        "IMPEncoder.from_preset, and give it tasks of your own: "
        "AlternatingModel(encoder, tasks)."
    ):
        load(tmp_path)


def test_a_size_has_no_tasks():
    with refused("The preset has an encoder only: no task.json"):
        load("imp_tiny")


def test_float16_holds_for_the_tasks_too(model, tmp_path):
    model.save_to_preset(tmp_path, weights_dtype="float16")
    dtypes = set()

    def note(_, item):
        if isinstance(item, h5py.Dataset):
            dtypes.add(str(item.dtype))

    with h5py.File(tmp_path / "task.weights.h5") as file:
        file.visititems(note)
    assert "float32" not in dtypes
    for found, expected in zip(
        outputs(load(tmp_path)), outputs(model), strict=True
    ):
        np.testing.assert_allclose(found, expected, rtol=0.05, atol=0.05)


def test_without_weights_it_starts_at_random(model, tmp_path):
    model.save_to_preset(tmp_path)
    (tmp_path / "task.weights.h5").unlink()
    (tmp_path / "model.weights.h5").unlink()
    again = load(tmp_path, load_weights=False)
    assert np.abs(outputs(again)[0] - outputs(model)[0]).max() > 1e-3


def test_arguments_of_the_encoder_are_replaced(model, tmp_path):
    model.save_to_preset(tmp_path)
    assert load(tmp_path, dropout=0.3).encoder.dropout == 0.3


def test_missing_weights_of_the_tasks_are_named(model, tmp_path):
    model.save_to_preset(tmp_path)
    (tmp_path / "task.weights.h5").unlink()
    with refused("The preset has no task.weights.h5.", FileNotFoundError):
        load(tmp_path)


def test_weights_of_another_task_are_named(model, tmp_path):
    model.save_to_preset(tmp_path)
    described = json.loads((tmp_path / "task.json").read_text())
    described["config"]["tasks"][0]["config"]["num_classes"] = 4
    (tmp_path / "task.json").write_text(json.dumps(described))
    with refused("task 'objects', head: (8, 4) here, (8, 3) in the file."):
        load(tmp_path)


def test_a_task_of_strangers_is_refused(model, tmp_path):
    model.save_to_preset(tmp_path)
    described = json.loads((tmp_path / "task.json").read_text())
    described["config"]["tasks"][0] |= {
        "module": "os",
        "class_name": "system",
        "registered_name": None,
    }
    (tmp_path / "task.json").write_text(json.dumps(described))
    with refused("A preset may name only what is registered with Keras"):
        load(tmp_path)


def test_a_foreign_encoder_has_no_preset(tmp_path):
    model = models.make_model(models.one_task)
    with refused(
        "The preset of a model needs an encoder that can be one, such as "
        "IMPEncoder. Received: encoder='TinyEncoder'. Use model.save(path) for "
        "a model with another encoder.",
        TypeError,
    ):
        model.save_to_preset(tmp_path)
    assert not names(tmp_path)


def test_a_model_of_mixed_precision_loads_in_the_default_policy(tmp_path):
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = make_model()
    finally:
        keras.config.set_dtype_policy("float32")
    model.save_to_preset(tmp_path)
    again = load(tmp_path)
    policies = {layer.dtype_policy.name for layer in again._flatten_layers()}
    assert policies == {"float32"}


_OUTPUTS = """
import sys, numpy as np, keras_imp
model = keras_imp.AlternatingModel.from_preset(sys.argv[1])
x = np.load(sys.argv[2])
np.save(sys.argv[3], model.predict({"image": x}, task="objects", verbose=0))
"""


@pytest.mark.one_backend
@pytest.mark.parametrize("backend", ["jax", "tensorflow"])
def test_another_process_and_backend_has_equal_outputs(
    model, tmp_path, backend
):
    model.save_to_preset(tmp_path / "preset")
    np.save(tmp_path / "x.npy", IMAGES)
    paths = [tmp_path / name for name in ("preset", "x.npy", "y.npy")]
    subprocess.run(
        [sys.executable, "-c", _OUTPUTS, *map(str, paths)],
        env={**os.environ, "KERAS_BACKEND": backend},
        check=True,
    )
    expected = outputs(model)[0]
    np.testing.assert_allclose(np.load(paths[2]), expected, atol=1e-5)
