"""Which patches are hidden, how they are decoded, and what counts."""

import re

import keras
import numpy as np
import pytest
from keras import ops

from keras_imp.tasks import MaskedModeling
from keras_imp.tasks.masked.patches import z_score
from tests.helpers import layer_oracles
from tests.helpers import task_oracles as oracles
from tests.helpers.compiled import in_one
from tests.helpers.encoders import (
    BATCH,
    SMALL,
    TOKENS,
    all_inputs,
    small_encoder,
)
from tests.helpers.gradients import gradients
from tests.helpers.masked import DECODER, built, call, is_float32, loss_of
from tests.helpers.weights import assert_near, randomize, to_numpy

PATCHES = {
    "image": SMALL["patch_size"][1:],
    "video": SMALL["patch_size"],
    "audio": SMALL["audio_patch_size"],
    "waveform": (SMALL["waveform_patch_size"],),
}
MODALITIES = list(PATCHES)


def patch_values(modality, values):
    """Values of each patch in NumPy, (batch, tokens, values)."""
    if modality in ("audio", "waveform"):
        values = values[..., None]
    return layer_oracles.patch_values(values, PATCHES[modality])


def take(values, positions):
    return np.take_along_axis(values, positions[..., None], 1)


# What is hidden -------------------------------------------------------------


