import re

import keras
import numpy as np
import pytest
from keras import ops

from keras_imp.layers import GridPositionEmbedding
from keras_imp.layers.grid_position_embedding import resampling_weights
from tests.helpers.weights import (
    assert_near,
    named_weights,
    randomize,
    to_numpy,
)

WIDTH = 10


def grid_positions(rng, buckets, **arguments):
    layer = GridPositionEmbedding(buckets, **arguments)
    layer.build((None, None, WIDTH))
    return randomize(layer, rng)


def added(layer, grid):
    """What the layer adds to each token."""
    tokens = np.zeros((1, int(np.prod(grid)), WIDTH), "float32")
    return to_numpy(layer(tokens, grid=grid))[0]


def test_its_own_size_gets_its_table(rng):
    layer = grid_positions(rng, (3, 4))
    table = named_weights(layer)["table"]
    np.testing.assert_array_equal(
        added(layer, (3, 4)), table.reshape(12, WIDTH).astype("float32")
    )


@pytest.mark.parametrize("grid", [(6, 2), (3, 9), (1, 1), (5, 8), (2, 4)])
def test_another_size_is_a_bilinear_resize(rng, grid):
    layer = grid_positions(rng, (3, 4))
    table = named_weights(layer)["table"].astype("float32")
    expected = ops.image.resize(
        table,
        grid,
        interpolation="bilinear",
        antialias=False,
        data_format="channels_last",
    )
    assert_near(added(layer, grid), to_numpy(expected).reshape(-1, WIDTH), 1e-5)


def test_frames_have_a_table_of_their_own(rng):
    layer = grid_positions(rng, (2, 3, 4))
    weights = named_weights(layer)
    expected = weights["table_0"][:, None] + weights["table"].reshape(12, WIDTH)
    assert_near(added(layer, (2, 3, 4)), expected.reshape(-1, WIDTH), 1e-6)
    # One frame lies between the two.
    expected = weights["table_0"].mean(0) + weights["table"].reshape(12, WIDTH)
    assert_near(added(layer, (1, 3, 4)), expected, 1e-6)


def test_frames_make_no_difference_at_the_start():
    layer = GridPositionEmbedding((5, 3, 4))
    layer.build((None, None, WIDTH))
    frames = added(layer, (2, 3, 4)).reshape(2, 12, WIDTH)
    np.testing.assert_array_equal(frames[0], frames[1])
    np.testing.assert_array_equal(frames[0], added(layer, (1, 3, 4)))


def test_a_sequence_has_its_first_rows_and_no_others(rng):
    layer = grid_positions(rng, (7,), resample=False)
    table = named_weights(layer)["table"].astype("float32")
    np.testing.assert_array_equal(added(layer, (4,)), table[:4])
    text = "longer than the 7 positions of its table. Received: length=8."
    with pytest.raises(ValueError, match=re.escape(text)):
        added(layer, (8,))


def test_a_sequence_of_unknown_length_has_its_first_rows(rng):
    layer = grid_positions(rng, (7,), resample=False)
    table = named_weights(layer)["table"].astype("float32")
    tokens = np.zeros((2, 4, WIDTH), "float32")
    found = to_numpy(layer(tokens, grid=(None,)))
    np.testing.assert_array_equal(found, np.stack([table[:4]] * 2))
    kept = np.array([[0, 3], [6, 1]])
    found = to_numpy(layer(tokens[:, :2], grid=(None,), kept=kept))
    np.testing.assert_array_equal(found, table[kept])


def test_kept_tokens_keep_their_places(rng):
    layer = grid_positions(rng, (3, 4))
    kept = np.array([[0, 5], [7, 1]])
    found = to_numpy(
        layer(np.zeros((2, 2, WIDTH), "float32"), grid=(2, 4), kept=kept)
    )
    np.testing.assert_array_equal(found, added(layer, (2, 4))[kept])


def test_rows_are_refused(rng):
    layer = grid_positions(rng, (3, 4))
    tokens = np.zeros((1, 2, WIDTH), "float32")
    with pytest.raises(ValueError, match="do not tell how its table"):
        layer(tokens, position_ids=np.zeros((1, 2, 2), "int32"))


def test_a_grid_must_fit(rng):
    layer = grid_positions(rng, (3, 4))
    with pytest.raises(ValueError, match="`grid` must have 2 axes"):
        layer(np.zeros((1, 2, WIDTH)), grid=(2,))
    with pytest.raises(ValueError, match="product of `grid`"):
        layer(np.zeros((1, 2, WIDTH)), grid=(2, 2))
    with pytest.raises(ValueError, match="`buckets` must be greater than 0"):
        GridPositionEmbedding((0, 3))


def test_weights_sum_to_one_and_reach_what_they_say():
    for count, rows in [(1, 5), (3, 5), (5, 5), (8, 5), (14, 37)]:
        weights = resampling_weights(count, rows)
        np.testing.assert_allclose(weights.sum(1), 1.0, atol=1e-6)
        layer = GridPositionEmbedding((rows,))
        (reached,) = layer.rows_reached((count,))
        np.testing.assert_array_equal(reached, np.flatnonzero(weights.any(0)))
    (reached,) = GridPositionEmbedding((9,), resample=False).rows_reached((4,))
    assert reached.tolist() == [0, 1, 2, 3]


def test_the_first_vectors_have_the_scale():
    layer = GridPositionEmbedding((40, 40), scale=0.3)
    layer.build((None, None, WIDTH))
    assert abs(keras.ops.convert_to_numpy(layer.table).std() - 0.3) < 0.01
