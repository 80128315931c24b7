"""A warning where losses of training and validation do not compare."""

import re
import warnings

import numpy as np
import pytest

import keras_imp
from keras_imp.data import Arrays
from tests.helpers import models


def pairs(size, **options):
    rng = np.random.default_rng(0)
    x = {
        "image": rng.normal(size=(14, 5)).astype("float32"),
        "text": rng.integers(1, models.VOCABULARY, (14, 3)),
    }
    return Arrays(x, batch_size=size, **options)


def fit(training, validation, name="captions", model=None):
    model = model or models.make_model(
        lambda: models.tasks()[1:2], **models.few_steps()
    )
    mixture = keras_imp.TaskMixture({name: training}, steps_per_epoch=1)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(
            mixture,
            epochs=2,
            verbose=0,
            validation_data=keras_imp.TaskMixture.sequential(
                {name: validation}
            ),
        )
    return [str(w.message) for w in caught if "compare" in str(w.message)]


def test_batches_of_unlike_sizes_are_told_once():
    assert fit(pairs(4), pairs(7, shuffle=False)) == [
        "Task 'captions': the losses of training and validation do not "
        "compare, for a contrastive loss grows with the examples of a batch. "
        "Before it learns, that of softmax is ln(4) = 1.39 in training and "
        "ln(7) = 1.95 in validation. Received: batch_size=4, "
        "validation_batch_size=7. Give both the same batch size, and "
        "`drop_last=True`."
    ]


def test_batches_of_one_size_are_not():
    # The last one, smaller, does not matter.
    assert fit(pairs(4), pairs(4, shuffle=False)) == []


def test_other_tasks_are_not():
    model = models.make_model(models.one_task, **models.few_steps())
    data = models.make_data()["objects"]
    small = [({"image": x["image"][:3]}, y[:3]) for x, y in data]
    assert fit(data, small, "objects", model) == []


@pytest.mark.parametrize(("accumulate", "told"), [("mean", 0), ("exact", 1)])
def test_parts_of_a_batch_contrast_their_own_examples(accumulate, told):
    task = keras_imp.tasks.Contrastive(
        "captions",
        ("image", "text"),
        projection_dim=8,
        microbatches=2,
        accumulate=accumulate,
    )
    model = models.make_model([task], **models.few_steps())
    found = fit(pairs(8), pairs(4, shuffle=False), model=model)
    assert len(found) == told
    assert all(re.search(r"ln\(8\)", text) for text in found)
