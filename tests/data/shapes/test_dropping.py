import re

import keras
import numpy as np
import pytest

import keras_imp
from keras_imp.data import drop_tokens
from keras_imp.layers.patch_embedding import patchify
from tests.helpers.weights import to_numpy


@pytest.fixture(scope="module")
def patchings():
    return keras_imp.IMPEncoder(
        8,
        16,
        1,
        2,
        modalities=("image", "video", "audio", "text"),
        vocabulary_size=11,
        patch_size=(4, 8, 8),
    ).patchings


def clips(rng, batch=5):
    return {"video": rng.integers(0, 256, (batch, 8, 32, 32, 3), "uint8")}


def test_kept_patches_are_patches_of_the_clip_in_order(rng, patchings):
    x = clips(rng)
    cut = drop_tokens(x, {"video": 0.75}, patchings, rng)["video"]
    whole = to_numpy(patchify(x["video"], (4, 8, 8)))
    assert cut["patches"].shape == (5, 8, 768)
    for patches, positions, every in zip(
        cut["patches"], cut["positions"], whole
    ):
        # Tables of (16, 32, 32) rows: 2 x 4 x 4 patches are 8 rows apart.
        places = (positions // 8) @ np.array([16, 4, 1])
        assert (np.diff(places) > 0).all()
        np.testing.assert_array_equal(patches, every[places])


def test_each_example_keeps_its_own_set(rng, patchings):
    positions = drop_tokens(clips(rng), {"video": 0.5}, patchings, rng)[
        "video"
    ]["positions"]
    assert len({row.tobytes() for row in positions}) == 5


def test_every_patch_is_kept_equally_often(patchings):
    x = {"audio": np.zeros((2000, 64, 32), "float32")}
    generator = np.random.default_rng(0)
    positions = drop_tokens(x, {"audio": 0.75}, patchings, generator)["audio"][
        "positions"
    ]
    # Tables of (64, 8) rows: 4 x 2 patches.
    counts = np.zeros((4, 2))
    np.add.at(counts, (positions[..., 0] // 16, positions[..., 1] // 4), 1)
    # 2000 draws with p = 1/4: a deviation of 19.4 around 500.
    assert (abs(counts - 500) < 80).all()


def test_the_same_generator_keeps_the_same_patches(rng, patchings):
    x = clips(rng)
    first, second = (
        drop_tokens(x, {"video": 0.5}, patchings, np.random.default_rng(3))
        for _ in range(2)
    )
    keras.tree.map_structure(np.testing.assert_array_equal, first, second)


def test_what_is_not_dropped_stays_as_it_is(rng, patchings):
    x = {**clips(rng), "text": np.ones((5, 3), int)}
    out = drop_tokens(x, {"video": 0.0}, patchings, rng)
    assert out["video"] is x["video"]
    assert out["text"] is x["text"]


@pytest.mark.parametrize(("rate", "share"), [(0.5, 0.5078), (0.75, 0.2539)])
def test_bytes_on_the_wire(rng, patchings, rate, share):
    x = clips(rng)
    cut = drop_tokens(x, {"video": rate}, patchings, rng)["video"]
    # A patch of 768 bytes comes with 3 positions of 4 bytes: 1.6 % more.
    sent = sum(array.nbytes for array in cut.values())
    assert sent / x["video"].nbytes == pytest.approx(share, abs=1e-4)
    assert sent / x["video"].nbytes == (1 - rate) * (768 + 12) / 768


@pytest.mark.parametrize(
    ("rates", "text"),
    [
        (
            {"video": 1.0},
            "`rates['video']` must be in [0, 1). Received: rates['video']=1.0.",
        ),
        (
            {"image": 0.5},
            "`rates` must name inputs of the batch, ('video', 'text'). "
            "Received: modality='image'.",
        ),
        (
            {"text": 0.5},
            "On the host, tokens can be dropped of inputs in patches only, "
            "('image', 'video', 'audio'). Received: modality='text'. Use "
            "`drop_tokens` of the task for the others.",
        ),
    ],
)
def test_bad_rates_are_refused(rng, patchings, rates, text):
    x = {**clips(rng), "text": np.ones((5, 3), int)}
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        drop_tokens(x, rates, patchings, rng)
