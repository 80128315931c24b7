"""The cosine between the gradients of tasks, in the logs."""

import keras
import numpy as np
import pytest

import keras_imp
from keras_imp.callbacks import GradientConflictLogger
from tests.helpers import models
from tests.helpers.models import data_of

A, B, C = "objects", "captions", "sounds"
RATE = 0.5


class Scores(keras_imp.tasks.Task):
    """Its loss is the mean of the pooled vectors, times a factor."""

    modalities = ("image",)

    def __init__(self, name, factor, **kwargs):
        super().__init__(name=name, **kwargs)
        self.factor = factor

    def call(self, inputs, encoder=None, training=None):
        features = self.encode(encoder, inputs, training)
        return features["image"]["pooled_output"]

    def compute_loss(self, x, y, y_pred, sample_weight=None):
        return self.factor * keras.ops.mean(y_pred)


def images(value=1.0):
    return ({"image": np.full((2, models.WIDTHS["image"]), value, "float32")},)


def log_of(model, data, steps=1, **options):
    options.setdefault("callbacks", [GradientConflictLogger(data)])
    return model.fit(
        models.in_turn(data), steps_per_epoch=steps, verbose=0, **options
    ).history


def signed_model(*signs):
    tasks = [Scores(f"t{i}", sign) for i, sign in enumerate(signs)]
    return models.make_model(tasks, optimizer="sgd", **models.few_steps())


def test_equal_losses_agree_and_opposite_ones_conflict():
    data = {name: [images()] for name in ("t0", "t1", "t2")}
    found = log_of(signed_model(1.0, 3.0, -1.0), data)
    for pair, cosine in (("t0/t1", 1), ("t0/t2", -1), ("t1/t2", -1)):
        np.testing.assert_allclose(
            found[f"gradient_cosine/{pair}"], [cosine], atol=1e-5
        )


def test_the_cosine_is_that_of_the_updates_of_single_steps():
    updates = {}
    for name in (A, C):
        model = models.make_model(
            optimizer=keras.optimizers.SGD(RATE), **models.few_steps()
        )
        before = models.values(model.encoder.trainable_variables)
        model.fit(
            models.make_mixture(data_of(name)), steps_per_epoch=1, verbose=0
        )
        after = models.values(model.encoder.trainable_variables)
        updates[name] = {k: after[k] - before[k] for k in before}
    shared = [k for k in updates[A] if updates[A][k].any()]
    shared = [k for k in shared if updates[C][k].any()]
    first, second = (
        np.concatenate([updates[name][k].ravel() for k in shared])
        for name in (A, C)
    )
    expected = first @ second / np.linalg.norm(first) / np.linalg.norm(second)
    model = models.make_model(optimizer="sgd", **models.few_steps())
    found = log_of(model, data_of(A, C))[f"gradient_cosine/{A}/{C}"]
    np.testing.assert_allclose(found, [expected], atol=1e-4)


def test_it_takes_batches_in_each_form_that_fit_takes():
    x = images()[0]
    lists = {"image": x["image"].tolist()}
    forms = {"t0": [x], "t1": [[x]], "t2": [(lists,)]}
    found = log_of(signed_model(1.0, 1.0, 1.0), forms)
    for pair in ("t0/t1", "t0/t2"):
        np.testing.assert_allclose(
            found[f"gradient_cosine/{pair}"], [1.0], atol=1e-5
        )


def test_several_batches_have_the_cosine_of_their_mean_gradient():
    # The gradient of the bias is the same for each batch; that of the kernel
    # cancels out in the mean of the first task.
    data = {"t0": [images(1.0), images(-1.0)], "t1": [images(1.0)] * 2}
    one, both = (
        log_of(
            signed_model(1.0, 1.0),
            data,
            callbacks=[GradientConflictLogger(data, batches=batches)],
        )["gradient_cosine/t0/t1"][0]
        for batches in (1, 2)
    )
    assert one > 0.999
    assert both < 0.99


@pytest.mark.parametrize("microbatches", [1, 2])
def test_training_is_the_same_bit_for_bit_with_and_without_it(microbatches):
    def tasks():
        objects, captions, sounds = models.tasks()
        more = keras_imp.tasks.Classification(
            "parts", "image", 3, microbatches=microbatches
        )
        return [objects, captions, sounds, more]

    data = {**models.make_data(), "parts": models.make_data()[A]}

    def train(callbacks):
        model = models.make_model(tasks, dropout=0.5, **models.few_steps())
        history = model.fit(
            models.in_turn(data),
            validation_data=models.all_once(data),
            steps_per_epoch=5,
            epochs=2,
            verbose=0,
            callbacks=callbacks,
        )
        return model, history.history

    logger = GradientConflictLogger(data, every=2)
    without, with_it = assert_trains_the_same(train, logger)
    assert len(with_it) == len(without) + 6


