import re

import keras
import numpy as np
import pytest

from keras_imp.layers import PatchEmbedding
from keras_imp.layers.patch_embedding import patchify
from tests.helpers import layer_oracles as oracles
from tests.helpers.weights import (
    assert_near,
    named_weights,
    randomize,
    to_numpy,
)

VISION_AXES = ("frames", "height", "width")


def video_layer(rng=None, **arguments):
    layer = PatchEmbedding(
        7,
        patch_size=(2, 3, 5),
        num_channels=3,
        axis_names=VISION_AXES,
        **arguments,
    )
    layer.build()
    return layer if rng is None else randomize(layer, rng)


def audio_layer(rng):
    layer = PatchEmbedding(7, (3, 2), axis_names=("frames", "bins"))
    layer.build()
    return randomize(layer, rng)


def test_patchify_orders_tokens_and_values_row_major():
    # A 2 x 6 grid in patches of 2 x 3 with two channels, counted up:
    #    0  2  4 |  6  8 10      (and the odd numbers in channel 1)
    #   12 14 16 | 18 20 22
    x = np.arange(24, dtype="float32").reshape(1, 2, 6, 2)
    left = [0, 1, 2, 3, 4, 5, 12, 13, 14, 15, 16, 17]
    right = [6, 7, 8, 9, 10, 11, 18, 19, 20, 21, 22, 23]
    assert to_numpy(patchify(x, (2, 3)))[0].tolist() == [left, right]


KEPT = np.array([[0, 3, 11], [2, 4, 5]])


def places(x):
    """Input of the layer as only these patches of it."""
    return np.take_along_axis(x, KEPT[..., None], axis=1)


@pytest.mark.parametrize("shape", [(2, 4, 9, 10, 3), (2, 12, 15, 3)])
@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_kept_patches_equal_those_of_the_whole(rng, shape, dtype):
    layer = video_layer(rng)
    x = rng.integers(0, 256, shape).astype(dtype)
    x = x / np.float32(255) if dtype == "float32" else x
    whole = to_numpy(layer(x))
    assert whole.shape[1] == 12
    part = layer(x, kept=KEPT)
    assert_near(part, places(whole), oracles.SAME_MATH_TOLERANCE)
    # Cut before, as on the host.
    patches = to_numpy(patchify(x, (2, 3, 5)[5 - len(shape) :]))
    assert patches.dtype == dtype
    found = layer.embed_patches(places(patches))
    assert_near(found, places(whole), oracles.SAME_MATH_TOLERANCE)


def test_kept_patches_of_a_padded_input(rng):
    layer = video_layer(rng, padding="same")
    x = rng.integers(0, 256, (2, 3, 8, 9, 3), dtype="uint8")
    assert_near(
        layer(x, kept=KEPT),
        places(to_numpy(layer(x))),
        oracles.SAME_MATH_TOLERANCE,
    )


def test_dropped_patches_are_not_projected(rng):
    layer = video_layer(rng)
    seen, project = [], layer.projection.call

    def call(inputs, **kwargs):
        seen.append(tuple(inputs.shape))
        return project(inputs, **kwargs)

    layer.projection.call = call
    layer(np.zeros((2, 4, 9, 10, 3), "float32"), kept=KEPT)
    assert seen == [(2, 3, 90)]


def test_video_agrees_with_the_oracle(rng):
    layer = video_layer(rng)
    x = rng.normal(size=(2, 4, 9, 10, 3)).astype("float32")
    expected = oracles.patch_embedding(x, (2, 3, 5), named_weights(layer))
    assert expected.shape == (2, 12, 7)
    assert_near(layer(x), expected, oracles.FLOAT32_TOLERANCE)


def test_image_agrees_with_the_oracle_that_repeats_it(rng):
    layer = video_layer(rng)
    x = rng.normal(size=(2, 9, 10, 3)).astype("float32")
    expected = oracles.image_embedding(x, (2, 3, 5), named_weights(layer))
    assert expected.shape == (2, 6, 7)
    assert_near(layer(x), expected, oracles.FLOAT32_TOLERANCE)


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_an_image_equals_the_video_that_repeats_its_frame(rng, dtype):
    layer = video_layer(rng)
    image = rng.integers(0, 256, size=(3, 6, 5, 3)).astype(dtype)
    image = image / np.float32(255) if dtype == "float32" else image
    video = np.repeat(image[:, None], 2, axis=1)
    assert_near(
        layer(image), to_numpy(layer(video)), oracles.SAME_MATH_TOLERANCE
    )


