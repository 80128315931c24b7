"""Captions that are written anew for each batch."""

import dataclasses

import numpy as np
import pytest

from keras_imp.data import playground
from keras_imp.data.augment import Draws
from keras_imp.evaluation.playground.captions import (
    category_words,
    clip_captions,
    emoji_captions,
    train_tokenizer,
)
from keras_imp.evaluation.playground.recipe import RECIPE
from keras_imp.evaluation.playground.splits import source_of

pytestmark = pytest.mark.one_backend

WHOLE = dataclasses.replace(RECIPE, dropped_words=0.0)


def captions(rows, index=0, recipe=WHOLE):
    emoji = source_of("validation").emoji
    draws = Draws(0, index, rows)
    return emoji_captions(np.array(rows), draws, emoji=emoji, recipe=recipe)


def test_a_caption_says_what_is_known_of_the_emoji():
    emoji = source_of("validation").emoji
    for index in range(40):
        (caption,) = captions([5], index)
        known = [
            emoji.names[5],
            emoji.short_names[5],
            emoji.subcategories[5],
            category_words(emoji.categories[5]),
            *emoji.keywords[5],
        ]
        assert all(
            any(part in text for text in known) for part in caption.split(", ")
        ), caption


def test_all_forms_occur_also_the_category_alone():
    emoji = source_of("validation").emoji
    found = {captions([5], index)[0] for index in range(200)}
    assert category_words(emoji.categories[5]) in found
    assert emoji.subcategories[5] in found
    assert f"{emoji.names[5]}, {emoji.subcategories[5]}" in found


def test_a_caption_depends_on_its_row_and_batch_only():
    together = captions([3, 9, 4], recipe=RECIPE)
    assert together[1:2] == captions([9], recipe=RECIPE)
    assert together != captions([3, 9, 4], index=1, recipe=RECIPE)


def test_a_clip_s_caption_ends_in_its_motion():
    count = 200
    motions = np.arange(count) % len(playground.MOTIONS)
    found = clip_captions(["owl"] * count, motions, Draws(0, 0, count), WHOLE)
    words = [playground.MOTIONS[motion] for motion in motions]
    assert all(text.endswith(word) for text, word in zip(found, words))
    alone = sum(text == word for text, word in zip(found, words))
    assert 0.2 < alone / count < 0.4


def test_the_tokenizer_keeps_nearly_all_of_each_caption():
    train = source_of("train")
    tokenizer = train_tokenizer(train, RECIPE)
    assert tokenizer.vocabulary_size <= RECIPE.vocabulary_size
    motions = np.arange(len(train.emoji.names)) % len(playground.MOTIONS)
    texts = playground.clip_captions(train.emoji.names, motions)
    cut = np.mean(
        [
            len(tokenizer.tokenizer.encode(t).ids) > tokenizer.length
            for t in texts
        ]
    )
    assert cut < 0.05
