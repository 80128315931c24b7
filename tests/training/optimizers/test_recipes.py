import re

import numpy as np
import pytest

from keras_imp.training.optimizers import imp_recipe
from tests.helpers.weights import to_numpy

pytestmark = pytest.mark.one_backend

SIZES = ("small", "base", "large")

# docs/method.md, Optimization, with the digits that are printed there.
TABLE = {
    0: ("1e-6", "2e-5", "1e-5"),
    1000: ("8.09e-5", "1.25e-5", "8.2e-6"),
    2000: ("1.608e-4", "5e-6", "6.4e-6"),
    5000: ("4.005e-4", "1.244e-4", "1e-6"),
    10_000: ("8e-4", "3.234e-4", "5.09e-5"),
    27_000: ("7.843e-4", "1e-3", "2.206e-4"),
    55_000: ("6.943e-4", "9.915e-4", "5e-4"),
    100_000: ("4.33e-4", "9.429e-4", "4.878e-4"),
    250_000: (None, "5.483e-4", "3.024e-4"),
    400_000: (None, "1.104e-4", "6.509e-5"),
    500_000: (None, "1.044e-6", "1.152e-6"),
}
# Steps of the warm-up, rates at its start, its end and the end of all.
FIXED = {
    "small": (10_000, 200_000, 1e-6, 8e-4, 0.0),
    "base": (25_000, 500_000, 5e-6, 1e-3, 1e-6),
    "large": (50_000, 500_000, 1e-6, 5e-4, 1e-6),
}


def rates(optimizer, steps):
    found = []
    for step in steps:
        optimizer.iterations.assign(int(step))
        found.append(float(to_numpy(optimizer.learning_rate)))
    return np.array(found)


def half_a_digit(text):
    """Largest error of a number that was rounded to what is printed."""
    mantissa, exponent = text.split("e")
    decimals = len(mantissa.partition(".")[2])
    return 0.5 * 10.0 ** (int(exponent) - decimals)


@pytest.mark.parametrize(
    ("size", "step", "text"),
    [
        (size, step, text)
        for step, row in TABLE.items()
        for size, text in zip(SIZES, row, strict=True)
        if text
    ],
)
def test_published_learning_rates(size, step, text):
    (rate,) = rates(imp_recipe(size, "imp"), [step])
    # Half a unit of the last printed digit, and a float32's rounding.
    assert abs(rate - float(text)) <= half_a_digit(text) + 1e-6 * rate


@pytest.mark.parametrize("size", SIZES)
def test_the_fixed_rates_rise_once_and_reach_the_end(size):
    warmup, total, initial, peak, end = FIXED[size]
    optimizer = imp_recipe(size)
    steps = np.linspace(0, total, 101).astype(int)
    found = rates(optimizer, steps)
    share = np.clip((steps - warmup) / (total - warmup), 0, 1)
    expected = np.where(
        steps < warmup,
        initial + (peak - initial) * steps / warmup,
        end + (peak - end) * (1 + np.cos(np.pi * share)) / 2,
    )
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-9)
    assert (np.diff(found[steps <= warmup]) > 0).all()
    assert (np.diff(found[steps >= warmup]) < 0).all()
    assert found[-1] == pytest.approx(end, abs=1e-9)


@pytest.mark.parametrize(
    ("variant", "clip"), [("imp", None), ("fixed", 1.0)], ids=str
)
@pytest.mark.parametrize("size", SIZES)
def test_the_rest_of_the_recipe(size, variant, clip):
    config = imp_recipe(size, variant).get_config()
    expected = {
        "beta_1": 0.9,
        "beta_2": 0.999,
        "epsilon": 1e-7,
        "weight_decay": 1e-4,
        "decayed": "kernel$",
        "global_clipnorm": clip,
        "clipnorm": None,
        "clipvalue": None,
        "amsgrad": False,
    }
    assert {name: config[name] for name in expected} == expected


def schedule(optimizer):
    return optimizer.get_config()["learning_rate"]["config"]


def test_warmups_keep_their_share_of_the_training():
    found = schedule(imp_recipe("large", "imp", total_steps=1000))
    assert found["total_steps"] == 1000
    assert found["warmup_steps"] == 100
    assert found["pre_warmup_steps"] == 10
    found = schedule(imp_recipe("base", total_steps=7))
    assert (found["warmup_steps"], found["pre_warmup_steps"]) == (0, 0)


def test_options_replace_the_recipe():
    optimizer = imp_recipe("small", weight_decay=0.05, layer_decay=0.8)
    assert optimizer.weight_decay == 0.05
    assert optimizer.layer_decay == 0.8
    assert optimizer.global_clipnorm == 1.0


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (
            {"size": "huge"},
            "`size` must be one of ('small', 'base', 'large'). Received: "
            "size='huge'.",
        ),
        (
            {"size": "base", "variant": "best"},
            "`variant` must be one of ('fixed', 'imp'). Received: "
            "variant='best'.",
        ),
        (
            {"size": "base", "total_steps": 0},
            "`total_steps` must be greater than 0. Received: total_steps=0.",
        ),
    ],
)
def test_an_unknown_recipe_is_refused(arguments, text):
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        imp_recipe(**arguments)
