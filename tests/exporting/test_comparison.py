"""What counts as a difference, and samples of inputs."""

import math

import numpy as np
import pytest

from keras_imp.exporting.comparison import compare
from keras_imp.exporting.inputs import Input

pytestmark = pytest.mark.one_backend
RIGHT = {"y": np.array([[3.0, 4.0], [0.0, 0.0]])}


def test_equal_outputs_do_not_differ():
    assert compare([RIGHT, RIGHT], [RIGHT, RIGHT]) == (0.0, 1.0)


def test_the_largest_difference_and_the_least_cosine_count():
    found = {"y": np.array([[4.0, -3.0], [0.0, 0.0]])}
    assert compare([RIGHT, found], [RIGHT, RIGHT]) == (7.0, 0.0)


@pytest.mark.parametrize(
    "found",
    [
        [],
        [{}],
        [{"z": RIGHT["y"]}],
        [{"y": RIGHT["y"][:1]}],
        [{"y": RIGHT["y"] * np.nan}],
    ],
)
def test_what_cannot_be_compared_is_infinitely_far(found):
    assert compare(found, [RIGHT]).largest == math.inf


def test_samples_have_several_batches_and_lengths_and_padding():
    given = Input("text", (None, None), "int32", limit=5, length=12)
    samples = given.samples()
    assert [x.shape for x in samples] == [(3, 12), (1, 6)]
    for x in samples:
        assert x.dtype == "int32"
        assert x.max() < 5
        assert (x[0, :1] > 0).all()
        assert x[-1, -1] == 0


def test_samples_of_pixels_and_of_16_bits_use_the_range():
    pixels = Input("image", (None, 8, 8, 3), "uint8").samples()[0]
    assert (pixels.min(), pixels.max()) == (0, 255) or np.ptp(pixels) > 240
    samples = Input("audio", (None, 4000), "int16").samples()[0]
    assert samples.dtype == "int16"
    assert samples.max() > 32000
