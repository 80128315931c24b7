"""A task has one owner: two would share its head."""

import numpy as np
import pytest

import keras_imp
from keras_imp.tasks import Classification, Combined, Regression
from tests.helpers import models
from tests.helpers.bad_batches import exactly

pytestmark = pytest.mark.one_backend

ADVICE = (
    "Make new tasks for each model, such as in a function that returns "
    "them; the encoder may be shared. To copy one: "
    "type(task).from_config(task.get_config())."
)


def refusal(task, owner):
    return exactly(
        ValueError,
        f"Task {task!r} already belongs to {owner}: its head would be shared, "
        "so that training one changes what the other predicts. Received: "
        f"task={task!r}. {ADVICE}",
    )


def model_of(tasks, kind=keras_imp.AlternatingModel, **options):
    return kind(models.TinyEncoder(), tasks, **options)


@pytest.mark.parametrize(
    "kind",
    [keras_imp.AlternatingModel, keras_imp.CombinedModel],
    ids=["alternating", "combined"],
)
def test_a_list_of_tasks_serves_one_model_only(kind):
    tasks = models.two_tasks()
    model_of(tasks, name="first")
    with refusal("objects", "the model 'first'"):
        model_of(tasks, kind)


def test_a_part_of_a_combined_task_serves_no_other_task_and_no_model():
    part = Regression("size", "image")
    Combined("all", [part])
    with refusal("size", "the task 'all'"):
        Combined("more", [part])
    with refusal("size", "the task 'all'"):
        model_of([part])


def test_a_task_of_a_model_becomes_no_part_of_another():
    task = Classification("kind", "image", 3)
    model_of([task], name="first")
    with refusal("kind", "the model 'first'"):
        Combined("all", [task])
    # Its metrics have the names that they had.
    assert task.loss_metric.name == "kind/loss"


def test_two_models_with_tasks_of_their_own_may_share_an_encoder():
    encoder = models.TinyEncoder()
    first = models.make_model(models.one_task, encoder)
    second = models.make_model(models.one_task, encoder, seed=2)
    x, _ = models.make_data()["objects"][0]
    assert first.encoder is second.encoder
    before = first.predict(x, verbose=0)
    kernel = second.task_list[0].trainable_variables[0]
    kernel.assign(2 * kernel.value)
    np.testing.assert_array_equal(first.predict(x, verbose=0), before)


def test_a_copied_task_serves_another_model():
    task = Classification("kind", "image", 3)
    first = model_of([task])
    second = model_of([type(task).from_config(task.get_config())])
    assert first.tasks["kind"] is not second.tasks["kind"]


def test_a_model_that_is_refused_leaves_its_tasks_free():
    task = Classification("kind", "image", 3)
    with pytest.raises(
        ValueError, match="needs an encoder with embed, body, finish"
    ):
        model_of([task], keras_imp.CombinedModel, strategy="padded")
    model_of([task])
