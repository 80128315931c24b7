"""Bad arguments of `fit` and its sisters."""

import re

import keras
import numpy as np
import pytest

from keras_imp import AlternatingModel, TaskMixture, schedules
from keras_imp.tasks import Classification
from keras_imp.training.input.sources import open_source
from tests.helpers import models
from tests.helpers.bad_batches import (
    GOOD,
    IMAGES,
    LABELS,
    NAMES,
    TEXT,
    exactly,
    first,
)

pytestmark = pytest.mark.one_backend


def test_data_that_is_no_mixture_is_refused(refusing):
    text = (
        "`x` must be a keras_imp.TaskMixture. Received: type='tuple'. Wrap the "
        "data of each task: TaskMixture({task name: keras_imp.data.Arrays("
        "{modality: x}, y)})."
    )
    for method in (refusing.fit, refusing.evaluate):
        with exactly(TypeError, text):
            method((IMAGES, LABELS))
    with exactly(TypeError, text.replace("`x`", "`validation_data`")):
        refusing.fit(
            first("objects", GOOD["objects"]), validation_data=(IMAGES, LABELS)
        )


def test_an_epoch_of_unknown_length_is_refused(refusing):
    mixture = first("objects", GOOD["objects"])
    mixture.steps_per_epoch = None
    text = (
        "A mixture must know how long an epoch is: a schedule has no end. "
        "Received: steps_per_epoch=None. Set `steps_per_epoch`, in `fit` or in "
        "the mixture."
    )
    with exactly(ValueError, text):
        refusing.fit(mixture, verbose=0)
    text = (
        "`steps_per_epoch` must be greater than 0. Received: steps_per_epoch=0."
    )
    with exactly(ValueError, text):
        refusing.fit(mixture, steps_per_epoch=0)


@pytest.mark.parametrize(
    ("method", "instead"),
    [("train_on_batch", "fit"), ("test_on_batch", "evaluate")],
)
def test_a_batch_without_its_task_is_refused(refusing, method, instead):
    text = (
        f"`{method}` cannot be used: a batch alone does not tell its task. Use "
        f"`{instead}` with keras_imp.TaskMixture.sequential("
        "{task name: [batch]})."
    )
    with exactly(NotImplementedError, text):
        getattr(refusing, method)({"image": IMAGES}, LABELS)


def test_a_number_of_batches_to_read_ahead_is_checked():
    text = (
        "`prefetch` must be a number of batches, 0 or more. Received: "
        "prefetch=-1."
    )
    with exactly(ValueError, text):
        TaskMixture({"objects": [GOOD["objects"]]}, prefetch=-1)


def test_a_model_that_is_not_compiled_is_refused(refusing):
    fresh = AlternatingModel(
        refusing.encoder, [Classification("o", "image", 3)]
    )
    text = (
        "The model must be compiled before `fit`. Call "
        "model.compile(optimizer=...)."
    )
    with exactly(ValueError, text):
        fresh.fit(TaskMixture({"o": [GOOD["objects"]]}, steps_per_epoch=1))


def test_a_loss_in_compile_is_refused(refusing):
    text = (
        "`loss` must not be given: each task has its own. Received: "
        "loss='mse'. Set it in the task."
    )
    with exactly(ValueError, text):
        refusing.compile(optimizer="sgd", loss="mse")


WRAPPED = pytest.mark.parametrize(
    "wrap", [lambda optimizer: optimizer, keras.optimizers.LossScaleOptimizer],
    ids=["float32", "mixed float16"],
)  # fmt: skip


@WRAPPED
def test_accumulated_gradients_need_all_updates(wrap):
    text = (
        "Gradient accumulation needs `update='all'`: a head whose task is not "
        "the last micro-step would lose its gradient. Received: "
        "gradient_accumulation_steps=2, update='touched'."
    )
    optimizer = keras.optimizers.SGD(gradient_accumulation_steps=2)
    fresh = models.make_model(optimizer=wrap(optimizer))
    with exactly(ValueError, text):
        fresh.fit(models.in_turn(), steps_per_epoch=1)


@WRAPPED
def test_several_optimizers_need_all_updates(wrap):
    text = (
        "keras.optimizers.MultiOptimizer needs `update='all'`: it takes a "
        "gradient of each weight, and in a step each of its optimizers must "
        "have one. Received: update='touched'. For rates and decay by weight, "
        "use keras_imp.optimizers.AdamW, or Muon."
    )
    sgd = keras.optimizers.SGD()
    several = keras.optimizers.MultiOptimizer(lambda variable: sgd)
    fresh = models.make_model(optimizer=wrap(several))
    with exactly(ValueError, text):
        fresh.fit(models.in_turn(), steps_per_epoch=1)


