"""Recall on validation data, in the logs of a training."""

import keras
import numpy as np
import pytest

import keras_imp
from keras_imp.callbacks import RetrievalLogger
from tests.helpers import models

NUM = 8


def rows(seed=0):
    rng = np.random.default_rng(seed)
    return {
        "image": rng.standard_normal((NUM, 5)).astype("float32"),
        "text": rng.integers(1, models.VOCABULARY, (NUM, 2)),
    }


def fit(callbacks, dropout=0.0, epochs=2, **options):
    model = models.make_model(dropout=dropout, **models.few_steps())
    history = model.fit(
        models.in_turn(),
        steps_per_epoch=3,
        epochs=epochs,
        verbose=0,
        callbacks=callbacks,
        **options,
    )
    return model, history.history


def test_the_recall_is_that_of_evaluate_retrieval():
    x = rows()
    model, history = fit([RetrievalLogger("captions", x, ks=(1, 3))])
    report = keras_imp.evaluate_retrieval(model, "captions", x, ks=(1, 3))
    for query, item in (("image", "text"), ("text", "image")):
        for k in (1, 3):
            name = f"val_captions/{query}_to_{item}/recall_at_{k}"
            assert len(history[name]) == 2
            assert history[name][-1] == report[f"{query} to {item}, R@{k}"]


def test_rows_of_one_group_answer_each_other():
    logger = RetrievalLogger("captions", rows(), np.zeros(NUM), ks=(1,))
    _, history = fit([logger])
    assert history["val_captions/image_to_text/recall_at_1"] == [1.0, 1.0]


def test_every_second_epoch_has_it():
    logger = RetrievalLogger("captions", rows(), ks=(1,), every=2)
    _, history = fit([logger], epochs=4)
    assert len(history["val_captions/text_to_image/recall_at_1"]) == 2


def test_training_is_the_same_bit_for_bit_with_and_without_it():
    states, losses = [], []
    data = models.all_once()
    for callbacks in ([], [RetrievalLogger("captions", rows())]):
        model, history = fit(callbacks, dropout=0.5, validation_data=data)
        states.append(models.state(model))
        losses.append((history["loss"], history["val_loss"]))
    models.assert_same(*states)
    assert losses[0] == losses[1]


def test_early_stopping_can_look_at_it_when_it_stands_before_it():
    stop = keras.callbacks.EarlyStopping(
        "val_captions/image_to_text/recall_at_8", mode="max", patience=1
    )
    _, history = fit(
        [stop, RetrievalLogger("captions", rows(), ks=(8,))], epochs=5
    )
    # All is found among all, from the first epoch on.
    assert len(history["loss"]) == 2


@pytest.mark.one_backend
def test_a_task_that_is_no_search_is_refused_before_it_trains():
    with pytest.raises(ValueError, match="two modalities") as error:
        fit([RetrievalLogger("objects", rows())])
    assert str(error.value) == (
        "`x` must have at least two modalities of the task. Received: "
        "modalities=['image', 'text']. Those of 'objects' are ('image',)."
    )


@pytest.mark.one_backend
@pytest.mark.parametrize(
    "argument", [{"every": 0}, {"batch_size": 0}, {"ks": (0,)}]
)
def test_numbers_must_be_positive(argument):
    (name,) = argument
    with pytest.raises(ValueError, match=f"`{name}` must be"):
        RetrievalLogger("captions", rows(), **argument)
