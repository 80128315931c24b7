"""Files that version 0.1.0 saved by position get their names back.

`tests/training/checkpoint/test_saved_before.py` loads them as they were saved.
"""

import shutil

import h5py
import keras
import numpy as np
import pytest

import keras_imp
from keras_imp._saving import version_0_1_0
from keras_imp._saving.files import open_weights
from tests.helpers import saved_run
from tests.helpers.named import assert_same
from tests.helpers.saved_run import FILES

FOLDER = FILES / "jax"
OTHER_ORDER = ("text", "audio", "video", "image")


@pytest.fixture(scope="module")
def inputs():
    return dict(np.load(FOLDER / "inputs.npz"))


@pytest.fixture(scope="module")
def outputs():
    return dict(np.load(FOLDER / "outputs.npz"))


def make_encoder(modalities):
    config = saved_run.make_encoder().get_config()
    return keras_imp.IMPEncoder.from_config(
        {**config, "modalities": modalities}
    )


def make_model(tasks=reversed, modalities=OTHER_ORDER):
    """The tasks of the run in another order, or other tasks."""
    of = saved_run.make_model().task_list
    of = [type(task).from_config(task.get_config()) for task in tasks(of)]
    model = keras_imp.AlternatingModel(make_encoder(modalities), of)
    model.compile(keras_imp.optimizers.AdamW(1e-3))
    return model


def assert_as_then(model, inputs, outputs):
    for name, found in saved_run.outputs_of(model, inputs).items():
        np.testing.assert_allclose(
            found, outputs[name], rtol=0, atol=1e-5, err_msg=name
        )


def test_tasks_and_modalities_in_another_order_load(inputs, outputs):
    model = make_model()
    model.load_weights(FOLDER / "model.weights.h5")
    assert_as_then(model, inputs, outputs)
    assert int(model.step_counter.numpy()) == 20


def test_a_model_that_gained_a_task_loads_the_others(inputs, outputs):
    def more(tasks):
        return [keras_imp.tasks.Classification("new", "image", 3), *tasks]

    model = make_model(more)
    with pytest.warns(UserWarning, match=r"Not in the file: task 'new'\."):
        model.load_weights(FOLDER / "model.weights.h5", skip_mismatch=True)
    assert_as_then(model, inputs, outputs)


def test_an_optimizer_without_names_begins_anew_for_other_places():
    model = make_model()
    model.optimizer.build(model.trainable_variables)
    count = len(model.optimizer.variables)
    with pytest.warns(
        UserWarning,
        match=f"0 of {count} variables of the optimizer were loaded; the "
        "others keep the values that they had.",
    ):
        report = model.load_weights(FOLDER / "model.weights.h5")
    assert report.is_complete
    assert not any(np.any(v.numpy()) for v in model.optimizer.variables[2:])


def test_a_preset_loads_with_modalities_in_another_order():
    folder = str(FOLDER / "preset")
    encoder = keras_imp.IMPEncoder.from_preset(folder)
    other = keras_imp.IMPEncoder.from_preset(folder, modalities=OTHER_ORDER)
    for name, embedder in encoder.embedders.items():
        assert_same(other.embedders[name], embedder)


def test_learned_tokens_and_scalars_get_their_names(tmp_path):
    """A file of today, renamed to how version 0.1.0 saved it."""
    from tests.helpers import named

    model = named.make_model(seed=1, compiled=False)
    model.save_weights(tmp_path / "today.weights.h5")
    path = tmp_path / "model.weights.h5"
    shutil.copy(tmp_path / "today.weights.h5", path)
    with h5py.File(path, "a") as file:
        _by_position(file, "encoder", "embedder", "embedders/embedder")
        clips = "head.clips/common_space"
        _by_position(file, clips, "head", "heads/projection_head")
        _by_position(file, "head.clothes", "part", "tasks/classification")
        for i, task in enumerate(("objects", "sounds")):
            name = f"classification_{i}" if i else "classification"
            file.move(f"head.{task}", f"layers/{name}")
        file.move("head.clips", "layers/contrastive")
        file.move("head.clothes", "layers/combined")
        _numbered(file["encoder/vars"], ["vision", "audio", "text"])
        pairs = ["audio_image", "audio_text"]
        _numbered(
            file["layers/contrastive/vars"],
            [f"{kind}_{p}" for kind in ("temperature", "bias") for p in pairs],
        )
        del file["vars/names"], file["layers/schedule_state/vars/tasks"]
    with open_weights(path) as groups:
        assert version_0_1_0.is_by_position(groups)
    other = named.make_model(
        seed=2,
        of=named.make_tasks(named.PAIRS[::-1], ("color", "kind"))[::-1],
        encoder=named.make_encoder(named.MODALITIES[::-1]),
        compiled=False,
    )
    other.load_weights(path)
    expected = named.make_model(
        seed=3,
        of=named.make_tasks(named.PAIRS[::-1], ("color", "kind"))[::-1],
        encoder=named.make_encoder(named.MODALITIES[::-1]),
        compiled=False,
    )
    expected.load_weights(tmp_path / "today.weights.h5")
    for a, b in zip(
        other.trainable_variables, expected.trainable_variables, strict=True
    ):
        np.testing.assert_array_equal(a.numpy(), b.numpy(), err_msg=a.path)


def _by_position(file, owner, kind, place):
    """Names in the order in which the model of the test lists them."""
    order = {
        "embedder": ["vision", "audio", "text"],
        "head": [
            "image_to_audio",
            "audio_to_image",
            "audio_to_text",
            "text_to_audio",
        ],
        "part": ["kind", "color"],
    }[kind]
    for i, name in enumerate(order):
        target = f"{owner}/{place}_{i}" if i else f"{owner}/{place}"
        file.move(f"{owner}/{kind}.{name}", target)


def _numbered(group, order):
    for i, name in enumerate(order):
        found = next(key for key in group if key.endswith(name))
        group.move(found, str(i))


def test_a_task_of_ones_own_keeps_its_list(tmp_path):
    """Only `Combined` has its `tasks` by name."""

    class Own(keras_imp.tasks.Classification):
        def build(self, pooled_shape):
            super().build(pooled_shape)
            self.tasks = [keras.layers.Dense(2, name="extra")]
            self.tasks[0].build((None, 3))

    def make():
        return keras_imp.AlternatingModel(
            saved_run.make_encoder(), [Own("own", "image", 3)]
        )

    model, path = make(), tmp_path / "model.weights.h5"
    model.save_weights(path)
    with h5py.File(path, "a") as file:
        file.move("head.own", "layers/own")
        encoder = file["encoder"]
        for i, name in enumerate(("vision", "audio", "text")):
            place = f"embedders/embedder_{i}" if i else "embedders/embedder"
            encoder.move(f"embedder.{name}", place)
        del file["vars/names"], file["layers/schedule_state/vars/tasks"]
    other = make()
    other.load_weights(path)
    assert_same(other, model)
