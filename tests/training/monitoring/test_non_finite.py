import re

import keras
import numpy as np
import pytest
from keras import ops

import keras_imp
from tests.helpers import models
from tests.helpers.models import two_tasks

BAD = 2  # The step, in turn: objects, sounds, objects (its second batch).
MESSAGE = (
    "The loss or the gradient of task 'objects' is not finite at step 2; the "
    "last finite step is 1. Its input 'image' is not finite in row 0. The "
    "update was not applied: the weights are those before this step. Check "
    "this task's data, lower the learning rate, or leave such steps out: "
    'compile(on_non_finite="skip").'
)


def make_data(bad=None, value=np.nan):
    data = {name: models.make_data()[name] for name in ("objects", "sounds")}
    if bad is not None:
        x, y = data["objects"][bad]
        data["objects"][bad] = ({"image": np.full_like(x["image"], value)}, y)
    return data


def fit(model, data, **options):
    options.setdefault("steps_per_epoch", 8)
    return model.fit(models.in_turn(data), verbose=0, **options)


@pytest.fixture(scope="module")
def two_good_steps():
    """The state that a model must be in after it refused the third."""
    model = models.make_model(two_tasks)
    fit(model, make_data(), steps_per_epoch=BAD)
    return models.state(model)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_loss_that_is_not_finite_stops_before_it_spoils(
    value, two_good_steps
):
    model = models.make_model(two_tasks)
    with pytest.raises(keras_imp.NonFiniteLossError) as caught:
        fit(model, make_data(bad=1, value=value))
    assert str(caught.value) == MESSAGE
    error = caught.value
    assert (error.task, error.step, error.last_finite_step) == ("objects", 2, 1)
    # Nothing moved: not by the bad step, and not by the good ones after it.
    assert int(model.failed_step) == BAD
    model.failed_step.assign(-1)
    model.failed_tasks.assign([0, 0])
    models.assert_same(models.state(model), two_good_steps)


def test_training_can_go_on_afterwards(two_good_steps):
    model = models.make_model(two_tasks)
    with pytest.raises(keras_imp.NonFiniteLossError):
        fit(model, make_data(bad=1))
    history = fit(model, make_data(), steps_per_epoch=6).history
    assert np.isfinite(history["loss"]).all()
    assert int(model.step_counter) == BAD + 6
    untouched = models.make_model(two_tasks)
    fit(untouched, make_data(), steps_per_epoch=BAD)
    fit(untouched, make_data(), steps_per_epoch=6)
    models.assert_same(models.state(model), models.state(untouched))


def test_it_is_raised_before_a_validation(two_good_steps):
    model = models.make_model(two_tasks)
    seen = []
    note = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: seen.append("epoch")
    )
    with pytest.raises(
        keras_imp.NonFiniteLossError, match=f"^{re.escape(MESSAGE)}$"
    ):
        fit(
            model,
            make_data(bad=1),
            epochs=3,
            validation_data=models.all_once(make_data()),
            callbacks=[note],
        )
    assert seen == []
    model.failed_step.assign(-1)
    model.failed_tasks.assign([0, 0])
    models.assert_same(models.state(model), two_good_steps)


def test_a_bad_first_step_has_no_finite_step_before_it():
    model = models.make_model(two_tasks)
    before = models.values(model.trainable_variables)
    text = "is not finite at step 0; the last finite step is none."
    with pytest.raises(keras_imp.NonFiniteLossError, match=text) as caught:
        fit(model, make_data(bad=0))
    assert caught.value.last_finite_step is None
    for path, value in models.values(model.trainable_variables).items():
        np.testing.assert_array_equal(value, before[path])


def test_a_model_that_is_only_evaluated_does_not_raise():
    model = models.make_model(two_tasks)
    found = model.evaluate(models.all_once(make_data(bad=1)), verbose=0)
    assert np.isfinite(found["sounds/loss"])
    assert not np.isfinite(found["loss"])


class Root(keras.layers.Layer):
    """sqrt(100 - x): NaN above 100, and at 100 a gradient that is infinite."""

    def call(self, x):
        return ops.sqrt(100.0 - x)


