"""Drawings in other styles, and the sources that only test."""

import numpy as np
import pytest

from keras_imp.data import playground

pytestmark = pytest.mark.one_backend

# Drawings in train and in validation.
COUNTS = {
    "noto-v1": (905, 75),
    "fluent-flat": (1_172, 111),
    "fluent-gradient": (1_172, 111),
    "fluent-3d": (1_152, 110),
    "fluent-high-contrast": (1_172, 111),
    "circle-flags": (196, 24),
    "flag-icons": (195, 24),
    "flagpack": (188, 22),
}
FLAG_STYLES = ("circle-flags", "flag-icons", "flagpack")


@pytest.fixture(scope="module")
def unseen_style():
    return playground.load_unseen_style()


@pytest.fixture(scope="module")
def unseen_sounds():
    return playground.load_unseen_sounds()


@pytest.mark.parametrize("part", [0, 1])
def test_counts_and_types(splits, part):
    emoji = splits[playground.SPLITS[part]].emoji
    assert list(emoji.styles) == list(COUNTS)
    for style, drawings in emoji.styles.items():
        count = COUNTS[style][part]
        assert drawings.rows.shape == (count,)
        assert drawings.rows.dtype == np.int32
        assert (np.diff(drawings.rows) > 0).all()
        assert 0 <= drawings.rows[0] <= drawings.rows[-1] < len(emoji.images)
        assert drawings.images.shape == (count, 32, 32, 3)
        assert drawings.images.dtype == np.uint8


def test_the_test_split_is_in_one_style(splits):
    assert splits["test"].emoji.styles == {}


def test_flag_styles_draw_flags(splits):
    emoji = splits["train"].emoji
    for style in FLAG_STYLES:
        assert emoji.is_flag[emoji.styles[style].rows].all()


@pytest.mark.parametrize("style", COUNTS)
def test_drawings_stand_on_white_with_64_levels(splits, style):
    images = splits["train"].emoji.styles[style].images
    corners = images[:, [0, 0, -1, -1], [0, -1, 0, -1]]
    assert (corners == 255).all(axis=-1).mean() > 0.75
    assert len(np.unique(images)) <= 64
    # No drawing is blank.
    assert (images.min(axis=(1, 2, 3)) < 255).all()


@pytest.mark.parametrize(
    "style", [style for style in COUNTS if "contrast" not in style]
)
def test_drawings_belong_to_their_emoji(splits, style):
    # Artists agree on colors: a drawing's are nearer to those of its own
    # emoji than to those of the next one.
    emoji = splits["train"].emoji
    drawings = emoji.styles[style]
    own = emoji.images[drawings.rows].mean(axis=(1, 2))
    color = drawings.images.mean(axis=(1, 2))
    here = np.abs(color - own).mean()
    elsewhere = np.abs(color - np.roll(own, 1, axis=0)).mean()
    assert here < 0.8 * elsewhere


def test_black_outlines_have_no_color(splits, unseen_style):
    outlines = splits["train"].emoji.styles["fluent-high-contrast"].images
    for images in (outlines, unseen_style.images):
        assert np.array_equal(images[..., 0], images[..., 2])


def test_words_are_from_the_unicode_consortium(splits):
    for split in splits.values():
        emoji = split.emoji
        assert all(emoji.short_names)
        assert all(emoji.keywords)
        assert all(name == name.lower() for name in emoji.short_names)
    # Two everyday names may be alike, the short names are not.
    every = [n for s in splits.values() for n in s.emoji.short_names]
    assert len(set(every)) == len(every) == 1_906


def test_unseen_style(splits, unseen_style):
    test = splits["test"].emoji
    assert unseen_style.images.shape == (219, 32, 32, 3)
    assert unseen_style.styles == {}
    assert not unseen_style.is_flag.any()
    for place in range(0, 219, 20):
        row = test.names.index(unseen_style.names[place])
        assert unseen_style.captions[place] == test.captions[row]
        assert unseen_style.concepts[place] == test.concepts[row]
        assert unseen_style.keywords[place] == test.keywords[row]


def test_unseen_sounds(splits, unseen_sounds):
    test = splits["test"].sounds
    assert unseen_sounds.waveforms.shape == (313, 16_384)
    assert unseen_sounds.waveforms.dtype == np.float32
    assert set(unseen_sounds.instruments) <= set(test.instruments)
    family = dict(zip(test.instruments, test.families, strict=True))
    assert unseen_sounds.families == [
        family[instrument] for instrument in unseen_sounds.instruments
    ]
    assert [
        playground.FAMILIES[label] for label in unseen_sounds.family_labels
    ] == unseen_sounds.families


def test_unseen_sounds_are_loud_and_aligned(unseen_sounds):
    peaks = np.abs(unseen_sounds.waveforms).max(axis=1)
    assert peaks.min() > 0.2
    assert 0.8 < np.median(peaks) <= 1.0
    end = np.abs(unseen_sounds.waveforms[:, -16:]).max(axis=1)
    assert np.median(end) < 0.02


def test_unseen_notes(unseen_sounds):
    for instrument, count in (("cello", 111), ("pizzicato strings", 174)):
        notes = [
            note
            for note, name in zip(
                unseen_sounds.notes, unseen_sounds.instruments, strict=True
            )
            if name == instrument
        ]
        assert len(notes) == count
        assert all(notes)
