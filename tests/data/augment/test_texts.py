"""Augmentations of texts."""

import re

import numpy as np
import pytest

from keras_imp.data.augment import Draws, texts

pytestmark = pytest.mark.one_backend

MANY = 4000


def test_words_are_left_out_with_their_probability_and_in_order():
    found = texts.drop_words(
        ["one two three four"] * MANY, Draws(0, 0, MANY), probability=0.3
    )
    words = ["one", "two", "three", "four"]
    kept = np.array(
        [[word in text.split() for word in words] for text in found]
    )
    # Where all would go, one stays: 0.3^4 / 4 more for each.
    expected = 0.7 + 0.3**4 / 4
    assert np.all(abs(kept.mean(axis=0) - expected) < 0.04)
    for text, row in zip(found, kept):
        assert text.split() == [w for w, keep in zip(words, row) if keep]


def test_a_text_never_becomes_empty():
    found = texts.drop_words(["a b", "c"] * 50, Draws(0, 0, 100), probability=1)
    assert {len(text) for text in found} == {1}
    assert {"a", "b", "c"} == set(found)


def test_texts_that_lose_no_word_are_as_they_were():
    same = ["two  spaces\n", "", "ünï \u2764"]
    found = texts.drop_words(np.array(same), Draws(0, 0, 3), probability=0)
    assert found.tolist() == same


def test_a_text_does_not_depend_on_the_others():
    long = " ".join("abcdefghijklmnopqrstuvwxyz")
    here = texts.drop_words(["x", long], Draws(0, 0, [3, 5]), probability=0.5)
    there = texts.drop_words([long], Draws(0, 0, [5]), probability=0.5)
    longer = texts.drop_words(
        [long, long + " 1 2 3"], Draws(0, 0, [5, 6]), probability=0.5
    )
    assert here[1] == there[0] == longer[0]


@pytest.mark.parametrize("kind", ["lists", "array", "column"])
def test_one_of_the_captions_is_drawn(kind):
    rows = [["a", "b", "c"], ["d", "e"]] * (MANY // 2)
    if kind == "array":
        rows = np.array([[*row, ""][:3] for row in rows])
    if kind == "column":
        rows = np.array([*rows, None], dtype=object)[:-1]
    found = texts.choose(rows, Draws(0, 0, MANY))
    for letters, several in (("abc", found[::2]), ("de", found[1::2])):
        names, counts = np.unique(several, return_counts=True)
        assert "".join(names) == letters
        expected = MANY / 2 / len(letters)
        assert np.all(abs(counts - expected) < 5 * np.sqrt(expected))


def test_captions_are_drawn_by_weight():
    found = texts.choose(
        [["a", "b", "c"]] * MANY, Draws(0, 0, MANY), weights=[1, 0, 3, 9]
    )
    assert abs(np.mean(found == "a") - 0.25) < 0.04
    assert "b" not in found


def test_ids_of_captions_are_drawn_but_no_padding():
    ids = np.array([[[1, 2], [3, 0], [0, 0]], [[4, 0], [0, 0], [0, 0]]] * 200)
    found = texts.choose(ids, Draws(0, 0, 400))
    assert found.shape == (400, 2)
    assert {tuple(row) for row in found[::2]} == {(1, 2), (3, 0)}
    assert {tuple(row) for row in found[1::2]} == {(4, 0)}


two = Draws(0, 0, 2)


@pytest.mark.parametrize(
    ("call", "kind", "text"),
    [
        (
            lambda: texts.drop_words(np.zeros((2, 3), int), two),
            TypeError,
            "Texts must be strings: augment them before the tokenizer. "
            "Received: text=array([0, 0, 0]).",
        ),
        (
            lambda: texts.choose(["a cat", "a dog"], two),
            TypeError,
            "`captions` must be a list of strings for each example, or ids "
            "(examples, captions, length). Received: shape=(2,).",
        ),
        (
            lambda: texts.choose([["a"], [""]], two),
            ValueError,
            "Each example must have a caption that is not empty. Received: "
            "example=1.",
        ),
        (
            lambda: texts.choose([["a", "b"], ["c"]], two, weights=[1]),
            ValueError,
            "`weights` must have a number for each caption. Received: "
            "captions=2, weights=[1].",
        ),
        (
            lambda: texts.drop_words(["a"], two),
            ValueError,
            "There must be one row of `draws` for each example. Received: "
            "examples=1, draws=2.",
        ),
    ],
    ids=["ids", "strings", "empty", "weights", "rows"],
)
def test_bad_arguments(call, kind, text):
    with pytest.raises(kind, match=f"^{re.escape(text)}$"):
        call()
