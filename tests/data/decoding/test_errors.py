"""One exception for all that is wrong in a file."""

import pickle
import re

import pytest

from keras_imp.data.decoding import NOTES, REASONS, BadFile
from keras_imp.data.decoding.errors import decoding

pytestmark = pytest.mark.one_backend


def test_the_message_has_the_sentence_the_file_the_word_and_the_detail():
    error = BadFile("too_large", "a.png", "It has 9 pixels.")
    assert str(error) == (
        "The file would take more memory than is allowed. Received: "
        "file='a.png', reason='too_large'. It has 9 pixels."
    )
    assert (error.reason, error.name) == ("too_large", "a.png")


def test_it_comes_back_from_another_process_as_it_was():
    error = pickle.loads(pickle.dumps(BadFile("empty", "a.png", "Why.")))
    assert (error.reason, error.name, error.detail) == (
        "empty",
        "a.png",
        "Why.",
    )
    assert str(error) == str(BadFile("empty", "a.png", "Why."))


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (KeyError("size"), "damaged"),
        (AttributeError("x"), "damaged"),
        (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad"), "damaged"),
        (MemoryError(), "too_large"),
        (ValueError("Decompressed data too large"), "too_large"),
        (OSError("image file is truncated (3 bytes)"), "truncated"),
    ],
)
def test_whatever_a_decoder_raises_becomes_a_reason(error, reason):
    with pytest.raises(BadFile) as found, decoding("a.png"):
        raise error
    assert found.value.reason == reason
    assert found.value.name == "a.png"
    assert found.value.__cause__ is error


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_the_wish_to_stop_is_no_fault_of_a_file(error):
    with pytest.raises(error), decoding("a.png"):
        raise error


def test_a_reason_passes_as_it_is():
    with pytest.raises(BadFile, match="holds nothing"), decoding("b.png"):
        raise BadFile("empty", "a.png")


def test_a_detail_does_not_carry_a_file_along():
    with pytest.raises(BadFile) as found, decoding("a.png"):
        raise ValueError("x" * 10_000)
    assert len(found.value.detail) == 200


def test_words_are_words_and_their_sentences_are_sentences():
    for words in (REASONS, NOTES):
        for word, sentence in words.items():
            assert re.fullmatch("[a-z_]+", word)
            assert re.fullmatch(r"[A-Z].*\.", sentence)
