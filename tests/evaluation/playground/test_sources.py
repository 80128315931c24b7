"""What the playground's tasks train on."""

import dataclasses

import numpy as np
import pytest

from keras_imp.data.augment import Draws
from keras_imp.evaluation.playground import sources
from keras_imp.evaluation.playground.recipe import RECIPE
from keras_imp.evaluation.playground.splits import load_split

pytestmark = pytest.mark.one_backend

# One copy of the recordings only: the others take seconds.
QUICK = dataclasses.replace(RECIPE, semitones=(2.0,))


def ids(texts):
    """A tokenizer without a vocabulary: lengths of texts."""
    return np.array([[len(text)] for text in texts], "int32")


@pytest.fixture(scope="module")
def split():
    return load_split("validation")


@pytest.fixture(scope="module")
def made(split):
    return sources.training_sources(split, ids, QUICK, seed=0)


def test_every_task_has_batches_of_its_size(made):
    assert list(made) == list(RECIPE.weights)
    for name, source in made.items():
        x = source.batch_at(0)[0]
        assert {len(v) for v in x.values()} == {RECIPE.batch_sizes[name]}


def test_inputs_are_what_the_encoder_takes(made):
    x = {name: source.batch_at(3)[0] for name, source in made.items()}
    assert x["objects"]["image"].dtype == np.uint8
    assert x["captions"]["image"].dtype == np.uint8
    assert x["captions"]["image"].shape[1:] == (32, 32, 3)
    assert x["sounds"]["audio"].dtype == np.float32
    assert x["sounds"]["audio"].shape[1:] == (64, 64)
    assert x["clips"]["video"].shape[1:] == (8, 32, 32, 3)
    assert x["captions"]["text"].dtype == np.int32


def test_parts_have_their_targets(made, split):
    (_, y) = made["captions"].batch_at(0)
    assert set(y) == {"kinds", "texts"}
    assert set(y["kinds"]) <= set(split.kinds)
    # Texts match by kind.
    assert np.array_equal(y["kinds"], y["texts"])
    (_, y) = made["sounds"].batch_at(0)
    assert set(y) == {"families", "texts"}


def test_texts_may_match_their_own_example_only(split):
    recipe = dataclasses.replace(QUICK, match_kinds=False)
    made = sources.training_sources(split, ids, recipe, seed=0)
    assert set(made["captions"].batch_at(0)[1]) == {"kinds"}


@pytest.mark.parametrize(
    ("objectives", "targets"),
    [(("captions/texts",), {"texts"}), (("captions/kinds",), {"kinds"})],
)
def test_only_what_is_learned_is_there(split, objectives, targets):
    (source,) = sources.training_sources(
        split, ids, QUICK, 0, objectives
    ).values()
    batch = source.batch_at(0)
    found = set(batch[1]) if len(batch) > 1 else None
    assert found == targets


def test_a_batch_is_a_function_of_its_number(made, split):
    again = sources.training_sources(split, ids, QUICK, seed=0)
    for name, source in made.items():
        first, second = source.batch_at(2)[0], again[name].batch_at(2)[0]
        for modality, values in first.items():
            assert np.array_equal(values, second[modality])


def test_images_come_in_all_styles_half_of_them_in_the_own(split):
    emoji = split.source.emoji
    drawings = sources._Drawings(emoji, own_style=0.5)
    row = next(
        i
        for i in range(len(emoji.names))
        if not emoji.is_flag[i]
        and sum(i in style.rows for style in emoji.styles.values()) > 2
    )
    rows = np.full(400, row)
    images = drawings.draw(rows, Draws(0, 0, 400))
    own = emoji.images[row]
    is_own = [
        np.array_equal(image, own) or np.array_equal(image, own[:, ::-1])
        for image in images
    ]
    assert 0.4 < np.mean(is_own) < 0.6
    assert len(np.unique(images.reshape(400, -1), axis=0)) > 4


def test_a_flag_is_not_mirrored(split):
    emoji = split.source.emoji
    row = int(np.flatnonzero(emoji.is_flag)[0])
    drawings = sources._Drawings(emoji, own_style=1.0)
    images = drawings.draw(np.full(50, row), Draws(0, 0, 50))
    assert np.array_equal(images, np.stack([emoji.images[row]] * 50))
