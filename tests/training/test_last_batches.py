"""Evaluations whose last batches are smaller than the others."""

import re
import warnings

import keras
import numpy as np
import pytest

import keras_imp
from keras_imp import tasks
from keras_imp.data import Arrays
from tests.helpers import models
from tests.helpers.encoders import small_encoder
from tests.helpers.masked import DECODER

BATCH = 4
WARNING = (
    "Task 'any': a batch to evaluate needs at least 2 examples; those of a "
    "smaller one do not count. Received: examples=1. Use another batch size, "
    "or leave out a smaller last batch: keras_imp.data.Arrays(..., "
    "drop_last=True)."
)


def inputs(count):
    rng = np.random.default_rng(0)
    return {
        "image": rng.normal(size=(count, 5)).astype("float32"),
        "text": rng.integers(1, models.VOCABULARY, (count, 2)),
        "captions": rng.integers(1, models.VOCABULARY, (count, 3, 2)),
        "labels": np.arange(count) % 3,
        "several": (rng.random((count, 3)) > 0.5).astype("float32"),
        "groups": np.arange(count) // 2,
        "number": rng.normal(size=(count, 1)).astype("float32"),
        "weights": rng.random(count).astype("float32"),
    }


def pairs(**options):
    return tasks.Contrastive(
        "any", ("image", "text"), projection_dim=8, **options
    )


def combined():
    parts = [
        tasks.Classification("kind", "image", 3),
        tasks.Contrastive("match", ("image", "text"), projection_dim=8),
    ]
    return tasks.Combined("any", parts)


# What makes the task, its inputs and its targets.
MEANS = {
    "classification": (
        lambda: tasks.Classification("any", "image", 3), ["image"], "labels",
    ),
    "several labels": (
        lambda: tasks.Classification("any", "image", 3, multi_label=True),
        ["image"], "several",
    ),
    "regression": (
        lambda: tasks.Regression("any", "image", 1), ["image"], "number",
    ),
    "in parts": (
        lambda: tasks.Classification("any", "image", 3, microbatches=2),
        ["image"], "labels",
    ),
    "combined": (
        lambda: tasks.Combined(
            "any", [tasks.Classification("kind", "image", 3)]
        ),
        ["image"], {"kind": "labels"},
    ),
}  # fmt: skip
CONTRASTS = {
    "softmax": (pairs, ["image", "text"], None),
    "sigmoid": (lambda: pairs(loss="sigmoid"), ["image", "text"], None),
    "groups": (pairs, ["image", "text"], "groups"),
    "captions": (pairs, ["image", "captions"], None),
    "combined": (combined, ["image", "text"], {"kind": "labels"}),
}


def evaluate(model, count, names, targets, weighted=False, **options):
    """Evaluate on so many examples in batches of 4."""
    arrays = inputs(count)
    x = {name.replace("captions", "text"): arrays[name] for name in names}
    if isinstance(targets, dict):
        y = {part: arrays[name] for part, name in targets.items()}
    else:
        y = None if targets is None else arrays[targets]
    options.setdefault("batch_size", BATCH)
    weights = arrays["weights"] if weighted else None
    data = Arrays(x, y, weights, shuffle=False, **options)
    mixture = keras_imp.TaskMixture.sequential({"any": data})
    return model.evaluate(mixture, verbose=0)


def make_model(make):
    return models.make_model(
        lambda: [make()],
        run_eagerly=keras.config.backend() == "tensorflow",
    )


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("name", MEANS)
def test_the_mean_over_examples_does_not_depend_on_the_batches(name, weighted):
    make, *data = MEANS[name]
    model = make_model(make)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        found = evaluate(model, 9, *data, weighted)
        whole = evaluate(model, 9, *data, weighted, batch_size=9)
    assert sorted(found) == sorted(whole)
    for key, value in whole.items():
        assert found[key] == pytest.approx(value, rel=1e-4), key


@pytest.mark.parametrize("name", CONTRASTS)
def test_one_example_that_nothing_contrasts_with_does_not_count(name):
    make, *data = CONTRASTS[name]
    model = make_model(make)
    with pytest.warns(UserWarning, match=f"^{re.escape(WARNING)}$"):
        found = evaluate(model, 9, *data)
    # The same eight without it, which says nothing.
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        expected = evaluate(model, 9, *data, drop_last=True)
    assert sorted(found) == sorted(expected)
    for key, value in expected.items():
        assert found[key] == pytest.approx(value, rel=1e-5), key


