"""What has a name is saved by name, and found again in any order."""

import h5py
import keras
import numpy as np
import pytest

from keras_imp._saving.names import save_by_name
from tests.helpers import named
from tests.helpers.named import assert_same, make_encoder, make_model
from tests.helpers.weights import to_numpy


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    model = make_model(seed=1)
    path = tmp_path_factory.mktemp("saved") / "model.weights.h5"
    model.save_weights(path)
    return model, path


def test_tasks_in_another_order_get_their_own_weights(saved):
    model, path = saved
    other = make_model(seed=2, compiled=False, of=named.make_tasks()[::-1])
    other.load_weights(path)
    for name, task in model.tasks.items():
        assert_same(other.tasks[name], task)


def test_modalities_in_another_order_get_their_own_weights(saved):
    model, path = saved
    other = make_model(
        seed=2, compiled=False, encoder=make_encoder(named.MODALITIES[::-1])
    )
    other.load_weights(path)
    for name, embedder in model.encoder.embedders.items():
        assert_same(other.encoder.embedders[name], embedder)
        np.testing.assert_array_equal(
            to_numpy(other.encoder.first_tokens[name]),
            to_numpy(model.encoder.first_tokens[name]),
        )


def test_pairs_in_another_order_get_their_own_heads_and_scalars(saved):
    model, path = saved
    other = make_model(
        seed=2, compiled=False, of=named.make_tasks(pairs=named.PAIRS[::-1])
    )
    other.load_weights(path)
    clips, others = model.tasks["clips"], other.tasks["clips"]
    for name, head in clips.common_space.heads.items():
        assert_same(others.common_space.heads[name], head)
    for pair in clips.temperatures:
        for scalars in ("temperatures", "biases"):
            before, after = (getattr(t, scalars) for t in (clips, others))
            assert to_numpy(after[pair]) == to_numpy(before[pair])


def test_parts_of_a_task_in_another_order_get_their_own_weights(saved):
    model, path = saved
    other = make_model(
        seed=2, compiled=False, of=named.make_tasks(parts=("color", "kind"))
    )
    other.load_weights(path)
    parts = {part.name: part for part in other.tasks["clothes"].tasks}
    for part in model.tasks["clothes"].tasks:
        assert_same(parts[part.name], part)


def test_what_a_schedule_measured_stays_with_its_task(tmp_path):
    model = make_model(seed=1)
    state, many = model.schedule_state, len(model.tasks)
    state.shares.assign(np.arange(2.0 * many).reshape(2, many))
    state.counts.assign(np.arange(many))
    state.statistics.assign(np.arange(4.0 * many).reshape(many, 4))
    model.save_weights(tmp_path / "model.weights.h5")
    other = make_model(seed=2, compiled=False, of=named.make_tasks()[::-1])
    other.load_weights(tmp_path / "model.weights.h5")
    names = tuple(model.tasks)
    for found, expected in zip(
        [
            *other.schedule_state.read(names),
            *other.schedule_state.measured(names),
        ],
        [*state.read(names), *state.measured(names)],
        strict=True,
    ):
        np.testing.assert_array_equal(found, expected)


def test_skipped_steps_stay_with_their_task(tmp_path):
    model = make_model(seed=1)
    model.skipped_steps.assign([1, 2, 3, 4])
    model.save_weights(tmp_path / "model.weights.h5")
    other = make_model(seed=2, compiled=False, of=named.make_tasks()[::-1])
    other.load_weights(tmp_path / "model.weights.h5")
    assert to_numpy(other.skipped_steps).tolist() == [4, 3, 2, 1]


def test_a_saved_model_loads_with_equal_weights(saved, tmp_path):
    model, _ = saved
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert_same(loaded, model)


def test_an_encoder_in_a_model_of_ones_own_is_saved_by_name(tmp_path):
    def make(modalities):
        encoder = make_encoder(modalities)
        inputs = {"image": keras.Input((8, 8, 3))}
        pooled = encoder(inputs)["image"]["pooled_output"]
        return keras.Model(inputs, keras.layers.Dense(2)(pooled)), encoder

    model, encoder = make(named.MODALITIES)
    other, others = make(named.MODALITIES[::-1])
    model.save_weights(tmp_path / "model.weights.h5")
    other.load_weights(tmp_path / "model.weights.h5")
    for name, embedder in encoder.embedders.items():
        assert_same(others.embedders[name], embedder)


def test_the_groups_of_a_file_are_those_of_the_format(saved):
    """Other programs read these names: they are a contract."""
    _, path = saved
    with h5py.File(path) as file:
        assert sorted(file) == [
            "encoder",
            "head.clips",
            "head.clothes",
            "head.objects",
            "head.sounds",
            "layers",
            "optimizer",
            "vars",
        ]
        assert sorted(name for name in file["encoder"] if "." in name) == [
            "embedder.audio",
            "embedder.text",
            "embedder.vision",
        ]
        assert sorted(file["encoder/vars"]) == [
            "first_token_audio",
            "first_token_text",
            "first_token_vision",
        ]
        assert sorted(file["head.clips/common_space"]) == [
            "head.audio_to_image",
            "head.audio_to_text",
            "head.image_to_audio",
            "head.text_to_audio",
            "vars",
        ]
        assert sorted(file["head.clips/vars"]) == [
            "bias_audio_image",
            "bias_audio_text",
            "temperature_audio_image",
            "temperature_audio_text",
        ]
        assert sorted(file["head.clothes"]) == [
            "part.color",
            "part.kind",
            "vars",
        ]
        assert sorted(file["layers"]) == ["schedule_state"]
        assert sorted(file["layers/schedule_state/vars"]) == [
            "counts",
            "round",
            "shares",
            "statistics",
            "tasks",
        ]
        assert {"names", "step_counter", "skipped_steps"} <= set(file["vars"])


def test_a_layer_is_saved_once_and_by_name(tmp_path):
    """Keras must visit the name before the list that holds the layer."""
    model = make_model(seed=1, compiled=False)
    model.save_weights(tmp_path / "model.weights.h5")
    with h5py.File(tmp_path / "model.weights.h5") as file:
        found = []
        file.visit(found.append)
    for place in (
        "classification",
        "embedders",
        "projection_head",
        "tasks/",
        "block",
    ):
        assert not [path for path in found if place in path]


def test_a_name_is_no_attribute_that_keras_tracks():
    owner = keras.layers.Layer()
    save_by_name(owner, "head", {"objects": keras.layers.Dense(2)})
    assert not owner._flatten_layers(include_self=False)


def test_optimizer_variables_are_named_by_their_weight():
    model = make_model(seed=1)
    names = model.run_state.names()["optimizer"]
    assert len(names) == len(set(names)) == len(model.optimizer.variables)
    assert names[:2] == ["iteration", "learning_rate"]
    for name in (
        "/first_token_text:momentum",
        "embedder.vision/kernel#1:velocity",
        "head.sounds/bias:momentum",
        "head.clips/head.image_to_audio/gamma:momentum",
        "head.clips/temperature_audio_text:velocity",
        "head.clothes/part.kind/kernel:momentum",
    ):
        assert name in names
    other = make_model(seed=1, of=named.make_tasks()[::-1])
    assert sorted(other.run_state.names()["optimizer"]) == sorted(names)