def test_spectrogram_agrees_with_the_oracle(rng):
    layer = audio_layer(rng)
    x = rng.normal(size=(5, 6, 4)).astype("float32")
    expected = oracles.spectrogram_embedding(x, (3, 2), named_weights(layer))
    assert expected.shape == (5, 4, 7)
    assert_near(layer(x), expected, oracles.FLOAT32_TOLERANCE)


def test_spectrogram_may_have_a_channel_axis(rng):
    layer = audio_layer(rng)
    x = rng.normal(size=(5, 6, 4)).astype("float32")
    np.testing.assert_array_equal(
        to_numpy(layer(x)), to_numpy(layer(x[..., None]))
    )


def test_waveform_agrees_with_the_oracle(rng):
    layer = PatchEmbedding(7, (5,), axis_names=("samples",))
    layer.build()
    randomize(layer, rng)
    x = rng.normal(size=(2, 55)).astype("float32")
    expected = oracles.waveform_embedding(x, 5, named_weights(layer))
    assert expected.shape == (2, 11, 7)
    assert_near(layer(x), expected, oracles.FLOAT32_TOLERANCE)


@pytest.mark.parametrize("shape", [(2, 6, 5, 3), (2, 4, 6, 5, 3)])
def test_uint8_pixels_equal_scaled_floats(rng, shape):
    layer = video_layer(rng)
    pixels = rng.integers(0, 256, size=shape).astype("uint8")
    scaled = (pixels / 127.5 - 1).astype("float32")
    assert_near(
        layer(pixels), to_numpy(layer(scaled)), oracles.SAME_MATH_TOLERANCE
    )


@pytest.mark.parametrize(
    ("shape", "patch"), [((2, 6, 5, 3), (3, 5)), ((2, 4, 6, 5, 3), (2, 3, 5))]
)
@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_patches_are_what_is_embedded(rng, shape, patch, dtype):
    layer = video_layer(dtype="bfloat16")
    x = rng.integers(0, 256, size=shape).astype(dtype)
    assert layer.patch_of(len(shape)) == patch
    found = layer.patches(x, dtype="float32")
    assert_near(found, oracles.patch_values(x, patch), 1e-6)
    assert keras.backend.standardize_dtype(found.dtype) == "float32"
    found = layer.patches(x)
    assert keras.backend.standardize_dtype(found.dtype) == "bfloat16"


def test_uint8_runs_from_minus_one_to_one():
    layer = PatchEmbedding(1, (1,))
    layer.build()
    layer.projection.kernel.assign([[1.0]])
    pixels = np.array([[0, 255, 51]], "uint8")
    # 51 / 127.5 - 1 = -0.6
    assert_near(layer(pixels)[0, :, 0], [-1, 1, -0.6], 1e-6)


def test_float_input_is_not_scaled():
    layer = PatchEmbedding(1, (1,))
    layer.build()
    layer.projection.kernel.assign([[1.0]])
    values = np.array([[3.0, -200.0]], "float32")
    assert_near(layer(values)[0, :, 0], [3, -200], 1e-6)


@pytest.mark.parametrize(
    ("shape", "padded"),
    [
        ((2, 3, 7, 11, 3), (2, 4, 9, 15, 3)),
        ((2, 7, 11, 3), (2, 9, 15, 3)),
        ((2, 1, 2, 3, 3), (2, 2, 3, 5, 3)),
    ],
    ids=["video", "image", "smaller than one patch"],
)
def test_padding_same_appends_zeros(rng, shape, padded):
    layer = video_layer(rng, padding="same")
    x = rng.normal(size=shape).astype("float32")
    by_hand = np.zeros(padded, "float32")
    by_hand[tuple(slice(n) for n in shape)] = x
    np.testing.assert_allclose(
        to_numpy(layer(x)), to_numpy(layer(by_hand)), atol=1e-6
    )


def test_padding_same_pads_pixels_with_gray_not_black(rng):
    # Zero after scaling to [-1, 1], where 0 is gray.
    layer = video_layer(rng, padding="same")
    pixels = rng.integers(0, 256, size=(1, 2, 3, 3)).astype("uint8")
    scaled = (pixels / 127.5 - 1).astype("float32")
    assert_near(
        layer(pixels), to_numpy(layer(scaled)), oracles.SAME_MATH_TOLERANCE
    )


