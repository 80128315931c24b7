"""Cross-validation: the folds divide train and validation, and no more."""

from collections import Counter

import numpy as np
import pytest

from keras_imp.data import playground

pytestmark = pytest.mark.one_backend

FOLDS = range(playground.FOLDS)
# Concepts of more images than this always train.
LARGEST_HELD_OUT = 20


@pytest.fixture(scope="module")
def folds():
    return [
        {
            name: playground.load(name, fold=fold)
            for name in ("train", "validation")
        }
        for fold in FOLDS
    ]


def hashes(arrays):
    return Counter(array.tobytes() for array in arrays)


def arrays_of(split):
    return [split.fashion.images, split.emoji.images, split.sounds.waveforms]


@pytest.mark.parametrize("fold", FOLDS)
def test_a_fold_holds_train_and_validation_once(splits, folds, fold):
    together = [
        arrays_of(part[name])
        for part in (splits, folds[fold])
        for name in ("train", "validation")
    ]
    for kind in range(3):
        whole, divided = (
            hashes(one[kind]) + hashes(other[kind])
            for one, other in (together[:2], together[2:])
        )
        assert whole == divided


@pytest.mark.parametrize("fold", FOLDS)
def test_nothing_of_the_test_split_is_in_a_fold(splits, folds, fold):
    test = splits["test"]
    for part in folds[fold].values():
        assert set(test.emoji.concepts).isdisjoint(part.emoji.concepts)
        assert set(test.sounds.instruments).isdisjoint(part.sounds.instruments)
        for mine, other in zip(arrays_of(test), arrays_of(part), strict=True):
            assert hashes(mine).keys().isdisjoint(hashes(other))


@pytest.mark.parametrize("fold", FOLDS)
def test_the_parts_of_a_fold_share_no_concept(folds, fold):
    train, validation = folds[fold]["train"], folds[fold]["validation"]
    assert set(train.emoji.concepts).isdisjoint(validation.emoji.concepts)
    assert set(train.sounds.instruments).isdisjoint(
        validation.sounds.instruments
    )


def test_every_concept_is_held_out_once_or_always_trains(splits, folds):
    sizes = Counter(
        splits["train"].emoji.concepts + splits["validation"].emoji.concepts
    )
    held_out = Counter(
        concept
        for part in folds
        for concept in set(part["validation"].emoji.concepts)
    )
    for concept, size in sizes.items():
        assert held_out[concept] == int(size <= LARGEST_HELD_OUT)


def test_every_instrument_is_held_out_once(splits, folds):
    every = [
        *splits["train"].sounds.instruments,
        *splits["validation"].sounds.instruments,
    ]
    held_out = Counter(
        instrument
        for part in folds
        for instrument in set(part["validation"].sounds.instruments)
    )
    assert held_out == Counter(set(every))


def test_every_family_trains_in_every_fold(folds):
    for part in folds:
        assert set(part["train"].sounds.families) == set(playground.FAMILIES)


def test_folds_are_of_about_equal_size(folds):
    held_out = [part["validation"] for part in folds]
    for split in held_out:
        assert (np.bincount(split.fashion.labels) == 180).all()
    emoji = [len(split.emoji.images) for split in held_out]
    assert max(emoji) - min(emoji) < 10
    flags = [split.emoji.is_flag.sum() for split in held_out]
    assert max(flags) - min(flags) < 5
    sounds = [len(split.sounds.waveforms) for split in held_out]
    assert max(sounds) < 1.25 * min(sounds)


@pytest.mark.parametrize("part", ["train", "validation"])
def test_styles_follow_their_emoji(splits, folds, part):
    drawn = {
        (name, style): drawings.images[position].tobytes()
        for split in (splits["train"], splits["validation"])
        for style, drawings in split.emoji.styles.items()
        for name, position in names_of(split.emoji, drawings)
    }
    emoji = folds[3][part].emoji
    for style, drawings in emoji.styles.items():
        for name, position in names_of(emoji, drawings):
            image = drawings.images[position]
            assert image.tobytes() == drawn[name, style]


def names_of(emoji, drawings):
    return [
        (emoji.short_names[row], position)
        for position, row in enumerate(drawings.rows)
    ]


@pytest.mark.parametrize("fold", [5, -1, 1.5, "0"])
def test_unknown_fold(fold):
    with pytest.raises(ValueError, match="fold") as error:
        playground.load("train", fold=fold)
    assert str(error.value) == (
        "`fold` must be None or an integer from 0 to 4. "
        f"Received: fold={fold!r}. Use one of `range(playground.FOLDS)`."
    )


def test_the_test_split_has_no_folds():
    with pytest.raises(ValueError, match="test split") as error:
        playground.load("test", fold=0)
    assert str(error.value) == (
        "Folds divide the training and validation splits; the test split is "
        "one. Received: split='test', fold=0. Leave `fold` out, or load "
        "another split."
    )
