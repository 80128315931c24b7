import pytest

import keras_imp
from keras_imp.validation.flags_of_words import unlikely_texts

pytestmark = pytest.mark.one_backend

ENGLISH = ["the", "message", "was", "sent", "to", "a", "person", "by", "me"]
SPANISH = ["el", "mensaje", "fue", "enviado", "a", "una", "persona", "por"]


def sentence(words, number):
    """Most of some words, others for each number."""
    return " ".join(word for i, word in enumerate(words) if (number + i) % 3)


def languages():
    return {
        "audio": [f"a/{k}/{i}.wav" for k in ("en", "es") for i in range(60)],
        "text": [
            sentence(words, number)
            for words in (ENGLISH, SPANISH)
            for number in range(60)
        ],
    }


def found(columns):
    manifest = keras_imp.data.Manifest(columns)
    return [(f.row, f.detail) for f in unlikely_texts(manifest, 100)]


def test_a_text_of_another_language_than_its_folder_is_told():
    columns = languages()
    assert found(columns) == []
    columns["text"][3] = sentence(SPANISH, 1)
    detail = "like those of the folder 'a/es', not 'a/en'"
    assert found(columns) == [(103, detail)]
    # Also on Windows.
    columns["audio"] = [name.replace("/", "\\") for name in columns["audio"]]
    assert found(columns) == [(103, detail)]


def test_a_text_of_another_label_is_told():
    columns = languages()
    columns["label"] = ["left"] * 60 + ["right"] * 60
    columns["audio"] = [f"{row}.wav" for row in range(120)]
    columns["label"][70] = "left"
    detail = "like those of the label 'right', not 'left'"
    assert found(columns) == [(170, detail)]


def test_nothing_is_told_where_words_tell_nothing():
    columns = languages()
    columns["audio"] = [f"{row % 2}/{row}.wav" for row in range(120)]
    assert found(columns) == []


def test_nothing_is_told_of_words_of_their_own():
    columns = languages()
    columns["text"][3] = "something else altogether"
    assert found(columns) == []


def test_few_rows_tell_nothing():
    columns = {name: values[30:90] for name, values in languages().items()}
    columns["text"][3] = sentence(SPANISH, 1)
    assert found(columns) == []


def test_several_labels_and_missing_values_are_left_out():
    columns = languages()
    columns["label"] = ["left"] * 60 + ["right"] * 60
    columns["label"][3] = ["left", "right"]
    columns["label"][4] = None
    columns["text"][5] = None
    columns["audio"][6] = None
    assert found(columns) == []
