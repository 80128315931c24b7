import re

import numpy as np
import pytest

from keras_imp._optional import require
from keras_imp.data import Tokenizer

pytestmark = pytest.mark.one_backend

TEXTS = ["a red heart", "a red apple", "moving left"]


def make(length=5):
    return Tokenizer.train(TEXTS, vocabulary_size=80, length=length)


def test_text_is_padded_with_zeros_and_cut():
    ids = make(length=2)(["red", "a red heart", ""])
    assert ids.dtype == np.int32
    assert (ids > 0).tolist() == [[True, False], [True, True], [False, False]]


def test_training_does_not_depend_on_the_order_of_the_texts():
    other = Tokenizer.train(TEXTS[::-1] * 2, vocabulary_size=80, length=5)
    np.testing.assert_array_equal(make()(TEXTS), other(TEXTS))


def test_ids_are_the_same_in_every_process():
    # Another hash order in each process, and even for each trainer in one.
    vocabularies = [make().tokenizer.get_vocab() for _ in range(8)]
    assert all(found == vocabularies[0] for found in vocabularies)


def test_case_does_not_matter():
    tokenizer = make()
    np.testing.assert_array_equal(tokenizer(["Red"]), tokenizer(["red"]))


def test_a_saved_tokenizer_gives_the_same_ids(tmp_path):
    tokenizer = make()
    tokenizer.save(tmp_path / "tokenizer.json")
    loaded = Tokenizer.load(tmp_path / "tokenizer.json", length=5)
    np.testing.assert_array_equal(tokenizer(TEXTS), loaded(TEXTS))
    assert loaded.vocabulary_size == tokenizer.vocabulary_size


def test_a_saved_tokenizer_knows_its_length(tmp_path):
    path = tmp_path / "tokenizer.json"
    make(length=2).save(path)
    loaded = Tokenizer.load(path)
    np.testing.assert_array_equal(loaded(TEXTS), make(length=2)(TEXTS))
    # Another length is not cut to the first one.
    other = Tokenizer.load(path, length=4)
    np.testing.assert_array_equal(other(TEXTS), make(length=4)(TEXTS))
    # The tokenizers package reads the same ids from the file.
    library = require("tokenizers", extra="data")
    alone = library.Tokenizer.from_file(str(path))
    assert [alone.encode(t).ids for t in TEXTS] == loaded(TEXTS).tolist()


def test_a_file_without_a_length_needs_one(tmp_path):
    path = tmp_path / "tokenizer.json"
    make().tokenizer.save(str(path))
    text = (
        "`length` must be given: the file has none. Received: "
        f"path={str(path)!r}, length=None."
    )
    with pytest.raises(ValueError, match=re.escape(text)):
        Tokenizer.load(path)


def test_id_0_must_be_padding():
    library = require("tokenizers", extra="data")
    other = library.Tokenizer(library.models.WordLevel({"red": 0}, "red"))
    text = (
        "Id 0 of the tokenizer must be the padding '[PAD]'. Received: "
        "id 0='red'."
    )
    with pytest.raises(ValueError, match=re.escape(text)):
        Tokenizer(other, length=5)
