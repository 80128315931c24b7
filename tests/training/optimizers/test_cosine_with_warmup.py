import re

import keras
import numpy as np
import pytest

from keras_imp.training.optimizers import CosineWithWarmup
from keras_imp.training.optimizers.recipes import RATES
from tests.helpers.weights import to_numpy

LARGE = RATES["large"]


def test_the_end_is_reached_one_pre_warmup_after_the_total():
    rate = CosineWithWarmup(**LARGE)
    assert float(to_numpy(rate(505_000))) == pytest.approx(1e-6)
    assert float(to_numpy(rate(900_000))) == pytest.approx(1e-6)


def test_without_any_warmup_it_starts_at_the_peak():
    rate = CosineWithWarmup(1e-3, total_steps=100, warmup_steps=0)
    assert float(to_numpy(rate(0))) == pytest.approx(1e-3)
    # Half of the way down.
    assert float(to_numpy(rate(50))) == pytest.approx(5e-4)
    assert float(to_numpy(rate(100))) == pytest.approx(0.0, abs=1e-9)


def test_config_round_trip():
    rate = CosineWithWarmup(**LARGE)
    copy = keras.optimizers.schedules.deserialize(
        keras.optimizers.schedules.serialize(rate)
    )
    assert copy.get_config() == rate.get_config() == LARGE


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
