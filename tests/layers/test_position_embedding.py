import re

import keras
import numpy as np
import pytest

from keras_imp.layers import PositionEmbedding
from keras_imp.layers.position_embedding import (
    bucket_ids,
    interpolation_weights,
)
from tests.helpers import layer_oracles as oracles
from tests.helpers.compiled import in_one
from tests.helpers.weights import (
    assert_near,
    named_weights,
    randomize,
    to_numpy,
)

VISION = (16, 32, 32)
EVEN_ROWS = list(range(0, 32, 2))

# docs/method.md, Positions: input, patch grid, temporal rows, vertical =
# horizontal rows.
WORKED_EXAMPLES = {
    "image 256": ((1, 16, 16), [0], EVEN_ROWS),
    "video 16 x 256": ((4, 16, 16), [0, 4, 8, 12], EVEN_ROWS),
    "video 16 x 128": ((4, 8, 8), [0, 4, 8, 12], list(range(0, 32, 4))),
    "video 32 x 224": (
        (8, 14, 14),
        list(range(0, 16, 2)),
        [0, 2, 4, 6, 9, 11, 13, 16, 18, 20, 22, 25, 27, 29],
    ),
    "image 192": (
        (1, 12, 12),
        [0],
        [0, 2, 5, 8, 10, 13, 16, 18, 21, 24, 26, 29],
    ),
    "image 112": ((1, 7, 7), [0], [0, 4, 9, 13, 18, 22, 27]),
    "video 64 x 512": ((16, 32, 32), list(range(16)), list(range(32))),
}

# docs/method.md, Positions: tokens = rows; wrong ids in float32; wrong ids,
# ids outside the
# table in bfloat16.
NUMERICAL_HAZARDS = {
    "waveform 300": (300, 14, 52, 0),
    "waveform 512": (512, 0, 128, 1),
    "waveform 600": (600, 29, 240, 1),
}

COORDINATES = ("integer", "float32", "bfloat16")


def wrong_ids(count, coordinates):
    ids = bucket_ids(count, count, coordinates)
    return int((ids != np.arange(count)).sum())


@pytest.mark.parametrize("coordinates", COORDINATES)
@pytest.mark.parametrize(
    "example", WORKED_EXAMPLES.values(), ids=WORKED_EXAMPLES.keys()
)
def test_rows_of_the_worked_examples(example, coordinates):
    grid, temporal, spatial = example
    rows = [
        bucket_ids(n, s, coordinates).tolist() for n, s in zip(grid, VISION)
    ]
    assert rows == [temporal, spatial, spatial]


@pytest.mark.parametrize("coordinates", COORDINATES)
def test_rows_of_an_8_by_8_spectrogram(coordinates):
    assert bucket_ids(8, 64, coordinates).tolist() == list(range(0, 64, 8))
    assert bucket_ids(8, 8, coordinates).tolist() == list(range(8))


def test_rows_of_the_exported_model():
    assert bucket_ids(16, 64).tolist() == list(range(0, 64, 4))


@pytest.mark.parametrize(
    ("grid", "place", "flat_index", "rows"),
    [
        # 3 * 256 + 5 * 16 + 15 = 863
        ((4, 16, 16), (3, 5, 15), 863, (12, 10, 30)),
        # 3 * 64 + 2 * 8 + 7 = 215; it shares row 8 with (3, 4, ..) of the above
        ((4, 8, 8), (3, 2, 7), 215, (12, 8, 28)),
    ],
    ids=["video at 256", "video at 128"],
)
def test_worked_token_is_the_norm_of_the_sum_of_its_rows(
    rng, grid, place, flat_index, rows
):
    assert np.ravel_multi_index(place, grid) == flat_index
    layer = PositionEmbedding(VISION)
    layer.build((None, None, 5))
    randomize(layer, rng)
    tokens = np.zeros((1, np.prod(grid), 5), "float32")
    weights = named_weights(layer)
    vector = sum(weights[f"table_{axis}"][r] for axis, r in enumerate(rows))
    expected = oracles.layer_norm(
        vector, weights["norm/gamma"], weights["norm/beta"]
    )
    found = to_numpy(in_one(layer, grid=grid)(tokens))[0, flat_index]
    assert_near(found, expected, oracles.FLOAT32_TOLERANCE)