def test_padding_same_leaves_fitting_sizes_alone(rng):
    valid, same = video_layer(rng), video_layer(padding="same")
    same.set_weights(valid.get_weights())
    x = rng.normal(size=(1, 2, 3, 5, 3)).astype("float32")
    np.testing.assert_array_equal(to_numpy(valid(x)), to_numpy(same(x)))


@pytest.mark.parametrize(
    ("shape", "grid"),
    [
        ((None, 4, 9, 20, 3), (2, 3, 4)),
        ((None, 9, 20, 3), (1, 3, 4)),
    ],
    ids=["video", "image"],
)
def test_grid_counts_patches_per_axis(shape, grid):
    assert video_layer().grid(shape) == grid


def test_kernel_starts_with_variance_one_over_patch_values():
    layer = PatchEmbedding(31, (8, 8), num_channels=4)
    layer.build()
    # 8 * 8 * 4 = 256 values: a deviation of 1 / 16.
    assert abs(named_weights(layer)["projection/kernel"].std() - 1 / 16) < 2e-3


@pytest.mark.parametrize(
    ("shape", "text"),
    [
        (
            (2, 6, 5),
            "`inputs` must have shape (batch, frames, height, width, "
            "channels), or no frames axis for an image. Received: "
            "shape=(2, 6, 5).",
        ),
        (
            (2, 6, 5, 4),
            "`inputs` must have 3 channel(s) on the last axis. Received: "
            "shape=(2, 6, 5, 4).",
        ),
        (
            (2, 7, 5, 3),
            "`height` must be a multiple of the patch of 3. Received: "
            "height=7. Sizes that fit are 6 and 9; or set "
            'padding="same" to pad with zeros.',
        ),
        (
            (2, 4, 6, 11, 3),
            "`width` must be a multiple of the patch of 5. Received: "
            "width=11. Sizes that fit are 10 and 15; or set "
            'padding="same" to pad with zeros.',
        ),
        (
            (2, 2, 5, 3),
            "`height` must be at least one patch of 3. Received: height=2. "
            'Give 3 or more, or set padding="same" to pad with zeros.',
        ),
        (
            (2, 1, 6, 5, 3),
            "`frames` must be at least one patch of 2. Received: frames=1. "
            'Give 2 or more, or set padding="same" to pad with zeros.',
        ),
    ],
    ids=[
        "rank",
        "channels",
        "height of an image",
        "width of a video",
        "an image of less than one patch",
        "too few frames",
    ],
)
def test_an_input_that_does_not_fit_is_refused(shape, text):
    with pytest.raises(ValueError, match=re.escape(text)):
        video_layer()(np.zeros(shape, "float32"))


def test_a_spectrogram_of_the_wrong_rank_is_refused(rng):
    text = (
        "`inputs` must have shape (batch, frames, bins, channels). Received: "
        "shape=(2, 6)."
    )
    with pytest.raises(ValueError, match=re.escape(text)):
        audio_layer(rng)(np.zeros((2, 6), "float32"))


def test_an_axis_of_unknown_size_is_refused():
    text = (
        "The width axis of `inputs` must have a fixed size: only the batch, "
        "and the length of text, may be unknown. Received: "
        "shape=(None, 6, None, 3)."
    )
    with pytest.raises(ValueError, match=re.escape(text)):
        video_layer().grid((None, 6, None, 3))


def test_an_empty_axis_is_refused_with_padding_too():
    text = "`height` must be at least one patch of 3. Received: height=0."
    with pytest.raises(ValueError, match=re.escape(text)):
        video_layer(padding="same")(np.zeros((2, 0, 5, 3), "float32"))


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (
            {"padding": "full"},
            "`padding` must be one of ('valid', 'same'). Received: "
            "padding='full'.",
        ),
        (
            {"hidden_dim": 0},
            "`hidden_dim` must be greater than 0. Received: hidden_dim=0.",
        ),
        (
            {"num_channels": -1},
            "`num_channels` must be greater than 0. Received: num_channels=-1.",
        ),
    ],
    ids=["padding", "hidden_dim", "num_channels"],
)
def test_bad_arguments_are_refused(arguments, text):
    with pytest.raises(ValueError, match=re.escape(text)):
        PatchEmbedding(**{"hidden_dim": 7, "patch_size": (3,), **arguments})
