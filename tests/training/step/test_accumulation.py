"""A batch in parts: the same step in less memory."""

import re

import keras
import numpy as np
import pytest
from keras import ops

import keras_imp
from tests.helpers import models


def contrastive(microbatches=1, accumulate="exact"):
    return [
        keras_imp.tasks.Contrastive(
            "captions",
            ("image", "text"),
            projection_dim=8,
            microbatches=microbatches,
            accumulate=accumulate,
        )
    ]


def classification(microbatches=1, accumulate="exact"):
    return [
        keras_imp.tasks.Classification(
            "objects",
            "image",
            3,
            microbatches=microbatches,
            accumulate=accumulate,
        )
    ]


def batch(name, examples=8):
    rng = np.random.default_rng(1)
    x = {"image": rng.normal(size=(examples, 5)).astype("float32")}
    weights = rng.uniform(0.5, 2.0, examples).astype("float32")
    if name == "objects":
        return x, rng.integers(0, 3, examples), weights
    # Several captions each, some of them empty.
    text = rng.integers(0, 11, (examples, 2, 3))
    text[0, 1] = 0
    return {**x, "text": text}, None, weights


def one_step(make_tasks, name, dropout=0.0, added=0.0, **options):
    """Weights and logs after one step of plain SGD, whose change is linear."""
    keras.utils.set_random_seed(1)
    encoder = models.TinyEncoder(dropout=dropout, added=added)
    model = models.make_model(
        lambda: make_tasks(**options),
        encoder=encoder,
        optimizer=keras.optimizers.SGD(1.0),
    )
    mixture = keras_imp.TaskMixture({name: [batch(name)]})
    history = model.fit(mixture, steps_per_epoch=1, verbose=0).history
    return models.values(model.trainable_variables), history, model


class WithEmbedding(keras_imp.tasks.Task):
    """Computes in its own dtype, and returns what its loss does not see."""

    modalities = ("image",)

    def build(self, pooled_shape):
        self.head = keras.layers.Dense(1, name="head", dtype=self.dtype_policy)
        self.head.build(pooled_shape["image"])

    def call(self, inputs, encoder=None, training=None):
        features = self.encode(encoder, inputs, training)
        embedding = features["image"]["pooled_output"]
        return {"logits": self.head(embedding), "embedding": embedding}

    def compute_loss(self, x, y, y_pred, sample_weight=None):
        error = ops.cast(y_pred["logits"][:, 0], "float32") - ops.cast(
            y, "float32"
        )
        return ops.mean(ops.square(error))


def with_embedding(microbatches=1, dtype=None):
    return [WithEmbedding("objects", microbatches=microbatches, dtype=dtype)]


CASES = [
    (contrastive, "captions", "exact"),
    (classification, "objects", "exact"),
]


@pytest.mark.parametrize(("make", "name", "accumulate"), CASES)
@pytest.mark.parametrize("microbatches", [2, 8])
def test_parts_give_the_step_of_the_whole(make, name, accumulate, microbatches):
    whole, logs, _ = one_step(make, name, added=0.5)
    in_parts, logs_parts, _ = one_step(
        make,
        name,
        added=0.5,
        microbatches=microbatches,
        accumulate=accumulate,
    )
    for path, value in whole.items():
        np.testing.assert_allclose(
            in_parts[path], value, rtol=1e-5, atol=1e-5, err_msg=path
        )
    assert logs.keys() == logs_parts.keys()
    for key, value in logs.items():
        np.testing.assert_allclose(logs_parts[key], value, atol=1e-5)


@pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16"])
def test_outputs_that_the_loss_does_not_see_have_no_gradient(dtype):
    whole, *_ = one_step(with_embedding, "objects", dtype=dtype)
    in_parts, *_ = one_step(
        with_embedding, "objects", microbatches=2, dtype=dtype
    )
    tolerance = 1e-5 if dtype == "float32" else 2e-2
    for path, value in whole.items():
        np.testing.assert_allclose(
            in_parts[path].astype("float32"),
            value.astype("float32"),
            atol=tolerance,
            err_msg=path,
        )


def test_the_mean_of_parts_is_the_whole_for_a_mean_over_examples():
    def make(**options):
        return classification(**options)

    def unweighted(name):
        return batch(name)[:2]

    results = []
    for options in ({}, {"microbatches": 4, "accumulate": "mean"}):
        model = models.make_model(
            lambda options=options: make(**options),
            optimizer=keras.optimizers.SGD(1.0),
        )
        mixture = keras_imp.TaskMixture({"objects": [unweighted("objects")]})
        model.fit(mixture, steps_per_epoch=1, verbose=0)
        results.append(models.values(model.trainable_variables))
    for path, value in results[0].items():
        np.testing.assert_allclose(results[1][path], value, atol=1e-5)


