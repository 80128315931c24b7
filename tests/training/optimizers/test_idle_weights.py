"""What AdamW does to weights that a step does not reach."""

import functools

import keras
import numpy as np
import pytest
from keras import ops

import keras_imp
from keras_imp.training.optimizers import AdamW
from tests.helpers import models
from tests.helpers.optimizers import AdamWOracle

RATE, DECAY, STEPS = 1e-3, 0.1, 1500
NAMES = ("never", "once", "late", "seldom", "often")


@keras.saving.register_keras_serializable(package="tests")
class Slope(keras_imp.tasks.Task):
    """The loss is a weight, so its gradient is 1 at each step."""

    @property
    def modalities(self):
        return ("image",)

    def build(self, pooled_shape):
        name = "kernel" if self.name == "never" else "slope"
        self.slope = self.add_weight(name=name, shape=(), initializer="ones")

    def call(self, inputs, encoder=None, training=None):
        return inputs["image"]

    def compute_loss(self, x, y, y_pred, sample_weight=None):
        return ops.convert_to_tensor(self.slope)


def make_order():
    """Which task each step takes."""
    order = np.full(STEPS, NAMES.index("often"))
    seldom = np.random.default_rng(0).random(STEPS) < 0.1
    order[seldom] = NAMES.index("seldom")
    order[0] = NAMES.index("once")
    order[300] = NAMES.index("late")
    return order


class Given(keras_imp.schedules.Schedule):
    def draw(self, block):
        return np.resize(make_order(), 2048)[self.steps(block)]


@functools.cache
def trajectory(update):
    """All slopes after 300, 301, 401 and 1500 steps, from a real run."""
    model = keras_imp.AlternatingModel(
        models.TinyEncoder(), [Slope(name) for name in NAMES], update=update
    )
    model.compile(
        AdamW(RATE, DECAY, global_clipnorm=None),
        jit_compile=models.default_jit(),
    )
    x = {"image": np.zeros((1, 5), "float32")}
    mixture = models.make_mixture(
        {name: [(x,)] for name in NAMES}, schedule=Given()
    )
    found = {}
    parts = ((0, 300), (300, 301), (301, 401), (401, STEPS))
    for epoch, (first, last) in enumerate(parts):
        # One run: each epoch continues where the one before ended.
        model.fit(
            mixture,
            steps_per_epoch=last - first,
            initial_epoch=epoch,
            epochs=epoch + 1,
            verbose=0,
        )
        found[last] = {
            name: float(ops.convert_to_numpy(task.slope))
            for name, task in model.tasks.items()
        }
    return found


def expected_trajectory(update):
    idle = "skip" if update == "touched" else "zero"
    decays = [DECAY if name == "never" else 0.0 for name in NAMES]
    oracle = AdamWOracle([1.0] * len(NAMES), RATE, decays, idle=idle)
    found = {}
    for step, drawn in enumerate(make_order()):
        weights = oracle.step(
            [1.0 if i == drawn else None for i in range(len(NAMES))]
        )
        found[step + 1] = dict(zip(NAMES, map(float, weights)))
    return found


# How far each weight moves, in learning rates.
TABLE = {
    "all": {
        "never": 0.970444,
        "once": 6.01,
        "late, at once": 1.61,
        "late, after 100 more": 16.4,
    },
    "touched": {
        "never": 1.0,
        "once": 1.00,
        "late, at once": 1.61,
        "late, after 100 more": 1.61,
    },
}


@pytest.mark.parametrize("update", list(TABLE))
def test_idle_weights_move_as_published(update):
    found, expected = trajectory(update), expected_trajectory(update)
    for step, slopes in found.items():
        for name, value in slopes.items():
            assert value == pytest.approx(expected[step][name], abs=2e-5), (
                step,
                name,
            )

    def travel(step, name):
        return (1.0 - found[step][name]) / RATE

    table = TABLE[update]
    assert found[300]["never"] == pytest.approx(table["never"], abs=2e-6)
    assert travel(301, "once") == pytest.approx(table["once"], abs=0.02)
    late = table["late, at once"], table["late, after 100 more"]
    assert travel(300, "late") == 0.0
    assert travel(301, "late") == pytest.approx(late[0], abs=0.02)
    assert travel(401, "late") == pytest.approx(late[1], abs=0.06)


def test_a_seldom_drawn_weight_travels_further_if_idle_ones_move():
    """Drawn in one of ten steps; the table's gradients are not known.

    It says 422 against 336 learning rates. The ratio depends on the draws
    alone, and only a little.
    """
    travel = {
        update: (1.0 - trajectory(update)[STEPS]["seldom"]) / RATE
        for update in TABLE
    }
    assert travel["all"] / travel["touched"] == pytest.approx(
        422 / 336, rel=0.02
    )
    # Where gradients are all 1, an idle step's share of the mean and of the
    # root of the mean square is known: 0.1 / sqrt(0.1) per step.
    assert travel["all"] / STEPS == pytest.approx(0.1**0.5, rel=0.05)


@pytest.mark.parametrize("update", list(TABLE))
def test_the_clip_does_not_know_idle_weights(update):
    """The global norm is the same in both ways."""
    model = keras_imp.AlternatingModel(
        models.TinyEncoder(), [Slope("never"), Slope("often")], update=update
    )
    optimizer = keras.optimizers.SGD(1.0, global_clipnorm=0.25)
    model.compile(optimizer, jit_compile=models.default_jit())
    x = {"image": np.zeros((1, 5), "float32")}
    mixture = models.make_mixture(
        {"never": [(x,)], "often": [(x,)]}, schedule=models.Always("often")
    )
    model.fit(mixture, steps_per_epoch=2, verbose=0)
    slope = float(ops.convert_to_numpy(model.tasks["often"].slope))
    assert slope == pytest.approx(0.5)
