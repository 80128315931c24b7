import re

import numpy as np
import pytest

import keras_imp
from keras_imp import ZeroShotClassifier

VECTORS = {"cat": [1.0, 0.0], "dog": [0.0, 1.0], "a cat": [0.6, 0.8]}


class _Task:
    modalities = ("image", "text")


class _Model:
    """Gives the vectors above: token ids are positions in them."""

    tasks = {"captions": _Task(), "objects": type("T", (), {"modalities": ()})}

    def predict(self, x, task, batch_size, verbose):
        if "text" in x:
            rows = [list(VECTORS.values())[i] for i in x["text"][:, 0]]
            return {"text_to_image": np.array(rows)}
        return {"image_to_text": x["image"]}


def tokenize(texts):
    return np.array([[list(VECTORS).index(text)] for text in texts])


def make(names=("cat", "dog"), prompts=("{}",), **kwargs):
    arguments = {"tokenizer": tokenize, **kwargs}
    return ZeroShotClassifier(
        _Model(), "captions", list(names), prompts, **arguments
    )


def test_an_input_belongs_to_the_nearest_class():
    images = np.array([[0.8, 0.6], [0.1, 0.9]])
    scores = make().predict({"image": images})
    np.testing.assert_allclose(scores, images)
    assert make().accuracy({"image": images}, np.array([0, 0])) == 0.5


def test_prompts_are_averaged_and_made_unit_vectors():
    # mean of (1, 0) and (0.6, 0.8) is (0.8, 0.4), of length sqrt(0.8).
    scores = make(names=("cat",), prompts=("{}", "a {}")).predict(
        {"image": np.array([[1.0, 0.0]])}
    )
    np.testing.assert_allclose(scores, [[0.8 / np.sqrt(0.8)]])


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (
            {"names": ("cat", "cat")},
            "`class_names` must be different names, at least one. Received: "
            "class_names=['cat', 'cat'].",
        ),
        (
            {"prompts": ("a photo",)},
            "A prompt must have {} where the class name goes. Received: "
            "prompt='a photo'.",
        ),
        (
            {"tokenizer": None},
            "A tokenizer is needed to read the class names. Received: "
            "tokenizer=None. Pass the one that the model was trained with: "
            "tokenizer=.",
        ),
    ],
    ids=["a name twice", "no place in the prompt", "no tokenizer"],
)
def test_bad_arguments(arguments, text):
    with pytest.raises(ValueError, match=re.escape(text)):
        make(**arguments)


def test_a_task_without_text_is_refused():
    text = (
        "The task must be contrastive and have the modality 'text'. Received: "
        "task='objects', modalities=()."
    )
    with pytest.raises(ValueError, match=re.escape(text)):
        ZeroShotClassifier(_Model(), "objects", ["cat"], tokenizer=tokenize)


def test_a_task_that_the_model_lacks_is_refused():
    text = (
        "The model has the tasks ['captions', 'objects']. Received: "
        "task='caption'."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        ZeroShotClassifier(_Model(), "caption", ["cat"], tokenizer=tokenize)


@pytest.mark.parametrize("modality", ["text", "audio"])
def test_a_modality_without_classes_is_refused(modality):
    text = (
        "Task 'captions' compares text with ('image',). Received: "
        f"modality='{modality}'."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        make().predict({modality: np.zeros((2, 1), "int32")})


def combined_model():
    encoder = keras_imp.IMPEncoder(
        8, 16, 1, 2, ("image", "text"), vocabulary_size=10
    )
    parts = [
        keras_imp.tasks.Contrastive("names", projection_dim=8),
        keras_imp.tasks.Classification("kinds", "image", 3),
    ]
    model = keras_imp.AlternatingModel(
        encoder, [keras_imp.tasks.Combined("captions", parts)]
    )
    model.compile()
    return model


def test_a_part_of_a_combined_task_has_classes():
    classify = keras_imp.ZeroShotClassifier(
        combined_model(),
        "captions/names",
        ["cat", "dog"],
        tokenizer=lambda texts: np.array([[1 + len(t)] for t in texts]),
    )
    assert classify.predict({"image": np.zeros((3, 16, 16, 3))}).shape == (3, 2)


def test_a_combined_task_itself_is_refused():
    with pytest.raises(ValueError, match=r"Name one of its parts: .*names"):
        keras_imp.ZeroShotClassifier(
            combined_model(), "captions", ["cat"], tokenizer=len
        )
