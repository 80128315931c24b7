"""Captions of the playground, written anew for each batch."""

from typing import Any

import numpy as np

from keras_imp.data import Tokenizer, playground
from keras_imp.data.augment import Draws, texts
from keras_imp.evaluation.playground.recipe import Recipe

# Probability of the short name of CLDR instead of the one of Unicode.
SHORT_NAME = 0.4
KEYWORDS = 3


def category_words(category: str) -> str:
    """A category as captions have it: `"food and drink"`."""
    return category.lower().replace("&", "and")


def emoji_captions(
    rows: np.ndarray, draws: Draws, *, emoji: playground.Emoji, recipe: Recipe
) -> list[str]:
    """A caption for each emoji.

    Args:
        rows: Positions in `emoji`, shape `(captions,)`.
        draws: Draws of the rows.
        emoji: What they show.
        recipe: For the forms and the words that are left out.

    Returns:
        One caption for each row.
    """
    forms, weights = zip(*recipe.caption_forms, strict=True)
    chosen = draws.choice("form", weights)
    short = draws.bernoulli("short name", SHORT_NAME)
    names = texts.drop_words(
        [
            emoji.short_names[row] if is_short else emoji.names[row]
            for row, is_short in zip(rows, short, strict=True)
        ],
        draws,
        probability=recipe.dropped_words,
    )
    most = max(len(emoji.keywords[row]) for row in rows)
    order = draws.uniform("keywords", size=(most,))
    return [
        forms[form].format(
            name=name,
            subcategory=emoji.subcategories[row],
            category=category_words(emoji.categories[row]),
            keywords=", ".join(_some(emoji.keywords[row], places)),
        )
        for row, form, name, places in zip(
            rows, chosen, names, order, strict=True
        )
    ]


def clip_captions(
    names: list[str], motions: np.ndarray, draws: Draws, recipe: Recipe
) -> list[str]:
    """A caption for each clip: what moves and how, or only how.

    Args:
        names: What each clip shows.
        motions: Positions in `playground.MOTIONS`.
        draws: Draws of the rows.
        recipe: For the words that are left out.

    Returns:
        One caption for each clip.
    """
    left = texts.drop_words(names, draws, probability=recipe.dropped_words)
    whole = playground.clip_captions(list(left), motions)
    alone = draws.bernoulli("motion only", recipe.motion_only)
    return [
        playground.MOTIONS[motion] if is_alone else caption
        for caption, motion, is_alone in zip(whole, motions, alone, strict=True)
    ]


def train_tokenizer(
    train: playground.PlaygroundSplit, recipe: Recipe
) -> Tokenizer:
    """Train a small tokenizer on every text of the training data.

    Args:
        train: The training split.
        recipe: For the length and the vocabulary.

    Returns:
        The tokenizer.
    """
    emoji = train.emoji
    found: list[Any] = [
        *emoji.names,
        *emoji.short_names,
        *emoji.subcategories,
        *map(category_words, emoji.categories),
        *(word for several in emoji.keywords for word in several),
        *(text for several in train.sounds.captions for text in several),
        *playground.FAMILY_WORDS.values(),
        *playground.MOTIONS,
    ]
    # As often as in clips: a motion would else be in pieces.
    motions = np.arange(len(emoji.names)) % len(playground.MOTIONS)
    found += playground.clip_captions(emoji.names, motions)
    return Tokenizer.train(found, recipe.vocabulary_size, recipe.text_length)


def _some(words: list[str], places: np.ndarray) -> list[str]:
    """Some of the words in random order."""
    order = np.argsort(places[: len(words)])[:KEYWORDS]
    return [words[i] for i in order]
