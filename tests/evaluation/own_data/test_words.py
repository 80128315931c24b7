"""Texts that a tokenizer does not know are told, or refused."""

import re

import pytest

from keras_imp.data import Manifest, Tokenizer
from keras_imp.evaluation.own_data.choices import choose_sizes
from keras_imp.evaluation.own_data.inference import infer
from keras_imp.evaluation.own_data.recipe import DataRecipe, TaskRecipe
from keras_imp.evaluation.own_data.rows import Limits, fix_rows
from keras_imp.evaluation.own_data.words import check_words, tokenizer_of
from keras_imp.evaluation.run_folder import RunError

pytestmark = pytest.mark.one_backend


def rows_of(tmp_path, validation, tokenizer=None, train="a red heart"):
    manifest = Manifest(
        {
            "text": [train, "a blue sky", *validation],
            "label": ["x", "y", *["x" for _ in validation]],
            "split": ["train", "train", *["validation" for _ in validation]],
        }
    )
    recipe = DataRecipe({"a": TaskRecipe("x")}, tokenizer=tokenizer)
    manifests = {"a": manifest}
    recipe = choose_sizes(infer(recipe, manifests), manifests)
    tasks = fix_rows(recipe, manifests, tmp_path, Limits())
    return recipe, tasks


def test_texts_of_another_language_than_the_tokenizer_are_refused(tmp_path):
    words = Tokenizer.train(["красное сердце", "синее небо"], 200, length=8)
    words.save(tmp_path / "other.json")
    recipe, tasks = rows_of(
        tmp_path, ["a heart"], tokenizer=str(tmp_path / "other.json")
    )
    tokenizer = tokenizer_of(recipe, tasks, tmp_path)
    told = (
        "Task 'a': the tokenizer must know most of the training texts. These "
        "may be of another language. Received: unknown='100% of the tokens'."
    )
    with pytest.raises(RunError, match=re.escape(told)):
        check_words(tokenizer, tasks)


def test_some_unknown_tokens_are_told(tmp_path):
    recipe, tasks = rows_of(tmp_path, ["a red сердце"])
    tokenizer = tokenizer_of(recipe, tasks, tmp_path)
    assert check_words(tokenizer, tasks) == [
        "Task 'a': the tokenizer does not know 33% of the tokens of its "
        "validation texts."
    ]


def test_texts_that_are_cut_are_told(tmp_path):
    recipe, tasks = rows_of(tmp_path, ["a red heart " * 40])
    told = check_words(tokenizer_of(recipe, tasks, tmp_path), tasks)
    assert (
        "100% of its validation texts are longer than 64 token ids" in told[0]
    )


def test_a_run_keeps_the_tokenizer_of_its_folder(tmp_path):
    recipe, tasks = rows_of(tmp_path, ["a heart"])
    first = tokenizer_of(recipe, tasks, tmp_path)
    other = Tokenizer.train(["b"], 40, length=16)
    other.save(tmp_path / "tokenizer.json")
    again = tokenizer_of(recipe, tasks, tmp_path)
    assert again.vocabulary_size == other.vocabulary_size
    assert first.vocabulary_size > other.vocabulary_size
