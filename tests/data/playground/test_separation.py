"""Nothing is in two splits: no picture, drawing, recording or concept."""

import itertools

import numpy as np
import pytest

from keras_imp.data import playground

pytestmark = pytest.mark.one_backend

PAIRS = list(itertools.combinations(playground.SPLITS, 2))

# Values of 255: up to this mean difference, two tiles are one drawing.
SAME_DRAWING = 2.0
# Two codings of one recording correlate above 0.999.
SAME_RECORDING = 0.95


def tiles(emoji):
    """Every picture of some emoji, in every style."""
    drawings = [drawn.images for drawn in emoji.styles.values()]
    return np.concatenate([emoji.images, *drawings])


@pytest.fixture(scope="module")
def all_tiles(splits):
    found = {name: tiles(split.emoji) for name, split in splits.items()}
    unseen = playground.load_unseen_style().images
    found["test"] = np.concatenate([found["test"], unseen])
    return found


def block_means(images):
    """Means of 4x4 pixels: they differ by no more than the pixels do."""
    blocks = images.reshape(len(images), 8, 4, 8, 4, 3)
    return blocks.mean(axis=(2, 4), dtype="float32").reshape(len(images), -1)


def same_drawings(first, second):
    small = block_means(second)
    for image, mean in zip(first, block_means(first), strict=True):
        near = np.abs(small - mean).mean(axis=1) <= SAME_DRAWING
        exact = np.abs(second[near].astype("int16") - image).mean(
            axis=(1, 2, 3)
        )
        yield bool((exact <= SAME_DRAWING).any())


def unit(waveforms):
    centered = waveforms - waveforms.mean(axis=1, keepdims=True)
    return centered / np.linalg.norm(centered, axis=1, keepdims=True)


@pytest.mark.parametrize(("first", "second"), PAIRS)
def test_no_fashion_picture_is_in_two_splits(splits, first, second):
    seen = [
        {image.tobytes() for image in splits[name].fashion.images}
        for name in (first, second)
    ]
    assert seen[0].isdisjoint(seen[1])


@pytest.mark.parametrize(("first", "second"), PAIRS)
def test_no_tile_of_any_style_is_in_two_splits(all_tiles, first, second):
    seen = [
        {tile.tobytes() for tile in all_tiles[name]} for name in (first, second)
    ]
    assert seen[0].isdisjoint(seen[1])


@pytest.mark.parametrize(("first", "second"), PAIRS)
def test_no_drawing_is_nearly_in_two_splits(all_tiles, first, second):
    assert not any(same_drawings(all_tiles[second], all_tiles[first]))


@pytest.mark.parametrize(("first", "second"), PAIRS)
def test_no_recording_is_in_two_splits(splits, first, second):
    waveforms = [
        unit(splits[name].sounds.waveforms) for name in (first, second)
    ]
    assert np.abs(waveforms[0] @ waveforms[1].T).max() < SAME_RECORDING


def test_unseen_sounds_are_new_recordings(splits):
    unseen = unit(playground.load_unseen_sounds().waveforms)
    for split in splits.values():
        known = unit(split.sounds.waveforms)
        assert np.abs(unseen @ known.T).max() < SAME_RECORDING


@pytest.mark.parametrize(
    ("kind", "column"),
    [("emoji", "concepts"), ("emoji", "names"), ("sounds", "instruments")],
)
def test_no_concept_is_in_two_splits(splits, kind, column):
    values = [
        set(getattr(getattr(split, kind), column)) for split in splits.values()
    ]
    assert sum(map(len, values)) == len(set().union(*values))


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("woman surfing", "surfer"),
        ("mouse", "mouse face"),
        ("clock face one oclock", "clock face twelve-thirty"),
        ("red apple", "green apple"),
        ("runner", "woman running facing right"),
        # The same drawing under two names.
        ("norway flag", "bouvet island flag"),
        ("australia flag", "heard & mcdonald islands flag"),
        ("water polo", "man playing water polo"),
        # Two drawings that differ in a few pixels.
        ("smiling face with horns", "imp"),
    ],
)
def test_variants_share_a_concept(splits, first, second):
    concepts = {}
    for split in splits.values():
        emoji = split.emoji
        concepts |= dict(zip(emoji.names, emoji.concepts, strict=True))
    assert concepts[first] == concepts[second]
