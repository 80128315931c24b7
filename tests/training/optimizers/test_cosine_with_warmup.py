import re

import keras
import numpy as np
import pytest

from keras_imp.training.optimizers import CosineWithWarmup
from tests.weights import to_numpy

SIZES = {
    "small": {
        "peak": 8e-4,
        "total_steps": 200_000,
        "warmup_steps": 10_000,
        "initial": 1e-6,
    },
    "base": {
        "peak": 1e-3,
        "total_steps": 500_000,
        "warmup_steps": 25_000,
        "initial": 5e-6,
        "end": 1e-6,
        "pre_warmup_steps": 2000,
        "pre_warmup_start": 2e-5,
    },
    "large": {
        "peak": 5e-4,
        "total_steps": 500_000,
        "warmup_steps": 50_000,
        "initial": 1e-6,
        "end": 1e-6,
        "pre_warmup_steps": 5000,
        "pre_warmup_start": 1e-5,
    },
}

# imp.md 8.4, with the digits that are printed there.
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
    rate = float(to_numpy(CosineWithWarmup(**SIZES[size])(step)))
    # Half a unit of the last printed digit, and a float32's rounding.
    assert abs(rate - float(text)) <= half_a_digit(text) + 1e-6 * rate


def test_the_end_is_reached_one_pre_warmup_after_the_total():
    rate = CosineWithWarmup(**SIZES["large"])
    assert float(to_numpy(rate(505_000))) == pytest.approx(1e-6)
    assert float(to_numpy(rate(900_000))) == pytest.approx(1e-6)


def test_without_any_warmup_it_starts_at_the_peak():
    rate = CosineWithWarmup(1e-3, total_steps=100, warmup_steps=0)
    assert float(to_numpy(rate(0))) == pytest.approx(1e-3)
    # Half of the way down.
    assert float(to_numpy(rate(50))) == pytest.approx(5e-4)
    assert float(to_numpy(rate(100))) == pytest.approx(0.0, abs=1e-9)


def test_config_round_trip():
    rate = CosineWithWarmup(**SIZES["base"])
    copy = keras.optimizers.schedules.deserialize(
        keras.optimizers.schedules.serialize(rate)
    )
    assert copy.get_config() == rate.get_config() == SIZES["base"]


def test_an_optimizer_follows_it():
    optimizer = keras.optimizers.SGD(
        CosineWithWarmup(1.0, total_steps=100, warmup_steps=4)
    )
    variable = keras.Variable(np.zeros((), "float32"))
    for _ in range(3):
        optimizer.apply([keras.ops.ones(())], [variable])
    # Rates 0, 1/4 and 2/4.
    assert float(to_numpy(variable)) == pytest.approx(-0.75)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (
            {"warmup_steps": 100},
            "`warmup_steps` must be at least 0 and less than `total_steps`. "
            "Received: warmup_steps=100, total_steps=100.",
        ),
        (
            {"warmup_steps": -1},
            "`warmup_steps` must be at least 0 and less than `total_steps`. "
            "Received: warmup_steps=-1, total_steps=100.",
        ),
        (
            {"peak": 0.0},
            "`peak` must be greater than 0. Received: peak=0.0.",
        ),
    ],
)
def test_an_argument_out_of_range_is_refused(options, text):
    arguments = {"peak": 1.0, "total_steps": 100, "warmup_steps": 5, **options}
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        CosineWithWarmup(**arguments)