@pytest.mark.parametrize("modality", MODALITIES)
def test_the_encoder_gets_the_others_and_only_those(rng, modality):
    task, encoder = built(modality)
    out, _, visible = call(task, encoder, all_inputs(rng)[modality])
    tokens = TOKENS[modality]
    assert visible.shape == (BATCH, max(1, tokens // 4))
    both = np.concatenate([visible, out["positions"]], axis=1)
    np.testing.assert_array_equal(
        np.sort(both, axis=1), np.tile(np.arange(tokens), (BATCH, 1))
    )
    for part in (visible, out["positions"]):
        np.testing.assert_array_equal(part, np.sort(part, axis=1))
    values = int(np.prod(PATCHES[modality]))
    channels = 3 if modality in ("image", "video") else 1
    assert out["patches"].shape == (*out["positions"].shape, values * channels)


def test_each_example_and_each_step_has_its_own_draw():
    task, _ = built("image")
    image = np.zeros((8, 12, 20, 3), "float32")
    first, second = (call(task, None, image)[0]["positions"] for _ in range(2))
    assert (first != second).any()
    assert len({row.tobytes() for row in first}) > 1


def test_a_seed_gives_the_same_draws_and_evaluation_needs_none():
    image = np.zeros((8, 12, 20, 3), "float32")
    drawn = {}
    for seed in (1, 1, 2):
        task, _ = built("image", seed=seed)
        for training in (False, True, False):
            out, _, _ = call(task, None, image, training)
            key = (seed if training else None, training)
            drawn.setdefault(key, []).append(out["positions"].tolist())
    for same in drawn.values():
        assert all(positions == same[0] for positions in same)
    assert drawn[1, True][0] != drawn[2, True][0]


@pytest.mark.parametrize(
    ("rate", "tokens", "visible"),
    [(0.75, 16, 4), (0.75, 3, 1), (0.5, 5, 2), (0.9, 4, 1), (0.01, 4, 3)],
)
def test_some_patches_are_seen_and_some_hidden(rate, tokens, visible):
    task = MaskedModeling("a", "image", mask_rate=rate, **DECODER)
    assert task.objective.num_visible(tokens) == visible


def test_hidden_pixels_do_not_reach_the_prediction(rng):
    task, encoder = built("image")
    image = rng.normal(size=(BATCH, 6, 10, 3)).astype("float32")
    first, _, _ = call(task, encoder, image, training=False)
    changed = image.copy()
    for example, positions in zip(changed, first["positions"]):
        for position in positions:
            row, column = divmod(int(position), 2)
            example[3 * row : 3 * row + 3, 5 * column : 5 * column + 5] += 9
    second, _, _ = call(task, encoder, changed, training=False)
    np.testing.assert_array_equal(second["patches"], first["patches"])
    assert (changed != image).any()


# What is predicted ----------------------------------------------------------


@pytest.mark.parametrize("modality", ["video", "audio"])
def test_the_decoder_puts_tokens_in_their_places(rng, modality):
    task, encoder = built(modality)
    decoder = task.objective
    randomize(task, rng)
    values = all_inputs(rng)[modality]
    out, _, visible = call(task, encoder, values, training=False)
    features = in_one(encoder)({modality: values}, kept={modality: visible})
    entered = to_numpy(decoder.enter(features[modality]["sequence_output"]))
    # A grid full of mask tokens, with what was seen in its places.
    width = DECODER["decoder_dim"]
    tokens = np.tile(to_numpy(decoder.mask_token), (BATCH, TOKENS[modality], 1))
    for row, at, seen in zip(tokens, visible, entered):
        row[at] = seen
    assert tokens.shape[-1] == width
    grid = encoder.embedder_of(modality).grid(values.shape)

    def after(tokens):
        x = decoder.positions(tokens, grid=grid)
        return decoder.leave(decoder.norm(decoder.stack(x)))

    x = in_one(decoder, after)(ops.array(tokens))
    expected = take(to_numpy(x), out["positions"])
    np.testing.assert_allclose(out["patches"], expected, rtol=1e-4, atol=1e-4)


def test_mask_tokens_know_where_they_are(rng):
    task, encoder = built("image")
    out, _, _ = call(task, encoder, all_inputs(rng)["image"])
    out = out["patches"]
    # Without positions, all hidden patches of an example would look alike.
    differences = np.abs(out[:, :1] - out[:, 1:]).max(-1)
    assert differences.min() > 1e-3


@pytest.mark.parametrize("modality", MODALITIES)
@pytest.mark.parametrize("normalize", [True, False])
def test_the_loss_equals_the_oracle(rng, modality, normalize):
    task, encoder = built(modality, normalize_targets=normalize)
    values = all_inputs(rng)[modality]
    weights = rng.uniform(0, 2, BATCH)
    out, _, _ = call(task, encoder, values)
    found = [loss_of(task, values, out, w) for w in (None, weights)]
    targets = take(patch_values(modality, values), out["positions"])
    losses = oracles.masked_patch_loss(targets, out["patches"], normalize)
    for actual, w in zip(found, (None, weights)):
        expected = oracles.weighted_mean(losses, w)
        assert_near(actual, expected, oracles.TOLERANCE)
        assert is_float32(actual)


def test_pixels_are_scaled_as_the_encoder_gets_them(rng):
    task, encoder = built("image", normalize_targets=False)
    image = rng.integers(0, 256, size=(BATCH, 6, 10, 3)).astype("uint8")
    out, _, _ = call(task, encoder, image)
    found = loss_of(task, image, out)
    targets = take(patch_values("image", image), out["positions"])
    expected = oracles.masked_patch_loss(targets, out["patches"], False).mean()
    assert_near(found, expected, oracles.TOLERANCE)


def test_visible_patches_do_not_count(rng):
    task, encoder = built("waveform")
    wave = all_inputs(rng)["waveform"]
    out, _, visible = call(task, encoder, wave)
    changed = wave.copy().reshape(BATCH, 5, 7)
    for row, at in zip(changed, visible):
        row[at] += 3
    losses = [
        float(loss_of(task, x, out)) for x in (wave, changed.reshape(BATCH, 35))
    ]
    assert losses[0] == losses[1]


def test_a_patch_of_one_colour_is_zero_however_it_is_rounded():
    values = np.array([0.1, 1 / 3, 100 / 127.5 - 1, -1.0], "float32")
    flat = np.repeat(values[:, None], 192, axis=1)
    assert np.abs(to_numpy(z_score(ops.array(flat)))).max() < 1e-3


# What learns ----------------------------------------------------------------


def test_hidden_pixels_get_no_gradient_through_the_encoder(rng):
    task, encoder = built("waveform")
    wave = all_inputs(rng)["waveform"]
    _, _, visible = call(task, encoder, wave, training=False)
    wave = keras.Variable(wave)

    def total():
        out = task({"waveform": wave.value}, encoder=encoder)
        return ops.sum(ops.square(out["patches"]))

    (slope,) = gradients(total, [wave])
    reached = np.abs(slope).reshape(BATCH, 5, 7).max(-1) > 0
    expected = np.zeros((BATCH, 5), bool)
    for row, at in zip(expected, visible):
        row[at] = True
    np.testing.assert_array_equal(reached, expected)


# Arguments ------------------------------------------------------------------


@pytest.mark.parametrize("interpolate", [False, True])
def test_positions_are_those_of_the_encoder_in_another_width(interpolate):
    encoder = small_encoder(("video",), interpolate_positions=interpolate)
    task, _ = built("video", encoder)
    own = task.objective.positions
    assert own.buckets == SMALL["position_buckets"]
    assert own.interpolate == interpolate
    assert own.tables[0].shape == (5, DECODER["decoder_dim"])


def test_an_example_of_one_patch_is_refused():
    task, _ = built("image")
    text = (
        "An example must have at least 2 patches: one to see and one to "
        "rebuild. Received: grid=(1, 1, 1). Use larger inputs or smaller "
        "patches."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        task.check_batch({"image": np.zeros((2, 3, 5, 3))}, None)


def test_patches_dropped_on_the_host_are_refused():
    task, _ = built("image")
    cut = {"patches": np.zeros((2, 3, 45)), "positions": np.zeros((2, 3, 3))}
    text = (
        "Masked modeling must get all patches of an input: it masks some "
        "itself. Received: keys=['patches', 'positions']. Do not drop tokens "
        "on the host for this task."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        task.check_batch({"image": cut}, None)


def test_dropping_tokens_in_the_task_is_refused():
    text = (
        "Masked modeling must get all tokens of an input: it masks some "
        "itself. Received: drop_tokens={'image': 0.5}. Use `mask_rate` "
        "instead."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        MaskedModeling("a", "image", drop_tokens={"image": 0.5})