def test_a_sparse_encoder_with_unseeded_dropout_trains_the_same():
    def make():
        keras.utils.set_random_seed(0)
        encoder = keras_imp.IMPEncoder(
            8,
            16,
            2,
            2,
            modalities=("image",),
            patch_size=(2, 4, 4),
            num_experts=2,
            num_moe_layers=1,
            dropout=0.2,
        )
        model = keras_imp.AlternatingModel(
            encoder,
            [
                keras_imp.tasks.Classification("shapes", "image", 2),
                keras_imp.tasks.Classification("colors", "image", 2),
            ],
        )
        model.compile(
            "adam", jit_compile=models.default_jit(), **models.few_steps()
        )
        return model

    rng = np.random.default_rng(0)
    x = {"image": rng.integers(0, 256, (4, 8, 8, 3), "uint8")}
    batch = (x, np.array([0, 1, 1, 0]))
    data = {"shapes": [batch], "colors": [batch]}

    def train(callbacks):
        model = make()
        keras.utils.set_random_seed(5)
        history = model.fit(
            models.in_turn(data),
            steps_per_epoch=3,
            verbose=0,
            callbacks=callbacks,
        )
        return model, history.history

    assert_trains_the_same(train, GradientConflictLogger(data, every=1))


def assert_trains_the_same(train, logger):
    """Train without and with a callback; all but its own logs are equal."""
    (first, without), (second, with_it) = train([]), train([logger])
    models.assert_same(models.state(first), models.state(second))
    assert {k: with_it[k] for k in without} == without
    return without, with_it


def test_it_measures_before_every_nth_step():
    logger = GradientConflictLogger(data_of(A, C), every=3)
    steps = []

    class Noting(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            steps.append(len(logger._measured))

    model = models.make_model(models.two_tasks, **models.few_steps())
    model.fit(
        models.in_turn(data_of(A, C)),
        steps_per_epoch=4,
        epochs=2,
        verbose=0,
        callbacks=[logger, Noting()],
    )
    # Steps 0, 3 and 6 of the run.
    assert steps == [1, 1, 1, 2, 0, 0, 1, 1]


def test_a_combined_model_has_cosines_too():
    keras.utils.set_random_seed(0)
    model = keras_imp.CombinedModel(models.TinyEncoder(), models.two_tasks())
    model.compile("sgd", jit_compile=False, **models.few_steps())
    data = data_of(A, C)
    logs = model.fit(
        keras_imp.TaskMixture.together(data),
        steps_per_epoch=1,
        verbose=0,
        callbacks=[GradientConflictLogger(data)],
    ).history
    assert -1 <= logs[f"gradient_cosine/{A}/{C}"][0] <= 1


@pytest.mark.one_backend
def test_a_gradient_of_zero_has_no_angle():
    found = log_of(
        signed_model(1.0, 0.0), {n: [images()] for n in ("t0", "t1")}
    )
    assert np.isnan(found["gradient_cosine/t0/t1"]).all()


class Separate(models.TinyEncoder):
    """No weight is shared."""

    def call(self, inputs, training=None):
        return {
            name: {"pooled_output": self.own[name](values)}
            for name, values in inputs.items()
        }


@pytest.mark.one_backend
def test_tasks_that_share_no_weights_are_refused():
    model = models.make_model(models.two_tasks, Separate(), optimizer="sgd")
    with pytest.raises(ValueError, match="weights of the encoder") as error:
        log_of(model, data_of(A, C))
    assert str(error.value) == (
        "Gradients are compared on weights of the encoder that two tasks "
        f"reach. Received: tasks=['{A}', '{C}'], shared_weights=0. Leave "
        "GradientConflictLogger out."
    )


@pytest.mark.one_backend
def test_a_task_that_the_model_lacks_is_refused():
    model = models.make_model(models.two_tasks, optimizer="sgd")
    logger = GradientConflictLogger({A: [images()], "birds": [images()]})
    with pytest.raises(ValueError, match="The model has the tasks") as error:
        log_of(model, data_of(A, C), callbacks=[logger])
    assert str(error.value) == (
        f"The model has the tasks ['{A}', '{C}']. Received: data=['birds']. "
        "Give `data` of those only."
    )


@pytest.mark.one_backend
def test_a_batch_that_does_not_fit_its_task_is_named():
    model = models.make_model(models.two_tasks, optimizer="sgd")
    logger = GradientConflictLogger({**data_of(A), C: data_of(A)[A]})
    with pytest.raises(ValueError, match=f"Task '{C}'"):
        log_of(model, data_of(A, C), callbacks=[logger])


@pytest.mark.one_backend
@pytest.mark.parametrize("data", [{A: [images()]}, {}])
def test_one_task_alone_is_refused(data):
    with pytest.raises(ValueError, match="two tasks or more") as error:
        GradientConflictLogger(data)
    assert str(error.value) == (
        "`data` must be a dict with a source of two tasks or more. Received: "
        f"data={list(data)}."
    )


@pytest.mark.one_backend
@pytest.mark.parametrize("argument", ["every", "batches"])
def test_numbers_must_be_positive(argument):
    with pytest.raises(ValueError, match=f"`{argument}` must be"):
        GradientConflictLogger(data_of(A, C), **{argument: 0})