@pytest.mark.parametrize(
    "hazard", NUMERICAL_HAZARDS.values(), ids=NUMERICAL_HAZARDS.keys()
)
def test_wrong_ids_of_floating_coordinates(hazard):
    count, float32_wrong, bfloat16_wrong, outside = hazard
    assert wrong_ids(count, "integer") == 0
    assert wrong_ids(count, "float32") == float32_wrong
    assert wrong_ids(count, "bfloat16") == bfloat16_wrong
    ids = bucket_ids(count, count, "bfloat16")
    assert int((ids >= count).sum()) == outside


def test_bfloat16_waveform_of_512_has_385_rows_and_ends_outside_the_table():
    ids = bucket_ids(512, 512, "bfloat16")
    assert len(set(ids.tolist())) == 385
    assert ids[-1] == 512


def test_385_of_the_512_text_lengths_have_a_wrong_float32_id():
    lengths = range(1, 513)
    assert sum(wrong_ids(n, "float32") > 0 for n in lengths) == 385


@pytest.mark.parametrize("length", [16, 32, 64, 128, 256])
@pytest.mark.parametrize("coordinates", COORDINATES)
def test_text_lengths_that_are_powers_of_two_are_exact(length, coordinates):
    assert wrong_ids(length, coordinates) == 0


@pytest.mark.parametrize("length", [49, 77, 100, 196, 200])
def test_other_text_lengths_have_wrong_float32_ids(length):
    assert wrong_ids(length, "float32") > 0


def test_text_of_77_tokens_has_3_wrong_float32_ids():
    assert wrong_ids(77, "float32") == 3


def test_integer_ids_of_text_are_all_exact():
    assert all(wrong_ids(n, "integer") == 0 for n in range(1, 513))


def test_interpolation_weights_are_the_fractions_that_ids_cut_off():
    # 32 / 7 = 4.571..: 0, 4.571, 9.143, 13.714, 18.286, 22.857, 27.429
    expected = [0, 0.571429, 0.142857, 0.714286, 0.285714, 0.857143, 0.428571]
    np.testing.assert_allclose(
        interpolation_weights(7, 32), expected, atol=1e-6
    )


@pytest.mark.parametrize(
    ("buckets", "grid", "arguments"),
    [
        ((5, 7, 11), (2, 3, 5), {}),
        ((5, 7, 11), (2, 3, 5), {"coordinates": "float32"}),
        ((5, 7, 11), (2, 3, 5), {"coordinates": "bfloat16"}),
        ((5, 7, 11), (2, 3, 5), {"interpolate": True}),
        ((7, 3), (5, 2), {"interpolate": True}),
        ((300,), (300,), {"coordinates": "float32"}),
        ((512,), (512,), {"coordinates": "bfloat16"}),
        ((83,), (77,), {"dilated": False}),
        ((83,), (77,), {"dilated": False, "coordinates": "float32"}),
        ((83,), (77,), {"dilated": False, "interpolate": True}),
    ],
)
def test_agrees_with_the_oracle(rng, buckets, grid, arguments):
    layer = PositionEmbedding(buckets, **arguments)
    layer.build((None, None, 13))
    randomize(layer, rng)
    tokens = rng.normal(size=(2, np.prod(grid), 13)).astype("float32")
    expected = oracles.position_embedding(
        tokens, grid, named_weights(layer), **arguments
    )
    found = in_one(layer, grid=grid)(tokens)
    assert_near(found, expected, oracles.FLOAT32_TOLERANCE)


GIVEN = [
    ((5, 7, 11), (2, 3, 5), {}),
    ((5, 7, 11), (2, 3, 5), {"coordinates": "bfloat16"}),
    ((512,), (512,), {"coordinates": "bfloat16"}),
    ((83,), (77,), {"dilated": False}),
]


@pytest.mark.parametrize(
    ("buckets", "grid", "arguments"),
    [*GIVEN, ((5, 7, 11), (2, 3, 5), {"interpolate": True})],
)
def test_kept_places_have_the_positions_of_the_whole(
    rng, buckets, grid, arguments
):
    layer, kept, expected = kept_positions(rng, buckets, grid, arguments)
    tokens = np.zeros((*kept.shape, 13), "float32")
    found = in_one(layer, grid=grid)(tokens, kept=kept)
    assert_near(found, expected, oracles.SAME_MATH_TOLERANCE)


