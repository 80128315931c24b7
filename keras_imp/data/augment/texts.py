"""Augmentations of texts: strings, before a tokenizer makes ids of them.

`choose` also takes the ids of several captions per example.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_imp._errors import message
from keras_imp.data.augment._checks import check_range, check_rows
from keras_imp.data.augment.draws import Draws

__all__ = ["choose", "drop_words"]


def drop_words(
    texts: Sequence[str] | np.ndarray,
    draws: Draws,
    *,
    probability: float = 0.2,
) -> np.ndarray:
    """Leave out some words of each text, at random.

    Words are what white space separates. One always stays, drawn at random: a
    text with words never becomes empty.

    Args:
        texts: Strings, shape `(texts,)`.
        draws: Draws of their rows.
        probability: Probability of each word to be left out, from 0 to 1.

    Returns:
        Strings, shape `(texts,)`. Those that lose no word are as they were.

    Raises:
        TypeError: If `texts` are no strings.
        ValueError: If `probability` is out of its range.

    Example:
        >>> from keras_imp.data import augment
        >>> augment.texts.drop_words(
        ...     ["a red heart", "apple"], augment.Draws(0, 0, 2),
        ...     probability=0.5).tolist()
        ['red', 'apple']
    """
    check_rows(texts, draws)
    check_range(0, 1, probability=probability)
    words = [_string(text).split() for text in texts]
    longest = max(map(len, words), default=0)
    # That of a word does not depend on the length of the longest text.
    drawn = draws.uniform("words", size=(longest,))
    return np.array(
        [
            _left(str(text), several, numbers[: len(several)], probability)
            for text, several, numbers in zip(texts, words, drawn)
        ],
        dtype=str,
    )


def choose(
    captions: Sequence[Sequence[str]] | np.ndarray,
    draws: Draws,
    *,
    weights: Sequence[float] | None = None,
) -> np.ndarray:
    """Draw one of the captions of each example.

    Empty captions, `""` or ids that are all 0, are not drawn: they fill up an
    array whose examples have fewer captions than others.

    Args:
        captions: For each example its captions: lists of strings, an array
            of strings `(examples, captions)`, or token ids `(examples,
            captions, length)`.
        draws: Draws of their rows.
        weights: How likely each position is, relative to the others; there
            may be more than captions. None for all alike.

    Returns:
        Strings `(examples,)`, or ids `(examples, length)`.

    Raises:
        TypeError: If captions are no strings or ids.
        ValueError: If `weights` are fewer than the captions of an example, or
            an example has no caption that may be drawn.

    Example:
        >>> from keras_imp.data import augment
        >>> captions = [["a heart", "love"], ["an apple"]]
        >>> augment.texts.choose(captions, augment.Draws(0, 0, 2)).tolist()
        ['a heart', 'an apple']
    """
    check_rows(captions, draws)
    array = _as_captions(captions)
    some = np.asarray(array != "" if array.ndim == 2 else array.any(axis=2))
    if not some.any(axis=1).all():
        raise ValueError(
            message(
                "Each example must have a caption that is not empty.",
                example=int(np.argmin(some.any(axis=1))),
            )
        )
    most = array.shape[1]
    given = np.ones(most) if weights is None else np.asarray(weights, float)
    if given.ndim != 1 or len(given) < most:
        raise ValueError(
            message(
                "`weights` must have a number for each caption.",
                captions=most,
                weights=weights,
            )
        )
    picks = draws.choice("caption", given[:most] * some)
    return array[np.arange(len(array)), picks]


def _left(
    text: str, words: list[str], numbers: np.ndarray, probability: float
) -> str:
    """What is left of a text; the last word to go stays."""
    kept = numbers >= probability
    if kept.all():
        return text
    kept[np.argmax(numbers)] = True
    return " ".join(word for word, keep in zip(words, kept) if keep)


def _as_captions(captions: Any) -> np.ndarray:
    """Strings `(examples, captions)`, filled up with "", or ids."""
    is_array = isinstance(captions, np.ndarray) and captions.dtype != object
    if is_array and captions.ndim == 2 and captions.dtype.kind in "UT":
        return captions
    if is_array and captions.ndim == 3 and captions.dtype.kind in "iu":
        return captions
    if is_array or any(isinstance(several, str) for several in captions):
        raise TypeError(
            message(
                "`captions` must be a list of strings for each example, or "
                "ids (examples, captions, length).",
                shape=np.shape(captions),
            )
        )
    most = max((len(several) for several in captions), default=0)
    rows = [
        [*map(_string, several), *[""] * (most - len(several))]
        for several in captions
    ]
    return np.array(rows, dtype=str).reshape(len(rows), most)


def _string(text: Any) -> str:
    if not isinstance(text, str):
        raise TypeError(
            message(
                "Texts must be strings: augment them before the tokenizer.",
                text=text,
            )
        )
    return text
