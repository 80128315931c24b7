"""A name is refused at once, or it works to the end: train, save, load."""

import re

import keras
import numpy as np
import pytest

import keras_imp
from tests.helpers import models
from tests.helpers.named import assert_same

pytestmark = pytest.mark.one_backend

# Some are attributes of a Keras layer or of a torch module.
EVERYWHERE = [
    "name",
    "weights",
    "train",
    "call",
    "_x",
    "__x",
    "1st",
    "a-b",
    "-",
]
REFUSED = {
    "jax": ["tab\tx", "nul\0x", "line\n"],
    "tensorflow": ["tab\tx", "my task", "été", "a:b"],
    "torch": ["tab\tx", "a.b"],
}
ACCEPTED = {
    "jax": ["my task", "été", "a.b", "..", "a:b"],
    "tensorflow": ["a.b", ".."],
    "torch": ["my task", "été", "a:b"],
}
BACKEND = keras.config.backend()


def make(names):
    return models.make_model(
        lambda: [
            keras_imp.tasks.Classification(name, "image", 3) for name in names
        ]
    )


@pytest.mark.parametrize("name", REFUSED[BACKEND])
def test_a_name_that_the_backend_does_not_take_is_refused(name):
    expected = (
        f"The name of a task cannot be used on {BACKEND}. Received: "
        f"name={name!r}. Use ASCII letters, digits, `_` and `-`, which work on "
        "every backend."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(expected)}$"):
        keras_imp.tasks.Classification(name, "image", 3)


def test_odd_names_are_trained_saved_and_loaded_in_another_order(tmp_path):
    names = [*EVERYWHERE, *ACCEPTED[BACKEND]]
    model = make(names)
    batch = models.make_data()["objects"][0]
    model.fit(
        models.in_turn({name: [batch] for name in names}),
        steps_per_epoch=len(names),
        verbose=0,
    )
    model.save_weights(tmp_path / "model.weights.h5")
    other = make(names[::-1])
    report = other.load_weights(tmp_path / "model.weights.h5")
    assert report.is_complete
    for name in names:
        assert_same(other.tasks[name], model.tasks[name])
    x, _ = batch
    predicted = [m.predict(x, task=names[0], verbose=0) for m in (model, other)]
    np.testing.assert_array_equal(*predicted)