class Rooted(models.TinyEncoder):
    """Scales an image's features by a root of its first value."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.root = Root(name="root")
        self.root.build(())

    def call(self, inputs, training=None):
        features = super().call(inputs, training=training)
        if "image" in inputs:
            bias = ops.convert_to_tensor(self.own["image"].bias)
            root = self.root(inputs["image"][:, :1] + bias[:1])
            features["image"]["pooled_output"] *= root
        return features


def with_first(value):
    """Data whose second batch of objects starts with a value."""
    data = make_data()
    x, y = data["objects"][1]
    image = np.array(x["image"])
    image[:, 0] = value
    data["objects"][1] = ({"image": image}, y)
    return data


def test_the_layer_is_named():
    model = models.make_model(two_tasks, encoder=Rooted(name="encoder"))
    text = "The first output that is not finite is of layer '(.*/)?root'."
    with pytest.raises(keras_imp.NonFiniteLossError) as caught:
        fit(model, with_first(200.0), steps_per_epoch=4)
    assert re.fullmatch(text, caught.value.cause)


def test_a_gradient_that_is_not_finite_spoils_nothing():
    """The root of 0 is finite; its gradient is not."""
    encoder = Rooted(name="encoder")
    model = models.make_model(
        two_tasks, encoder=encoder, optimizer=keras.optimizers.SGD(0.0)
    )
    with pytest.raises(keras_imp.NonFiniteLossError) as caught:
        fit(model, with_first(100.0), steps_per_epoch=4)
    assert (caught.value.task, caught.value.step) == ("objects", 2)
    assert "it is the gradient" in caught.value.cause
    for value in models.values(model.trainable_variables).values():
        assert np.isfinite(value).all()


def test_the_layer_of_a_stack_is_named_with_its_number():
    keras.utils.set_random_seed(0)
    encoder = keras_imp.IMPEncoder(
        8, 16, 3, 2, modalities=("image",), name="encoder"
    )
    model = models.make_model(
        [keras_imp.tasks.Classification("objects", "image", 3)],
        encoder=encoder,
    )
    # Finite, and too large for the product: only the second block's.
    for variable in encoder.body.stacks[0].stacked:
        if variable.name in ("expand_kernel", "contract_kernel"):
            value = np.array(variable)
            value[1] *= 1e30
            variable.assign(value)
    x = {"image": np.ones((2, 16, 16, 3), "float32")}
    mixture = keras_imp.TaskMixture({"objects": [(x, np.array([0, 1]))]})
    with pytest.raises(keras_imp.NonFiniteLossError) as caught:
        model.fit(mixture, steps_per_epoch=1, verbose=0)
    assert "feed_forward" in caught.value.cause
    assert "in call 2" in caught.value.cause


def test_skipping_leaves_bad_steps_out():
    model = models.make_model(two_tasks, on_non_finite="skip")
    warning = re.escape(
        "Epoch 1 skipped steps whose loss or gradient was not finite, by task: "
        "{'objects': 1}."
    )
    with pytest.warns(UserWarning, match=warning):
        history = fit(model, make_data(bad=1), steps_per_epoch=6).history
    assert np.isfinite(history["loss"]).all()
    assert np.isfinite(history["objects/loss"]).all()
    assert int(model.step_counter) == 6
    for value in models.values(model.trainable_variables).values():
        assert np.isfinite(value).all()


def test_a_skipped_step_changes_no_weight():
    # Of the same program: another one may round otherwise.
    two_good_steps = models.make_model(two_tasks, on_non_finite="skip")
    fit(two_good_steps, make_data(), steps_per_epoch=BAD)
    model = models.make_model(two_tasks, on_non_finite="skip")
    with pytest.warns(UserWarning, match="skipped"):
        fit(model, make_data(bad=1), steps_per_epoch=BAD + 1)
    model.step_counter.assign(BAD)
    model.skipped_steps.assign([0, 0])
    models.assert_same(models.state(model), models.state(two_good_steps))


def test_what_to_do_is_saved_with_the_model(tmp_path):
    model = models.make_model(two_tasks, on_non_finite="skip")
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert again.on_non_finite == "skip"


def test_an_unknown_choice_is_refused():
    with pytest.raises(ValueError, match="`on_non_finite` must be one of"):
        models.make_model(two_tasks, on_non_finite="ignore")


class Normed(models.TinyEncoder):
    """Its moving averages would take a NaN of one batch for good."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.norm = keras.layers.BatchNormalization(name="norm")
        self.norm.build((None, self.hidden_dim))

    def call(self, inputs, training=None):
        features = super().call(inputs, training=training)
        for values in features.values():
            pooled = values["pooled_output"]
            values["pooled_output"] = self.norm(pooled, training=training)
        return features


@pytest.mark.parametrize("choice", ["raise", "skip"])
def test_a_refused_step_leaves_the_state_of_layers_alone(choice):
    model = models.make_model(
        two_tasks, encoder=Normed(dropout=0.5), on_non_finite=choice
    )
    fit(model, make_data(), steps_per_epoch=BAD)
    before = [
        np.array(ops.convert_to_numpy(v)) for v in model.program.layer_state
    ]
    bad = make_data(bad=0)
    model.step_counter.assign(0)
    if choice == "raise":
        with pytest.raises(keras_imp.NonFiniteLossError):
            fit(model, bad, steps_per_epoch=1)
    else:
        with pytest.warns(UserWarning, match="skipped"):
            fit(model, bad, steps_per_epoch=1)
    after = [
        np.array(ops.convert_to_numpy(v)) for v in model.program.layer_state
    ]
    assert len(before) > 1
    models.assert_same(before, after)