def test_an_unknown_way_to_update_is_refused(refusing):
    text = (
        "`update` must be one of ('touched', 'all'). Received: update='some'."
    )
    with exactly(ValueError, text):
        AlternatingModel(refusing.encoder, models.tasks(), update="some")


@pytest.mark.parametrize(
    ("task", "x", "text"),
    [
        (
            None,
            {"image": IMAGES},
            f"`task` must be given: the model has the tasks {NAMES}. "
            "Received: task=None.",
        ),
        (
            "smells",
            {"image": IMAGES},
            f"The model has the tasks {NAMES}. Received: task='smells'.",
        ),
        (
            "objects",
            {"text": TEXT},
            "Task 'objects' needs the inputs ['image'], but its batch has "
            "['text']. Add ['image'] to the task's data, or choose a task with "
            "other modalities.",
        ),
        (
            "objects",
            {"image": np.ma.masked_array(IMAGES, IMAGES == 0)},
            "`x['image']` must not be a masked array: what is masked would "
            "count as any other value. Received: masked=864. Fill it, "
            "x.filled(0); 0 is padding in token ids. To leave examples out, "
            "give them a `sample_weight` of 0.",
        ),
        (
            "captions",
            {"image": IMAGES[0]},
            "Task 'captions': The input 'image' must have shape (batch, "
            "height, width, 3). Received: shape=(8, 12, 3).",
        ),
        (
            "captions",
            {"image": IMAGES, "text": TEXT[:1]},
            "Task 'captions': all inputs must have the same number of "
            f"examples, at least one. Received: examples={{'image': "
            f"{len(IMAGES)}, 'text': 1}}.",
        ),
        (
            "objects",
            {"image": IMAGES[:0]},
            "Task 'objects': all inputs must have the same number of examples, "
            "at least one. Received: examples={'image': 0}. Leave empty "
            "batches out.",
        ),
    ],
    ids=[
        "no task",
        "unknown task",
        "missing modality",
        "masked values",
        "wrong rank",
        "unequal lengths",
        "no example",
    ],
)
def test_a_prediction_that_cannot_be_made_is_refused(refusing, task, x, text):
    with exactly(ValueError, text):
        refusing.predict(x, task=task, verbose=0)


def test_a_task_of_one_modality_takes_its_array_alone():
    one = models.make_model(lambda: models.tasks()[:1])
    x, y = models.make_data()["objects"][0]
    one.fit(
        models.in_turn({"objects": [(x["image"], y)]}),
        steps_per_epoch=1,
        verbose=0,
    )
    np.testing.assert_array_equal(
        one.predict(x["image"], verbose=0), one.predict(x, verbose=0)
    )


@pytest.mark.parametrize("seed", [None, -1, 0.5])
def test_a_mixture_needs_a_seed_that_can_be_repeated(seed):
    rule = (
        "`seed` must be an integer of at least 0: without one, a resumed run "
        f"could not draw the same tasks. Received: seed={seed!r}."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(rule)}$"):
        TaskMixture({"a": [((0,),)]}, seed=seed)


@pytest.mark.parametrize("schedule", ["round_robin", schedules.RoundRobin])
def test_a_schedule_is_an_instance(schedule):
    rule = (
        "`schedule` must be an instance of a subclass of "
        f"keras_imp.schedules.Schedule. Received: schedule={schedule!r}. Use "
        "keras_imp.schedules.RoundRobin(), for example."
    )
    with pytest.raises(TypeError, match=f"^{re.escape(rule)}$"):
        TaskMixture({"a": [((0,),)]}, schedule=schedule)


def test_one_schedule_serves_two_mixtures():
    schedule = schedules.RoundRobin()
    first = TaskMixture({"a": [0], "b": [0]}, schedule, steps_per_epoch=4)
    TaskMixture({"c": [0]}, schedule)
    assert [next(iter(item)) for item in first] == ["a", "b", "a", "b"]


@pytest.mark.parametrize(
    ("drawn", "received"),
    [
        (np.zeros(5, "int64"), "shape=(5,), dtype='int64'"),
        (np.zeros(1024), "shape=(1024,), dtype='float64'"),
        (np.full(1024, 9), "index=9"),
        (np.full(1024, -1), "index=-1"),
    ],
)
def test_draws_of_an_own_schedule_are_checked(drawn, received):
    class Own(schedules.Schedule):
        def draw(self, block):
            return drawn

    rule = (
        "`Own.draw` must return 1024 indices of the 2 tasks. Received: "
        f"{received}."
    )
    schedule = Own().bind(("a", "b"))
    with pytest.raises(ValueError, match=f"^{re.escape(rule)}$"):
        schedule.task(0)


