"""What every augmentation of examples does."""

import numpy as np

from keras_imp.data.augment import Draws


def assert_result_is_like_the_argument(function, values):
    """Other values of the same shape and dtype; the argument is not changed."""
    before = values.copy()
    result = function(values, Draws(0, 0, len(values)))
    assert result.shape == values.shape
    assert result.dtype == values.dtype
    np.testing.assert_array_equal(values, before)
    assert (result != values).any()


def assert_each_row_is_alone(function, values):
    """An example becomes what it would alone, in a batch of one."""
    together = function(values, Draws(0, 0, np.arange(len(values)) * 5))
    alone = function(values[[9]], Draws(0, 0, [45]))
    np.testing.assert_array_equal(alone[0], together[9])
