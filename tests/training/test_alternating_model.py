import csv

import keras
import numpy as np
import pytest

import keras_imp
from keras_imp.training.input.task_mixture import signature
from tests.helpers import models
from tests.helpers.models import data_of, one_task, two_tasks
from tests.helpers.weights import assert_near, to_numpy

BACKEND = keras.config.backend()
compiling = pytest.mark.skipif(BACKEND == "torch", reason="compiles nothing")


class Only(keras_imp.schedules.Schedule):
    """The first task in every step."""

    def draw(self, block):
        return np.zeros(len(self.steps(block)), int)


def objects_only(steps=4):
    return models.in_turn(schedule=Only(), steps_per_epoch=steps)


def of_task(model, name):
    """Variables of one task's head."""
    return model.tasks[name].trainable_variables


# Learning -------------------------------------------------------------------


def test_the_loss_of_every_task_falls(trained):
    _, history = trained
    for name in ("objects", "captions", "sounds"):
        losses = history[f"{name}/loss"]
        assert losses[-1] < 0.8 * losses[0], losses
    assert history["loss"][-1] < history["loss"][0]


def test_each_task_has_logs_of_its_own(trained):
    _, history = trained
    assert sorted(history) == [
        "captions/image_to_text_top_1",
        "captions/loss",
        "captions/text_to_image_top_1",
        "loss",
        "objects/accuracy",
        "objects/loss",
        "sounds/accuracy",
        "sounds/loss",
    ]
    # Each task took a third of the steps; the mean is over examples.
    sizes = {"objects": 6, "captions": 5, "sounds": 4}
    total = sum(n * history[f"{name}/loss"][0] for name, n in sizes.items())
    assert history["loss"][0] == pytest.approx(total / 15, rel=1e-5)


def test_the_counter_counts_the_steps_of_all_epochs(trained):
    model, _ = trained
    assert int(model.step_counter) == 36
    assert int(model.optimizer.iterations) == 36


@compiling
def test_each_task_and_shape_compiles_once():
    model = models.make_model(two_tasks)
    traced = models.note_traces(model)
    data = data_of("objects", "sounds")
    x, y = data["objects"][0]
    data["objects"] = [(x, y), ({"image": x["image"][:5]}, y[:5])]
    model.fit(models.in_turn(data), steps_per_epoch=8, verbose=0)
    shapes = ["objects 5x5_5", "objects 6x5_6", "sounds 4x7_4"]

    def found():
        return sorted(f"{b.task.name} {signature(b.arrays)}" for b in traced)

    assert found() == shapes
    # A second epoch, and a second call of `fit`, compile nothing.
    model.fit(models.in_turn(data), steps_per_epoch=8, epochs=2, verbose=0)
    assert found() == shapes


# What a step updates --------------------------------------------------------


def test_a_step_leaves_everything_it_does_not_reach_as_it_is(trained):
    source, _ = trained
    model = models.make_model()
    model.set_weights(source.get_weights())
    decay = keras.optimizers.AdamW(1e-2, weight_decay=0.1)
    model.compile(decay, jit_compile=models.default_jit())
    model.fit(models.in_turn(), steps_per_epoch=3, verbose=0)
    idle = [
        *of_task(model, "captions"),
        *of_task(model, "sounds"),
        *model.encoder.own["audio"].trainable_variables,
        *model.encoder.words.trainable_variables,
    ]
    names = {v.path.replace("/", "_") for v in idle}
    moments = [
        v
        for v in model.optimizer.variables
        if any(name in v.path for name in names)
    ]
    assert len(moments) == 2 * len(idle)
    used = [*of_task(model, "objects"), *model.encoder.shared.weights]
    before, used_before = models.values(idle + moments), models.values(used)
    model.fit(objects_only(), verbose=0)
    for path, value in models.values(idle + moments).items():
        np.testing.assert_array_equal(value, before[path], err_msg=path)
    for path, value in models.values(used).items():
        assert (value != used_before[path]).any(), path


def test_update_all_decays_what_a_step_does_not_reach():
    rate, decay, steps = 1e-2, 0.1, 4
    model = models.make_model(
        two_tasks,
        update="all",
        optimizer=keras.optimizers.AdamW(rate, weight_decay=decay),
    )
    idle = of_task(model, "sounds")
    before = models.values(idle)
    data = data_of("objects", "sounds")
    model.fit(
        models.in_turn(data, schedule=Only()), steps_per_epoch=steps, verbose=0
    )
    for path, value in models.values(idle).items():
        # No gradient and no moments: only the decay is left.
        expected = before[path] * (1 - rate * decay) ** steps
        np.testing.assert_allclose(value, expected, rtol=1e-6, err_msg=path)


