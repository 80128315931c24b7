"""Inputs that were cut into patches on the host."""

import re

import keras
import numpy as np
import pytest

from keras_imp.layers.patch_embedding import patchify
from tests.helpers import layer_oracles as oracles
from tests.helpers.encoders import ALL, BATCH, TOKENS, all_inputs, small_encoder
from tests.helpers.weights import copy_weights, to_numpy
from tests.models.test_imp_encoder import assert_equal_features

DENSE = [name for name in ALL if name != "text"]
KEPT = 3
# The same numbers through the same products, gathered earlier or later.
SAME_TOKENS = 1e-6


@pytest.fixture(scope="module")
def encoder():
    keras.utils.set_random_seed(7)
    return small_encoder()


def draw_kept(rng, name):
    kept = rng.random((BATCH, TOKENS[name])).argsort(axis=1)[:, :KEPT]
    return np.sort(kept, axis=1).astype("int32")


def pixels(rng, name):
    shape = {"image": (6, 10, 3), "video": (4, 6, 10, 3)}[name]
    return rng.integers(0, 256, (BATCH, *shape), dtype="uint8")


@pytest.mark.parametrize("name", DENSE)
def test_a_cut_input_equals_the_kept_tokens_of_the_whole(encoder, rng, name):
    whole, kept = all_inputs(rng)[name], draw_kept(rng, name)
    cut = encoder.patchings[name].cut(whole, kept)
    assert_equal_features(
        encoder({name: cut}),
        encoder({name: whole}, kept={name: kept}),
        SAME_TOKENS,
    )


@pytest.mark.parametrize("name", ["image", "video"])
@pytest.mark.parametrize("variant", ["fixed", "imp"])
def test_cut_pixels_stay_uint8(rng, name, variant):
    encoder = small_encoder(("image", "video"), variant=variant)
    whole, kept = pixels(rng, name), draw_kept(rng, name)
    cut = encoder.patchings[name].cut(whole, kept)
    assert cut["patches"].dtype == "uint8"
    assert cut["positions"].dtype == "int32"
    assert_equal_features(
        encoder({name: cut}),
        encoder({name: whole}, kept={name: kept}),
        SAME_TOKENS,
    )


@pytest.mark.parametrize("pooling", ["token", "attention"])
def test_every_pooling_takes_cut_inputs(rng, pooling):
    encoder = small_encoder(("video",), pooling=pooling)
    whole, kept = pixels(rng, "video"), draw_kept(rng, "video")
    cut = encoder.patchings["video"].cut(whole, kept)
    assert_equal_features(
        encoder({"video": cut}),
        encoder({"video": whole}, kept={"video": kept}),
        SAME_TOKENS,
    )


def test_mixed_precision_takes_cut_inputs(encoder, rng):
    half = small_encoder(dtype="mixed_bfloat16")
    copy_weights(encoder, half)
    whole, kept = pixels(rng, "video"), draw_kept(rng, "video")
    cut = {"video": encoder.patchings["video"].cut(whole, kept)}
    found = half(cut)["video"]["sequence_output"]
    assert keras.backend.standardize_dtype(found.dtype) == "bfloat16"
    error = to_numpy(found) - to_numpy(encoder(cut)["video"]["sequence_output"])
    assert abs(error).mean() < oracles.BFLOAT16_TOLERANCE


def test_a_cut_input_may_lose_more_tokens_in_the_model(encoder, rng):
    whole, kept = pixels(rng, "video"), draw_kept(rng, "video")
    cut = encoder.patchings["video"].cut(whole, kept)
    rest = np.array([[0, 2], [1, 2], [0, 1]])
    assert_equal_features(
        encoder({"video": cut}, kept={"video": rest}),
        encoder(
            {"video": whole},
            kept={"video": np.take_along_axis(kept, rest, axis=1)},
        ),
        SAME_TOKENS,
    )


def test_cut_inputs_pass_symbolic_and_compiled_calls(encoder, rng):
    whole, kept = pixels(rng, "video"), draw_kept(rng, "video")
    cut = {"video": encoder.patchings["video"].cut(whole, kept)}
    symbols = keras.tree.map_structure(
        lambda x: keras.Input(x.shape[1:], dtype=x.dtype.name), cut
    )
    symbolic = encoder(symbols)["video"]["sequence_output"]
    assert symbolic.shape == (None, KEPT, 10)
    compiled = encoder.predict(cut, batch_size=BATCH, verbose=0)
    assert_equal_features(compiled, encoder(cut), 1e-5)


@pytest.mark.parametrize("name", DENSE)
def test_a_cut_holds_the_patches_and_their_rows(encoder, rng, name):
    whole, patching = all_inputs(rng)[name], encoder.patchings[name]
    every = np.tile(np.arange(TOKENS[name]), (BATCH, 1))
    cut = patching.cut(whole, every)
    channels = whole if name in ("image", "video") else whole[..., None]
    np.testing.assert_array_equal(
        cut["patches"], to_numpy(patchify(channels, patching.patch_size))
    )
    np.testing.assert_array_equal(cut["positions"][0], POSITIONS[name])