@pytest.mark.parametrize(("buckets", "grid", "arguments"), GIVEN)
def test_given_rows_have_the_positions_of_the_whole(
    rng, buckets, grid, arguments
):
    layer, kept, expected = kept_positions(rng, buckets, grid, arguments)
    places = np.unravel_index(kept, grid)
    coordinates = arguments.get("coordinates", "integer")
    dilated = arguments.get("dilated", True)
    rows = [
        bucket_ids(count, rows if dilated else count, coordinates)[place]
        for count, rows, place in zip(grid, buckets, places)
    ]
    tokens = np.zeros((*kept.shape, 13), "float32")
    found = in_one(layer)(tokens, position_ids=np.stack(rows, axis=-1))
    assert_near(found, expected, oracles.SAME_MATH_TOLERANCE)


def kept_positions(rng, buckets, grid, arguments):
    """A layer, some places of two examples, and their positions."""
    layer = PositionEmbedding(buckets, **arguments)
    layer.build((None, None, 13))
    randomize(layer, rng)
    count = int(np.prod(grid))
    kept = np.array([[0, 1, count - 1], [2, 5, 7]])
    tokens = np.zeros((1, count, 13), "float32")
    whole = to_numpy(in_one(layer, grid=grid)(tokens))[0]
    return layer, kept, whole[kept]


def test_given_rows_cannot_be_interpolated():
    layer = PositionEmbedding((5,), interpolate=True)
    text = (
        "Rows must not be given to a position embedding that interpolates: a "
        "row does not tell how much of the next one to take. Received: "
        "interpolate=True. Drop tokens in the model, with `drop_tokens` of "
        "the task, or set "
        "interpolate_positions=False."
    )
    tokens = np.zeros((1, 2, 3), "float32")
    with pytest.raises(ValueError, match=re.escape(text)):
        layer(tokens, position_ids=np.zeros((1, 2, 1), "int32"))


@pytest.mark.parametrize(
    "example", WORKED_EXAMPLES.values(), ids=WORKED_EXAMPLES.keys()
)
def test_rows_reached_at_each_size(example):
    grid, temporal, spatial = example
    reached = PositionEmbedding(VISION).rows_reached(grid)
    assert [r.tolist() for r in reached] == [temporal, spatial, spatial]


def test_interpolation_reaches_the_next_row_too():
    # 2 patches on 3 rows: 0 and 1.5; 3 patches on 4 rows: 0, 1.33, 2.67.
    layer = PositionEmbedding((3, 4), interpolate=True)
    reached = [rows.tolist() for rows in layer.rows_reached((2, 3))]
    assert reached == [[0, 1, 2], [0, 1, 2, 3]]


def test_text_reaches_a_row_for_each_of_its_places():
    (rows,) = PositionEmbedding((9,), dilated=False).rows_reached((4,))
    assert rows.tolist() == [0, 1, 2, 3]


def test_faithful_rows_outside_the_table_reach_nothing():
    layer = PositionEmbedding((512,), coordinates="bfloat16")
    (rows,) = layer.rows_reached((512,))
    assert len(rows) == 384
    assert rows.max() < 512


def test_an_id_outside_the_table_adds_only_the_bias_of_the_norm(rng):
    layer = PositionEmbedding((512,), coordinates="bfloat16")
    layer.build((None, None, 3))
    randomize(layer, rng)
    tokens = np.zeros((1, 512, 3), "float32")
    bias = named_weights(layer)["norm/beta"]
    found = to_numpy(in_one(layer, grid=(512,))(tokens))[0, -1]
    assert_near(found, bias, oracles.FLOAT32_TOLERANCE)


def test_positions_have_unit_variance_at_the_start(rng):
    layer = PositionEmbedding((7,))
    tokens = np.zeros((1, 7, 31), "float32")
    added = to_numpy(layer(tokens, grid=(7,)))[0]
    np.testing.assert_allclose(added.mean(-1), 0, atol=1e-5)
    np.testing.assert_allclose(added.std(-1), 1, atol=1e-3)


def test_scale_is_the_deviation_of_positions_at_the_start():
    layer = PositionEmbedding((7,), scale=0.1)
    added = to_numpy(layer(np.zeros((1, 7, 31), "float32"), grid=(7,)))[0]
    np.testing.assert_allclose(added.std(-1), 0.1, atol=1e-4)


def test_tables_start_with_a_deviation_of_one_over_root_width():
    layer = PositionEmbedding((997,))
    layer.build((None, None, 25))
    assert abs(named_weights(layer)["table_0"].std() - 0.2) < 0.005


