"""A resume with other data than the run began with is refused."""

from functools import partial

import keras
import numpy as np
import pytest

import keras_imp
from keras_imp.callbacks import Backup
from keras_imp.data import Arrays, augment
from keras_imp.training.checkpoint.run_description import (
    Difference,
    describe,
    first_difference,
)
from tests.helpers import models
from tests.helpers.bad_batches import exactly
from tests.helpers.interruption import InterruptedRunError, StopAfter

pytestmark = pytest.mark.one_backend

RNG = np.random.default_rng(0)
IMAGES = RNG.normal(size=(24, 5)).astype("float32")
LABELS = RNG.integers(0, 3, 24)


def brighter(batch, generator):
    return batch


def darker(batch, generator):
    return batch


def flips(probability):
    flip = partial(augment.images.flip, probability=probability)
    return augment.Compose(image=flip)


def arrays(x=IMAGES, y=LABELS, sample_weight=None, **options):
    options = {"batch_size": 6, "augment": brighter, **options}
    return Arrays({"image": x}, y, sample_weight, **options)


@pytest.fixture(scope="module")
def model():
    model = models.make_model(models.one_task, optimizer="sgd")
    model.optimizer.build(model.trainable_variables)
    return model


def difference(model, first, second, same_version=True):
    runs = [
        describe(model, models.in_turn({"objects": data}, steps_per_epoch=4))
        for data in (first, second)
    ]
    return first_difference(*runs, same_version=same_version)


def test_the_same_data_read_again_is_the_same_run(model):
    assert difference(model, arrays(), arrays(IMAGES.copy())) is None


@pytest.mark.parametrize(
    ("first", "second", "where", "values"),
    [
        ({}, {"seed": 1}, "seed", (0, 1)),
        ({}, {"shuffle": False}, "shuffle", (True, False)),
        ({}, {"augment": darker}, "augment", ("brighter", "darker")),
        ({}, {"augment": None}, "augment", ("brighter", None)),
        (
            {"augment": flips(0.5)},
            {"augment": flips(0.4)},
            "augment.of_modality.image.0.probability",
            (0.5, 0.4),
        ),
        (
            {"batch_size": 7},
            {"batch_size": 8},
            "batch_size",
            (7, 8),  # Three batches in a pass both times.
        ),
        (
            {},
            {"x": IMAGES.astype("float16")},
            "x.image.dtype",
            ("float32", "float16"),
        ),
        (
            {"x": IMAGES[:, :4]},
            {"x": IMAGES},
            "x.image.shape",
            ([24, 4], [24, 5]),
        ),
        (
            {},
            {"sample_weight": np.ones(24)},
            "sample_weight",
            (None, {"dtype": "float64", "shape": [24], "content": [1.0] * 25}),
        ),
    ],
    ids=[
        "seed", "shuffle", "augment", "no augment", "settings", "batch size",
        "type", "shape", "weights",
    ],
)  # fmt: skip
def test_arguments_of_arrays_are_compared(model, first, second, where, values):
    found = difference(model, arrays(**first), arrays(**second))
    assert found == Difference(f"mixture.sources.objects.{where}", *values)


def test_other_examples_are_told_from_those_of_the_backup(model):
    found = difference(model, arrays(), arrays(IMAGES[::-1]))
    assert found.where.startswith("mixture.sources.objects.x.image.content[")
    found = difference(model, arrays(), arrays(y=(LABELS + 1) % 3))
    assert found.where == "mixture.sources.objects.y.content"


def test_shapes_of_resized_arrays_are_compared(model):
    encoder = keras_imp.IMPEncoder(8, 16, 1, 2, modalities=("image",))
    images = np.zeros((50, 32, 32, 3), "uint8")

    def resized(size, **options):
        shapes = [keras_imp.data.Shape(image=(size, size))]
        plan = keras_imp.TokenBudget(tokens_per_batch=64).plan(
            encoder, {"objects": shapes}
        )
        return keras_imp.data.ResizedArrays(
            {"image": images}, shapes=plan["objects"], **options
        )

    assert difference(model, resized(32), resized(32)) is None
    found = difference(model, resized(32), resized(32, drop_on_host=False))
    assert found.where == "mixture.sources.objects.drop_on_host"


def test_lists_of_batches_are_compared_by_some_of_them(model):
    batches = models.make_data()["objects"]
    assert difference(model, batches, list(batches)) is None
    found = difference(model, batches, [*batches[:-1], batches[0]])
    assert found.where.startswith("mixture.sources.objects.batch_2[0].content")


class Own(keras.utils.PyDataset):
    """A user's own data, which tells what it likes of itself."""

    def __init__(self, batch_size=6, told=None):
        super().__init__()
        self.batch_size = batch_size
        self.told = told

    def __len__(self):
        return 4

    def __getitem__(self, index):
        raise AssertionError("read")

    def describe(self):
        return self.told


def test_own_data_tells_what_is_to_be_compared_or_is_known_by_its_sizes(model):
    told = {"files": ["a.png", "b.png"], "seed": 3}
    assert difference(model, Own(told=told), Own(told=told)) is None
    found = difference(model, Own(told=told), Own(told={**told, "seed": 4}))
    assert found == Difference("mixture.sources.objects.seed", 3, 4)
    found = difference(model, Own(), Own(batch_size=8))
    assert found == Difference("mixture.sources.objects.batch_size", 6, 8)


def test_a_stream_is_known_by_what_it_tells_without_being_read(model):
    def read():
        raise AssertionError("read")

    assert difference(model, read, read) is None


def test_a_backup_of_another_version_is_compared_by_what_it_knows(model):
    run = describe(model, models.in_turn({"objects": arrays()}))
    older = {**run, "mixture": dict(run["mixture"])}
    del older["mixture"]["sources"]
    assert first_difference(older, run, same_version=False) is None
    assert first_difference(older, run) is not None
    other = {**older, "tasks": ["things"]}
    found = first_difference(other, run, same_version=False)
    assert found == Difference("tasks", ["things"], ["objects"])


def test_fit_refuses_a_backup_of_other_data(tmp_path):
    def fit(data, callbacks=()):
        model = models.make_model(
            models.one_task, optimizer="sgd", **models.few_steps()
        )
        model.fit(
            models.in_turn({"objects": data}, steps_per_epoch=4),
            verbose=0,
            callbacks=[Backup(tmp_path, every=1), *callbacks],
        )

    with pytest.raises(InterruptedRunError):
        fit(arrays(), [StopAfter(2)])
    (path,) = tmp_path.iterdir()
    text = (
        "The backup is of another run: `mixture.sources.objects.seed` differs. "
        f"Received: file={str(path)!r}, backup=0, now=7. Continue with what "
        "that run was given, or choose another folder. "
        "`model.load_weights(file)` takes its weights alone."
    )
    with exactly(ValueError, text):
        fit(arrays(seed=7))
    fit(arrays())