# Logs -----------------------------------------------------------------------


def test_a_task_not_drawn_is_neither_in_the_history_nor_in_the_bar(capsys):
    model = models.make_model()
    history = model.fit(objects_only(), epochs=2, verbose=1).history
    for name in ("captions/loss", "sounds/loss", "sounds/accuracy"):
        assert name not in history
    assert np.isfinite(history["objects/loss"]).all()
    shown = capsys.readouterr().out
    assert " - objects: loss " in shown
    assert ", accuracy " in shown
    assert "sounds" not in shown
    assert "nan" not in shown


def test_validation_logs_equal_an_evaluation(trained):
    source, _ = trained
    model = models.make_model()
    model.set_weights(source.get_weights())
    val = data_of("objects", "sounds")
    history = model.fit(
        objects_only(),
        validation_data=models.all_once(val),
        epochs=2,
        verbose=0,
    ).history
    found = model.evaluate(models.all_once(val), verbose=0)
    assert sorted(found) == [
        "loss",
        "objects/accuracy",
        "objects/loss",
        "sounds/accuracy",
        "sounds/loss",
    ]
    for name, value in found.items():
        assert history[f"val_{name}"][-1] == pytest.approx(value, rel=1e-6)
    assert "val_captions/loss" not in history


def test_evaluation_equals_the_loss_of_each_batch(trained):
    model, _ = trained
    data = data_of("sounds")
    found = model.evaluate(models.all_once(data), verbose=0)
    task, losses = model.tasks["sounds"], []
    for x, y in data["sounds"]:
        y_pred = model({"sounds": x}, training=False)
        losses.append(float(to_numpy(task.compute_loss(x, y, y_pred))))
    assert found["sounds/loss"] == pytest.approx(np.mean(losses), rel=1e-5)
    listed = model.evaluate(models.all_once(data), verbose=0, return_dict=False)
    assert listed == list(found.values())


# Predicting -----------------------------------------------------------------


def test_predictions_of_a_named_task(trained):
    model, _ = trained
    x, _ = models.make_data()["objects"][0]
    logits = model.predict(x, task="objects", batch_size=4, verbose=0)
    assert logits.shape == (6, 3)
    assert_near(model({"objects": x}), logits, 1e-5)


def test_predictions_for_one_batch_are_those_of_predict(trained):
    model, _ = trained
    x, _ = models.make_data()["objects"][0]
    found = model.predict_on_batch(x, task="objects")
    assert isinstance(found, np.ndarray)
    assert_near(model.predict(x, task="objects", verbose=0), found, 1e-6)
    assert_near(model.predict_on_batch({"objects": x}), found, 1e-6)


def test_predictions_for_one_batch_need_a_task_of_the_model(trained):
    model, _ = trained
    x, _ = models.make_data()["objects"][0]
    with pytest.raises(ValueError, match=r"Received: task=.shoes."):
        model.predict_on_batch(x, task="shoes")


def test_a_contrastive_task_predicts_for_some_of_its_modalities(trained):
    model, _ = trained
    (x,) = models.make_data()["captions"][0]
    both = model.predict(x, task="captions", verbose=0)
    text = model.predict({"text": x["text"]}, task="captions", verbose=0)
    assert sorted(both) == ["image_to_text", "text_to_image"]
    assert list(text) == ["text_to_image"]
    np.testing.assert_allclose(
        text["text_to_image"], both["text_to_image"], atol=1e-6
    )


def test_a_model_with_one_task_needs_no_name_for_it():
    model = models.make_model(one_task)
    x, _ = models.make_data()["objects"][0]
    assert model.predict(x, verbose=0).shape == (6, 3)


# What else `fit` takes ------------------------------------------------------


def test_initial_epoch_and_steps_per_epoch():
    model = models.make_model(two_tasks)
    data = data_of("objects", "sounds")
    history = model.fit(
        models.in_turn(data, steps_per_epoch=100),
        steps_per_epoch=4,
        initial_epoch=2,
        epochs=5,
        verbose=0,
    )
    assert history.epoch == [2, 3, 4]
    assert int(model.step_counter) == 12