def test_a_py_dataset_is_told_that_a_pass_is_over():
    class Shuffled:
        def __init__(self):
            self.passes = 0

        def __len__(self):
            return 2

        def __getitem__(self, index):
            return (self.passes, index)

        def on_epoch_end(self):
            self.passes += 1

    source = open_source("a", Shuffled())
    assert [source.batch(i) for i in range(5)] == [
        (0, 0),
        (0, 1),
        (1, 0),
        (1, 1),
        (2, 0),
    ]
    resumed = open_source("a", Shuffled())
    assert resumed.batch(4) == (2, 0)


class Opened(keras.utils.PyDataset):
    """Without a length, and told of each pass."""

    def __init__(self, num_batches=2):
        super().__init__()
        self.count = num_batches
        self.told = ""

    @property
    def num_batches(self):
        return self.count

    def __getitem__(self, index):
        return index

    def on_epoch_begin(self):
        self.told += "("

    def on_epoch_end(self):
        self.told += ")"


def test_a_py_dataset_is_told_that_a_pass_begins():
    data = Opened()
    source = open_source("a", data)
    assert (len(source), source.num_batches, data.told) == (2, 2, "")
    told = {i: (source.batch(i), data.told)[1] for i in range(5)}
    assert told == {0: "(", 1: "(", 2: "()(", 3: "()(", 4: "()()("}
    # A run that starts again, and one that is resumed.
    source.batch(0)
    assert data.told == "()()(("
    resumed = Opened()
    assert open_source("a", resumed).batch(5) == 1
    assert resumed.told == "()()("


def test_a_py_dataset_without_an_end_is_a_stream():
    source = open_source("a", Opened(None))
    assert source.num_batches is None
    assert [source.batch(i) for i in range(3)] == [0, 1, 2]


ARRAYS = (
    "keras_imp.data.Arrays({modality: x}, y, sample_weight, batch_size=32)})"
)


@pytest.mark.parametrize(
    ("method", "mixture"),
    [("fit", "TaskMixture"), ("evaluate", "TaskMixture.sequential")],
)
@pytest.mark.parametrize(
    "name", ["batch_size", "sample_weight", "shuffle", "y"]
)
def test_arguments_for_arrays_are_refused(refusing, method, mixture, name):
    rule = (
        f"`{name}` of `{method}` is for arrays: a mixture has batches, with "
        f"their targets and weights. Received: {name}=8. Write {method}("
        f"keras_imp.{mixture}({{task name: {ARRAYS})."
    )
    with exactly(ValueError, rule):
        getattr(refusing, method)(models.make_mixture(), **{name: 8})


@pytest.mark.parametrize("method", ["fit", "evaluate"])
def test_arrays_are_refused(refusing, method):
    rule = f"`y` of `{method}` is for arrays: .* Received: y=\\(3,\\)\\. Write"
    with pytest.raises(ValueError, match=rule):
        getattr(refusing, method)(IMAGES, LABELS)


@pytest.mark.parametrize("size", [-1, 0, 2.5, "4"])
def test_a_batch_size_of_a_prediction_is_a_whole_number(refusing, size):
    text = (
        "`batch_size` must be an integer of at least 1. Received: "
        f"batch_size={size!r}."
    )
    with exactly(ValueError, text):
        refusing.predict({"image": IMAGES}, task="objects", batch_size=size)


def test_dropping_tokens_of_another_modality_is_refused(refusing):
    task = Classification("o", "image", 3, drop_tokens={"video": 0.5})
    text = (
        "`drop_tokens` of task 'o' must name some of its modalities "
        "('image',). Received: modality='video'."
    )
    with exactly(ValueError, text):
        AlternatingModel(refusing.encoder, [task])


def test_dropping_tokens_needs_an_encoder_that_counts_them():
    task = Classification("o", "image", 3, drop_tokens={"image": 0.5})
    text = (
        "`drop_tokens` of task 'o' needs an encoder with num_tokens, kept; see "
        "keras_imp.models.TokenEncoder. Received: encoder='TinyEncoder', "
        "missing=['num_tokens', 'kept']. Use an IMPEncoder, or add what is "
        "missing. Or drop tokens on the host."
    )
    with exactly(ValueError, text):
        AlternatingModel(models.TinyEncoder(), [task])
