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

    weights = ()
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


def test_vectors_of_classes_are_what_inputs_are_compared_with():
    classes = make().class_vectors("image")
    np.testing.assert_allclose(classes, [[1.0, 0.0], [0.0, 1.0]])


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


def test_classes_follow_the_weights_of_the_model():
    """A classifier that is kept through more training is never stale."""
    model = combined_model()
    tokenizer = lambda texts: np.array([[1 + len(t)] for t in texts])
    arguments = (model, "captions/names", ["a", "bbb"])
    kept = ZeroShotClassifier(*arguments, tokenizer=tokenizer)
    x = {"image": np.linspace(-1, 1, 3 * 256 * 3).reshape(3, 16, 16, 3)}
    before = kept.predict(x)
    generator = np.random.default_rng(0)
    model.set_weights(
        [w + generator.normal(size=w.shape) for w in model.get_weights()]
    )
    fresh = ZeroShotClassifier(*arguments, tokenizer=tokenizer)
    assert not np.allclose(kept.predict(x), before)
    np.testing.assert_array_equal(kept.predict(x), fresh.predict(x))


def test_classes_are_made_once_while_weights_stay():
    asked = []

    def counting(texts):
        asked.append(texts)
        return tokenize(texts)

    classify = make(tokenizer=counting)
    for _ in range(3):
        classify.predict({"image": np.array([[1.0, 0.0]])})
    assert len(asked) == 1


def test_views_of_an_example_are_averaged():
    images = np.array([[1.0, 0.0], [0.6, 0.8], [0.0, 1.0], [0.0, 1.0]])
    scores = make().predict({"image": images}, views=2)
    mean = np.array([0.8, 0.4]) / np.hypot(0.8, 0.4)
    np.testing.assert_allclose(scores, [mean, [0.0, 1.0]])


def test_an_example_without_all_of_its_views_is_refused():
    text = "Each example must have all of its views. Received: rows=3, views=2."
    with pytest.raises(ValueError, match=re.escape(text)):
        make().predict({"image": np.zeros((3, 2))}, views=2)


def test_an_evaluation_counts_what_is_right():
    images = np.array([[0.8, 0.6], [0.1, 0.9], [0.9, 0.1], [0.2, 0.8]])
    report = make(prompts="{}").evaluate(
        {"image": images}, np.array([0, 0, 0, 1])
    )
    assert report["accuracy"] == 0.75
    assert report["mean recall of classes"] == pytest.approx((2 / 3 + 1) / 2)
    assert report.per_class["cat"].value == pytest.approx(2 / 3)
    assert report.chance["accuracy"] == 0.75
    assert report.settings == {"prompts": ["{}"], "views": 1}


@pytest.mark.parametrize(
    ("labels", "text"),
    [
        (np.array([0, 2]), "`labels` must be positions of classes. Received"),
        (np.array([0.0, 1.0]), "`labels` must be integers, one per example."),
        (np.array([0]), "`labels` must be integers, one per example."),
    ],
    ids=["too great", "not integers", "too few"],
)
def test_labels_that_do_not_fit_are_refused(labels, text):
    with pytest.raises(ValueError, match=re.escape(text)):
        make().evaluate({"image": np.eye(2)}, labels)


def test_an_unknown_library_of_prompts_is_refused():
    with pytest.raises(ValueError, match="`prompts` must be one of"):
        make(prompts="pictures")


def test_a_saved_classifier_loads_with_a_model(tmp_path):
    saved = make(prompts=("{}", "a {}"), names=("cat",))
    saved.save(tmp_path / "cats.json")
    loaded = ZeroShotClassifier.load(
        tmp_path / "cats.json", _Model(), tokenizer=tokenize
    )
    assert loaded.prompts == saved.prompts
    x = {"image": np.array([[1.0, 0.0]])}
    np.testing.assert_array_equal(loaded.predict(x), saved.predict(x))


@pytest.mark.parametrize("content", ["{", "{}", "[]", None])
def test_a_file_that_is_no_classifier_is_refused(tmp_path, content):
    path = tmp_path / "cats.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(ValueError, match=r"The file must be one .*cats\.json"):
        ZeroShotClassifier.load(path, _Model(), tokenizer=tokenize)