def test_callbacks_of_keras_work(tmp_path):
    model = models.make_model(two_tasks)
    data = data_of("objects", "sounds")
    rates = []
    history = model.fit(
        models.in_turn(data),
        steps_per_epoch=4,
        epochs=9,
        verbose=0,
        validation_data=models.all_once(data_of("objects")),
        callbacks=[
            keras.callbacks.ModelCheckpoint(
                tmp_path / "best.keras",
                monitor="val_objects/loss",
                mode="min",
                save_best_only=True,
            ),
            keras.callbacks.EarlyStopping(
                monitor="val_objects/loss",
                mode="min",
                min_delta=100.0,
                patience=2,
            ),
            keras.callbacks.CSVLogger(tmp_path / "log.csv"),
            keras.callbacks.LearningRateScheduler(
                lambda epoch: 1e-2 / (epoch + 1)
            ),
            keras.callbacks.LambdaCallback(
                on_epoch_end=lambda epoch, logs: rates.append(
                    float(model.optimizer.learning_rate)
                )
            ),
        ],
    ).history
    # The first epoch is the best, the next two do not beat it by 100.
    assert len(history["loss"]) == 3
    assert rates == pytest.approx([1e-2, 5e-3, 1e-2 / 3])
    with (tmp_path / "log.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 3
    assert float(rows[0]["objects/loss"]) == history["objects/loss"][0]
    best = keras.models.load_model(tmp_path / "best.keras")
    found = best.evaluate(models.all_once(data_of("objects")), verbose=0)
    expected = min(history["val_objects/loss"])
    assert found["objects/loss"] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision_keeps_variables_and_losses_in_float32(policy):
    keras.config.set_dtype_policy(policy)
    try:
        model = models.make_model(lambda: models.tasks()[1:2])
        history = model.fit(
            models.in_turn(data_of("captions")),
            steps_per_epoch=12,
            epochs=4,
            verbose=0,
        ).history
    finally:
        keras.config.set_dtype_policy("float32")
    assert {v.dtype for v in model.trainable_variables} == {"float32"}
    assert model.encoder.compute_dtype == policy.removeprefix("mixed_")
    assert np.isfinite(history["loss"]).all()
    assert history["loss"][-1] < history["loss"][0]


@pytest.mark.parametrize(
    "options",
    [
        {"run_eagerly": True, "jit_compile": False},
        pytest.param(
            {"jit_compile": True},
            marks=pytest.mark.skipif(
                BACKEND != "tensorflow", reason="the default on JAX"
            ),
        ),
    ],
    ids=["eager", "XLA"],
)
def test_any_way_to_run_gives_the_same_losses(options):
    losses = []
    for option in ({}, options):
        model = models.make_model(
            one_task, optimizer=keras.optimizers.SGD(0.1), **option
        )
        history = model.fit(
            models.in_turn(data_of("objects")), steps_per_epoch=3, verbose=0
        ).history
        losses.append(history["objects/loss"][0])
    assert losses[1] == pytest.approx(losses[0], rel=1e-4)


def test_a_loss_of_unequal_batches_is_the_mean_over_examples():
    model = models.make_model(models.one_task)
    x = np.random.default_rng(0).normal(size=(9, 5)).astype("float32")
    y = np.arange(9) % 3

    def loss(batch_size):
        source = keras_imp.data.Arrays(
            {"image": x}, y, batch_size=batch_size, shuffle=False
        )
        mixture = keras_imp.TaskMixture.sequential({"objects": source})
        return model.evaluate(mixture, verbose=0)["objects/loss"]

    np.testing.assert_allclose(loss(8), loss(9), rtol=1e-5)


def test_a_batch_without_weight_does_not_count():
    model = models.make_model(models.one_task)
    x = np.random.default_rng(0).normal(size=(4, 5)).astype("float32")
    y = np.arange(4) % 3
    counted = ({"image": x}, y, np.ones(4, "float32"))
    idle = ({"image": x}, y, np.zeros(4, "float32"))

    def loss(*batches):
        mixture = keras_imp.TaskMixture.sequential({"objects": list(batches)})
        return model.evaluate(mixture, verbose=0)["objects/loss"]

    np.testing.assert_allclose(loss(counted, idle), loss(counted), rtol=1e-5)


def test_a_callback_list_gets_the_callbacks_of_a_mixture():
    model = models.make_model(models.one_task)
    callbacks = keras.callbacks.CallbackList(add_history=True, model=model)
    history = model.fit(
        models.make_mixture(models.data_of("objects"), steps_per_epoch=2),
        epochs=2,
        verbose=0,
        callbacks=callbacks,
    )
    assert len(history.history["loss"]) == 2
    assert int(model.step_counter) == 4


@pytest.mark.skipif(BACKEND != "jax", reason="only there is a state to keep")
def test_keras_does_not_search_the_state_between_steps_for_layers():
    class Look(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            kinds.add(type(model._jax_state))

    kinds, model = set(), models.make_model(models.one_task)
    mixture = models.make_mixture(models.data_of("objects"), steps_per_epoch=2)
    model.fit(mixture, verbose=0, callbacks=[Look()])
    assert kinds == {dict}