def test_nothing_to_contrast_with_at_all_has_no_value():
    model = make_model(pairs)
    with pytest.warns(UserWarning, match=f"^{re.escape(WARNING)}$"):
        found = evaluate(model, 1, ["image", "text"], None)
    assert found == {}


def test_a_validation_with_one_example_left_over_goes_on():
    model = make_model(pairs)
    arrays = inputs(9)
    x = {name: arrays[name] for name in ("image", "text")}
    with pytest.warns(UserWarning, match=re.escape(WARNING)):
        history = model.fit(
            keras_imp.TaskMixture({"any": Arrays(x, batch_size=4)}),
            steps_per_epoch=2,
            epochs=2,
            verbose=0,
            validation_data=keras_imp.TaskMixture.sequential(
                {"any": Arrays(x, batch_size=4, shuffle=False)}
            ),
        )
    assert len(history.history["val_any/loss"]) == 2


def test_a_smaller_batch_is_refused_in_training():
    model = make_model(pairs)
    arrays = inputs(1)
    x = {name: arrays[name] for name in ("image", "text")}
    with pytest.raises(ValueError, match="must have at least 2 examples"):
        model.fit(
            keras_imp.TaskMixture({"any": [(x,)]}), steps_per_epoch=1, verbose=0
        )


def test_examples_without_weight_are_no_epoch_of_their_task():
    model = models.make_model(models.two_tasks, **models.few_steps())
    data = models.data_of("objects", "sounds")
    data["sounds"] = [(x, y, np.zeros(len(y))) for x, y in data["sounds"]]
    logs = model.fit(models.in_turn(data), steps_per_epoch=2, verbose=0).history
    assert sorted(logs) == ["loss", "objects/accuracy", "objects/loss"]
    assert logs["loss"] == logs["objects/loss"]


def test_an_epoch_whose_steps_were_all_skipped_has_no_loss():
    model = models.make_model(
        models.one_task, on_non_finite="skip", **models.few_steps()
    )
    x, y = models.make_data()["objects"][0]
    x = {"image": np.full_like(x["image"], np.nan)}
    with pytest.warns(UserWarning, match="skipped"):
        history = model.fit(
            models.in_turn({"objects": [(x, y)]}), steps_per_epoch=2, verbose=0
        )
    assert history.history == {}
    assert history.epoch == [0]


@pytest.mark.parametrize("modality", ["text", "image"])
def test_masked_modeling_evaluates_one_example(modality):
    options = {"mask_id": 10} if modality == "text" else DECODER
    model = models.make_model(
        lambda: [tasks.MaskedModeling("any", modality, **options)],
        small_encoder((modality,), num_layers=1),
        **models.few_steps(),
    )
    rng = np.random.default_rng(0)
    if modality == "text":
        values = rng.integers(1, 10, (5, 7))
    else:
        values = rng.normal(size=(5, 6, 10, 3)).astype("float32")
    data = Arrays({modality: values}, batch_size=4, shuffle=False)
    found = model.evaluate(
        keras_imp.TaskMixture.sequential({"any": data}), verbose=0
    )
    assert np.isfinite(list(found.values())).all()


def test_shapes_of_several_sizes_leave_nothing_over():
    plan = keras_imp.TokenBudget(tokens_per_batch=12).plan(
        small_encoder(("text",), num_layers=1),
        {"any": [keras_imp.data.Shape(text=2), keras_imp.data.Shape(text=4)]},
    )
    text = {"text": np.ones((20, 4), int)}
    shapes = plan["any"]
    data = keras_imp.data.ResizedArrays(text, shapes=shapes)
    sizes = {len(data.batch_at(i)[0]["text"]) for i in range(9)}
    assert sizes == {one.batch_size for one in shapes}
    message = (
        "Every batch of ResizedArrays is full: the last of a pass goes over "
        "into the next. Received: drop_last=True. Omit `drop_last`."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        keras_imp.data.ResizedArrays(text, shapes=shapes, drop_last=True)
    message = (
        "ResizedArrays shuffles every pass. Received: shuffle=False. Omit "
        "`shuffle`, or use Arrays for one shape in order."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        keras_imp.data.ResizedArrays(text, shapes=shapes, shuffle=False)