def test_a_contrastive_mean_of_parts_sees_fewer_negatives():
    """The documented difference: ln(2) against ln(8) for equal vectors."""
    _, whole, _ = one_step(contrastive, "captions")
    _, few, _ = one_step(
        contrastive, "captions", microbatches=4, accumulate="mean"
    )
    assert few["captions/loss"][0] < whole["captions/loss"][0]


def test_the_second_pass_repeats_the_random_draws_of_the_first():
    """With dropout, parts differ from the whole, but are one function.

    The gradient must be that of the loss that was logged: a finite difference
    of the loss along a weight, with the same draws, shows it.
    """

    keras.utils.set_random_seed(1)
    encoder = models.TinyEncoder(dropout=0.5)
    model = models.make_model(
        lambda: contrastive(microbatches=4),
        encoder=encoder,
        optimizer=keras.optimizers.SGD(1.0),
    )
    # Weights and random states. One program for all three shifts.
    initial = [(v, ops.convert_to_numpy(v).copy()) for v in model.variables]
    kernel = encoder.shared.kernel
    start = ops.convert_to_numpy(kernel).copy()
    direction = np.random.default_rng(3).normal(size=start.shape)
    direction /= np.linalg.norm(direction)

    def loss_at(shift):
        for variable, value in initial:
            variable.assign(value)
        kernel.assign(start + shift * direction)
        mixture = keras_imp.TaskMixture({"captions": [batch("captions")]})
        logs = model.fit(mixture, steps_per_epoch=1, verbose=0).history
        moved = ops.convert_to_numpy(kernel) - (start + shift * direction)
        return logs["loss"][0], -float((moved * direction).sum())

    step = 1e-2
    difference = (loss_at(step)[0] - loss_at(-step)[0]) / (2 * step)
    np.testing.assert_allclose(difference, loss_at(0.0)[1], rtol=2e-2)


def test_random_states_move_on_once():
    def states(microbatches):
        _, _, model = one_step(
            contrastive, "captions", dropout=0.5, microbatches=microbatches
        )
        return [
            ops.convert_to_numpy(v) for v in model.run_state.random_states()
        ]

    first, second = states(2), states(2)
    models.assert_same(first, second)
    fresh = models.make_model(
        contrastive, encoder=models.TinyEncoder(dropout=0.5)
    )
    before = [ops.convert_to_numpy(v) for v in fresh.run_state.random_states()]
    assert any((a != b).any() for a, b in zip(first, before))


def test_only_touched_variables_move():
    model = models.make_model(
        lambda: [
            *contrastive(2),
            keras_imp.tasks.Classification("sounds", "audio", 2),
        ]
    )
    before = models.values(model.trainable_variables)
    mixture = keras_imp.TaskMixture(
        {
            "captions": [batch("captions")],
            "sounds": [models.makers["sounds"](np.random.default_rng(0))],
        },
        schedule=keras_imp.schedules.RoundRobin(),
    )
    model.fit(mixture, steps_per_epoch=1, verbose=0)
    after = models.values(model.trainable_variables)
    moved = {path for path in before if (before[path] != after[path]).any()}
    assert not any("sounds" in path or "audio" in path for path in moved)
    assert any("words" in path for path in moved)
    assert any("temperature" in path for path in moved)


def test_a_batch_that_the_parts_do_not_divide_is_refused():
    model = models.make_model(lambda: contrastive(3))
    mixture = keras_imp.TaskMixture({"captions": [batch("captions")]})
    message = (
        "Task 'captions': The number of examples of a batch must be a multiple "
        "of `microbatches`. Received: batch_size=8, microbatches=3. Use "
        "another batch size or another number of parts."
    )
    with pytest.raises(ValueError, match=re.escape(message)):
        model.fit(mixture, steps_per_epoch=1, verbose=0)


def test_a_mean_of_parts_that_have_nothing_to_contrast_is_refused():
    model = models.make_model(lambda: contrastive(8, "mean"))
    mixture = keras_imp.TaskMixture({"captions": [batch("captions")]})
    message = (
        "Task 'captions': With accumulate=\"mean\", each part of a batch must "
        "have at least 2 examples: it has a loss of its own. Received: "
        "batch_size=8, microbatches=8. Use fewer microbatches, or "
        'accumulate="exact".'
    )
    with pytest.raises(ValueError, match=re.escape(message)):
        model.fit(mixture, steps_per_epoch=1, verbose=0)