def test_an_image_and_the_first_slice_of_a_video_share_positions(rng):
    layer = PositionEmbedding(VISION)
    layer.build((None, None, 5))
    image, video = (
        to_numpy(in_one(layer, grid=grid)(np.zeros((1, size, 5), "float32")))
        for grid, size in (((1, 2, 3), 6), ((7, 2, 3), 42))
    )
    np.testing.assert_allclose(image, video[:, :6], atol=1e-6)


def test_interpolated_positions_of_the_full_grid_are_the_rows_themselves(rng):
    plain = PositionEmbedding((5, 7))
    mixed = PositionEmbedding((5, 7), interpolate=True)
    for layer in (plain, mixed):
        layer.build((None, None, 3))
    mixed.set_weights(randomize(plain, rng).get_weights())
    tokens = np.zeros((1, 35, 3), "float32")
    np.testing.assert_array_equal(
        to_numpy(in_one(plain, grid=(5, 7))(tokens)),
        to_numpy(in_one(mixed, grid=(5, 7))(tokens)),
    )


def test_positions_stay_float32_inside_a_bfloat16_layer(rng):
    layer = PositionEmbedding(VISION, dtype="mixed_bfloat16")
    layer.build((None, None, 5))
    randomize(layer, rng)
    tokens = np.zeros((1, 30, 5), "float32")
    out = in_one(layer, grid=(2, 3, 5))(tokens)
    expected = oracles.position_embedding(
        tokens, (2, 3, 5), named_weights(layer)
    )
    # One rounding at the end, of 8 bits.
    np.testing.assert_allclose(to_numpy(out), expected, rtol=2**-8, atol=1e-6)


@pytest.mark.parametrize(
    ("grid", "text"),
    [
        (
            (2, 3),
            "`grid` must have 3 axes, one per table. Received: grid=(2, 3).",
        ),
        (
            None,
            "`grid` must have 3 axes, one per table. Received: grid=().",
        ),
        (
            (1, 2, 5),
            "The product of `grid` must be the number of tokens. Received: "
            "grid=(1, 2, 5), tokens=6.",
        ),
    ],
    ids=["another number of axes", "no grid", "another number of tokens"],
)
def test_a_grid_that_does_not_fit_is_refused(grid, text):
    layer = PositionEmbedding(VISION)
    with pytest.raises(ValueError, match=re.escape(text)):
        layer(np.zeros((1, 6, 5), "float32"), grid=grid)


def test_text_that_is_longer_than_its_table_is_refused():
    layer = PositionEmbedding((5,), dilated=False)
    text = (
        "A sequence must not be longer than the 5 positions of its table. "
        "Received: length=7. Cut the sequence, or use more position buckets."
    )
    with pytest.raises(ValueError, match=re.escape(text)):
        layer(np.zeros((1, 7, 3), "float32"), grid=(7,))


def test_unknown_coordinates_are_refused():
    text = (
        "`coordinates` must be one of ('integer', 'float32', 'bfloat16'). "
        "Received: coordinates='float16'."
    )
    with pytest.raises(ValueError, match=re.escape(text)):
        PositionEmbedding((5,), coordinates="float16")
    with pytest.raises(ValueError, match=re.escape(text)):
        bucket_ids(3, 5, "float16")


def test_interpolation_of_floating_coordinates_is_refused():
    text = (
        '`interpolate` needs coordinates="integer". Received: '
        "interpolate=True, coordinates='bfloat16'."
    )
    with pytest.raises(ValueError, match=re.escape(text)):
        PositionEmbedding((5,), interpolate=True, coordinates="bfloat16")


def test_a_row_between_two_trained_rows_is_their_mean():
    # 2 patches on 3 rows: i * 3 / 2 = 0, 1.5: half of row 1, half of row 2.
    layer = PositionEmbedding((3,), interpolate=True)
    layer.build((None, None, 2))
    layer.tables[0].assign(np.array([[9, 9], [0, 2], [4, 2]], "float32"))
    out = layer(np.zeros((1, 2, 2), "float32"), grid=(2,))
    # Mean of (0, 2) and (4, 2) is (2, 2): its LayerNorm is 0.
    assert_near(out[0, 1], np.zeros(2), oracles.FLOAT32_TOLERANCE)
    assert keras.ops.shape(out) == (1, 2, 2)
