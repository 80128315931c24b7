"""Routed layers of somebody's own encoder under `AlternatingModel`."""

import contextlib

import keras
import numpy as np
import pytest

import keras_imp
from keras_imp.layers import ExpertChoiceMoE
from keras_imp.layers.moe.reporting import routing_totals
from tests.helpers import models
from tests.helpers.interruption import InterruptedRunError, StopAfter
from tests.helpers.weights import to_numpy

STEPS = 3
NAME = "routing/experts"


@keras.saving.register_keras_serializable(package="tests")
class RoutedEncoder(models.TinyEncoder):
    """A tiny encoder whose pooled vector goes through experts."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.experts = ExpertChoiceMoE(3, 5, router_z_loss=0.1, name="experts")
        self.experts.build((None, 1, self.hidden_dim))

    def call(self, inputs, training=None):
        features = super().call(inputs, training=training)
        for found in features.values():
            tokens = found["pooled_output"][:, None]
            found["pooled_output"] = self.experts(tokens, training=training)[
                :, 0
            ]
        return features


def make_model(make_tasks=models.two_tasks, seed=1, **options):
    keras.utils.set_random_seed(seed)
    encoder = RoutedEncoder()
    return models.make_model(
        make_tasks, encoder, seed, **models.few_steps(), **options
    )


def fit(model, data=None, steps=STEPS, **options):
    data = models.data_of("objects", "sounds") if data is None else data
    return model.fit(
        models.in_turn(data, steps_per_epoch=steps), verbose=0, **options
    ).history


def test_their_figures_are_logged(rng):
    validation = models.all_once(models.data_of("objects"))
    model = make_model()
    history = fit(model, epochs=2, validation_data=validation)
    for name in (f"{NAME}/confidence", f"val_{NAME}/confidence"):
        assert len(history[name]) == 2
        assert np.isfinite(history[name]).all()
    found = model.evaluate(validation, verbose=0)
    assert found[f"{NAME}/confidence"] == pytest.approx(
        history[f"val_{NAME}/confidence"][-1], rel=1e-5
    )


def test_an_epoch_resumes_with_the_figures_it_had(tmp_path):
    expected = fit(make_model(), epochs=2)
    backup = keras_imp.callbacks.Backup(tmp_path, every=1)
    with contextlib.suppress(InterruptedRunError):
        fit(make_model(), epochs=2, callbacks=[backup, StopAfter(STEPS + 2)])
    # Within the second epoch; other weights and random states at the start.
    backup = keras_imp.callbacks.Backup(tmp_path, every=1)
    history = fit(make_model(seed=77), epochs=2, callbacks=[backup])
    assert sorted(history) == sorted(expected)
    for name, values in history.items():
        assert values == expected[name][1:], name


def test_a_skipped_step_is_not_counted():
    data = models.data_of("objects", "sounds")
    data["objects"][0][0]["image"][0] = np.nan
    model = make_model(on_non_finite="skip")
    with pytest.warns(UserWarning, match="not finite"):
        history = fit(model, data)
    (totals,) = routing_totals(model).values()
    assert float(to_numpy(totals.batches)) == STEPS - 1
    assert np.isfinite(history[f"{NAME}/z_loss"]).all()


@pytest.mark.parametrize("accumulate", ["exact", "mean"])
def test_each_microbatch_is_counted_once(accumulate):
    def tasks():
        return [
            keras_imp.tasks.Classification(
                "objects", "image", 3, microbatches=2, accumulate=accumulate
            )
        ]

    model = make_model(tasks)
    fit(model, models.data_of("objects"), steps=2)
    (totals,) = routing_totals(model).values()
    assert float(to_numpy(totals.batches)) == 4.0