# Rows i * buckets // count: 2 patches on 7 rows are at 0 and 3, and so on.
POSITIONS = {
    "image": [(0, v, h) for v in (0, 3) for h in (0, 5)],
    "video": [(t, v, h) for t in (0, 2) for v in (0, 3) for h in (0, 5)],
    "audio": [(t, s) for t in (0, 1, 3) for s in (0, 1)],
    "waveform": [(0,), (2,), (5,), (7,), (10,)],
}


@pytest.mark.parametrize("name", ALL)
def test_the_number_of_tokens_of_an_input(encoder, rng, name):
    shape = all_inputs(rng)[name].shape
    assert encoder.num_tokens(name, shape) == TOKENS[name]
    assert encoder.num_tokens(name, (None, *shape[1:])) == TOKENS[name]


def test_the_number_of_tokens_of_a_text_of_any_length(encoder):
    assert encoder.num_tokens("text", (None, None)) is None


# What does not fit ----------------------------------------------------------

FIT = "Cut it for this encoder, with keras_imp.data.drop_tokens."
CUT = {
    "patches": np.zeros((2, 3, 90), "uint8"),
    "positions": np.zeros((2, 3, 3), "int32"),
}
SHAPES = (
    "The input 'video' must have patches (batch, kept, 90) and positions "
    "(batch, kept, 3). Received: "
)
BAD_CUTS = {
    "text": (
        "text",
        CUT,
        "The input 'text' must be an array: only inputs in patches, ('image', "
        "'video', 'audio', 'waveform'), can be patchified on the host. "
        "Received: keys=['patches', 'positions'].",
    ),
    "other keys": (
        "video",
        {"patches": CUT["patches"]},
        "The input 'video' must be an array, or a dict of 'patches' and "
        "'positions'. Received: keys=['patches']. Use "
        "keras_imp.data.drop_tokens.",
    ),
    "another patch": (
        "video",
        {**CUT, "patches": np.zeros((2, 3, 45), "uint8")},
        f"{SHAPES}patches=(2, 3, 45), positions=(2, 3, 3). {FIT}",
    ),
    "fewer axes": (
        "video",
        {**CUT, "positions": np.zeros((2, 3, 2), "int32")},
        f"{SHAPES}patches=(2, 3, 90), positions=(2, 3, 2). {FIT}",
    ),
    "another number of positions": (
        "video",
        {**CUT, "positions": np.zeros((2, 4, 3), "int32")},
        f"{SHAPES}patches=(2, 3, 90), positions=(2, 4, 3). {FIT}",
    ),
}
BAD_ROWS = {
    "positions that are no integers": (
        {**CUT, "positions": np.zeros((2, 3, 3), "float32")},
        "The positions of 'video' must be integers, rows of the position "
        "tables. Received: dtype='float32'.",
    ),
    "positions outside the tables": (
        {**CUT, "positions": np.full((2, 3, 3), 5)},
        "The positions of 'video' must be rows of the position tables, below "
        "(5, 7, 11). Received: lowest=(5, 5, 5), highest=(5, 5, 5). Cut the "
        "input for this encoder, with keras_imp.data.drop_tokens.",
    ),
    "negative positions": (
        {**CUT, "positions": np.full((2, 3, 3), -1)},
        "The positions of 'video' must be rows of the position tables, below "
        "(5, 7, 11). Received: lowest=(-1, -1, -1), highest=(-1, -1, -1). Cut "
        "the input for this encoder, with keras_imp.data.drop_tokens.",
    ),
}


@pytest.mark.parametrize("bad", BAD_CUTS.values(), ids=BAD_CUTS.keys())
@pytest.mark.parametrize("how", ["call", "check_inputs"])
def test_a_cut_that_does_not_fit_is_refused(encoder, bad, how):
    name, cut, text = bad
    function = encoder if how == "call" else encoder.check_inputs
    with pytest.raises(ValueError, match=re.escape(text)):
        function({name: cut})


@pytest.mark.parametrize("bad", BAD_ROWS.values(), ids=BAD_ROWS.keys())
def test_rows_that_do_not_fit_are_refused_on_the_host(encoder, bad):
    cut, text = bad
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        encoder.check_inputs({"video": cut})


def test_faithful_rows_may_be_one_beyond_the_table():
    encoder = small_encoder(("video",), variant="imp")
    rows = np.broadcast_to(np.array([5, 7, 11]), (2, 3, 3))
    encoder.check_inputs({"video": {**CUT, "positions": rows}})


@pytest.mark.parametrize("how", ["call", "check_inputs"])
def test_cut_inputs_cannot_be_interpolated(how):
    encoder = small_encoder(("video",), interpolate_positions=True)
    function = encoder if how == "call" else encoder.check_inputs
    with pytest.raises(ValueError, match="Rows must not be given to a pos"):
        function({"video": CUT})


def test_a_size_that_patches_do_not_divide_is_not_cut():
    encoder = small_encoder(("image",), padding="same")
    text = (
        "Each axis of 'image' must be a multiple of its patch to be "
        "patchified on the host. Received: size=(7, 10), patch_size=(3, 5). "
        "Choose another size, or drop tokens in the model, with `drop_tokens` "
        "of the task."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        encoder.patchings["image"].cut(np.zeros((2, 7, 10, 3)), np.array([[0]]))
