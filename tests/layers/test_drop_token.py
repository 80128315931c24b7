import re

import keras
import numpy as np
import pytest

from keras_imp.layers import DropToken
from keras_imp.layers.drop_token import draw_kept
from tests.helpers.weights import to_numpy


def numbered_tokens(batch=5, count=13):
    """Tokens that hold their own index, so that one sees who was kept."""
    index = np.arange(count, dtype="float32")
    return np.tile(index[None, :, None], (batch, 1, 3))


def kept_indices(layer, tokens):
    kept = to_numpy(layer(tokens, training=True))["tokens"]
    assert (kept == kept[..., :1]).all()
    return kept[..., 0].astype(int)


@pytest.mark.parametrize(
    ("rate", "count", "kept"),
    [
        (0.75, 16, 4),
        (0.75, 1024, 256),
        (0.5, 7, 3),  # int(3.5)
        (0.25, 7, 5),  # int(5.25)
        (0.9, 7, 1),  # int(0.7) is 0: one token always stays
        (0.0, 7, 7),
    ],
)
def test_keeps_the_whole_part_of_its_share(rate, count, kept):
    tokens = numbered_tokens(2, count)
    out = DropToken(rate)(tokens, training=True)["tokens"]
    assert tuple(out.shape) == (2, kept, 3)


def test_kept_tokens_stay_in_order_and_differ_from_each_other():
    kept = kept_indices(DropToken(0.5, seed=1), numbered_tokens())
    assert (np.diff(kept, axis=1) > 0).all()


def test_each_example_keeps_its_own_set():
    kept = kept_indices(DropToken(0.5, seed=1), numbered_tokens())
    assert len({tuple(row) for row in kept}) > 1


def test_every_token_is_kept_equally_often():
    kept = kept_indices(DropToken(0.75, seed=1), numbered_tokens(2003, 8))
    counts = np.bincount(kept.ravel(), minlength=8)
    # 2003 draws with p = 1/4: a deviation of 19.4 around 501.
    assert (abs(counts - 2003 / 4) < 80).all()


def test_the_same_seed_keeps_the_same_tokens():
    first, second = (
        kept_indices(DropToken(0.5, seed=3), numbered_tokens())
        for _ in range(2)
    )
    np.testing.assert_array_equal(first, second)


def test_two_calls_keep_different_tokens():
    layer = DropToken(0.5, seed=3)
    first, second = (kept_indices(layer, numbered_tokens()) for _ in range(2))
    assert (first != second).any()


@pytest.mark.parametrize("training", [False, None])
def test_nothing_is_dropped_without_training(training):
    tokens = numbered_tokens()
    mask = tokens[..., 0] < 7
    out = to_numpy(DropToken(0.5)(tokens, padding_mask=mask, training=training))
    np.testing.assert_array_equal(out["tokens"], tokens)
    np.testing.assert_array_equal(out["padding_mask"], mask)


def test_the_mask_follows_its_tokens():
    tokens = numbered_tokens()
    mask = tokens[..., 0] < 7
    out = to_numpy(
        DropToken(0.5, seed=3)(tokens, padding_mask=mask, training=True)
    )
    assert out["padding_mask"].dtype == bool
    np.testing.assert_array_equal(
        out["padding_mask"], out["tokens"][..., 0] < 7
    )


def test_real_tokens_are_dropped_after_all_padding():
    tokens = numbered_tokens(50, 16)
    mask = np.arange(16) < np.array([[2]] * 49 + [[12]])
    out = to_numpy(
        DropToken(0.5, seed=3)(tokens, padding_mask=mask, training=True)
    )
    assert out["padding_mask"].sum(axis=1).tolist() == [2] * 49 + [8]
    # The rest of a short one is random padding.
    assert len({tuple(row) for row in out["tokens"][:49, :, 0]}) > 1


def test_no_mask_gives_no_mask():
    out = DropToken(0.5)(numbered_tokens(), training=True)
    assert out["padding_mask"] is None


@pytest.mark.parametrize("rate", [-0.5, 1, 2])
def test_a_rate_outside_its_range_is_refused(rate):
    text = f"`rate` must be in [0, 1). Received: rate={rate}."
    with pytest.raises(ValueError, match=re.escape(text)):
        DropToken(rate)


def test_draws_are_those_of_the_layer():
    layer, tokens = DropToken(0.5, seed=3), numbered_tokens()
    seeds = keras.random.SeedGenerator(3)
    for _ in range(2):
        drawn = to_numpy(draw_kept(seeds, 5, 13, 0.5))
        np.testing.assert_array_equal(drawn, kept_indices(layer, tokens))
        assert drawn.dtype == "int32"


UNKNOWN = (
    "To drop a fraction of the tokens, their number must be known. Received: "
    "num_tokens=None, rate=0.5. Give all axes of the input but the batch a "
    "fixed size, or set the rate to 0."
)


def test_an_unknown_number_of_tokens_is_refused():
    with pytest.raises(ValueError, match=f"^{re.escape(UNKNOWN)}$"):
        draw_kept(keras.random.SeedGenerator(0), 2, None, 0.5)
    with pytest.raises(ValueError, match=re.escape(UNKNOWN)):
        DropToken(0.5)(keras.Input((None, 3)), training=True)


@pytest.mark.parametrize(("rate", "training"), [(0.5, False), (0, True)])
def test_an_unknown_number_is_fine_where_nothing_is_dropped(rate, training):
    mask = keras.Input((None,), dtype="bool")
    out = DropToken(rate)(
        keras.Input((None, 3)), padding_mask=mask, training=training
    )
    assert out["tokens"].shape == (None, None, 3)
