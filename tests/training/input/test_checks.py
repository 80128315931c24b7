"""Bad batches, tasks and sources, through the doors that users go through."""

import keras
import numpy as np
import pytest

import keras_imp
from keras_imp import AlternatingModel, TaskMixture, schedules
from keras_imp.tasks import Classification
from keras_imp.training.input.checks import check_sample_weight
from tests.helpers import models
from tests.helpers.bad_batches import (
    GOOD,
    IMAGES,
    LABELS,
    NAMES,
    TEXT,
    VIDEOS,
    exactly,
    first,
)

pytestmark = pytest.mark.one_backend

# Batches --------------------------------------------------------------------

BATCHES = {
    "wrong rank": (
        "objects",
        ({"image": IMAGES[0]}, LABELS[:1]),
        "Task 'objects': The input 'image' must have shape (batch, height, "
        "width, 3). Received: shape=(8, 12, 3).",
    ),
    "size not divisible": (
        "objects",
        ({"image": np.zeros((3, 9, 12, 3))}, LABELS),
        "Task 'objects': `height` must be a multiple of the patch of 4. "
        "Received: height=9. Sizes that fit are 8 and 12; or set "
        'padding="same" to pad with zeros.',
    ),
    "frames below the temporal patch": (
        "clips",
        ({"video": VIDEOS[:, :1], "text": TEXT},),
        "Task 'clips': `frames` must be at least one patch of 2. Received: "
        'frames=1. Give 2 or more, or set padding="same" to pad with zeros.',
    ),
    "token id too large": (
        "captions",
        ({"image": IMAGES, "text": np.where(np.eye(3, 5) > 0, 11, TEXT)},),
        "Task 'captions': Token ids of 'text' must be in [0, 11), the size of "
        "the vocabulary. Received: id=11, row=0. Use the tokenizer that the "
        "model was built for, or set `vocabulary_size`.",
    ),
    "negative token id in one of several captions": (
        "captions",
        ({"image": IMAGES, "text": np.full((3, 2, 5), -1)},),
        "Task 'captions': Token ids of 'text' must be in [0, 11), the size of "
        "the vocabulary. Received: id=-1, row=0. Use the tokenizer that the "
        "model was built for, or set `vocabulary_size`.",
    ),
    "token ids that are no integers": (
        "captions",
        ({"image": IMAGES, "text": TEXT.astype("float32")},),
        "Task 'captions': Token ids must be integers of shape (batch, length). "
        "Received: shape=(3, 5), dtype='float32'.",
    ),
    "text longer than its positions": (
        "captions",
        ({"image": IMAGES, "text": np.ones((3, 99), int)},),
        "Task 'captions': A sequence must not be longer than the "
        "7 positions of its table. Received: length=99. Cut the "
        "sequence, or use more position buckets.",
    ),
    "a weight too few": (
        "objects",
        ({"image": IMAGES}, LABELS, np.ones(2)),
        "Task 'objects': `sample_weight` must have shape (3,), one weight for "
        "each example. Received: shape=(2,).",
    ),
    "a missing modality": (
        "captions",
        ({"image": IMAGES},),
        "Task 'captions' needs the inputs ['image', 'text'], but its batch has "
        "['image']. Add ['text'] to the task's data, or choose a task with "
        "other modalities.",
    ),
    "an array where several modalities are needed": (
        "captions",
        (IMAGES,),
        "Task 'captions' needs the inputs ['image', 'text'], but its batch has "
        "ndarray. Add ['image', 'text'] to the task's data, or choose a task "
        "with other modalities.",
    ),
    "columns of a loader": (
        "objects",
        {"pixel_values": IMAGES, "labels": LABELS},
        "Task 'objects' needs the inputs ['image'], but its batch has "
        "['labels', 'pixel_values']. Make pairs (x, y) of columns: lambda: "
        "(({'image': b['pixel_values']}, b['labels']) for b in loader).",
    ),
    "targets among the inputs": (
        "objects",
        {"image": IMAGES, "label": LABELS},
        "Task 'objects': A batch must be (x, y) or (x, y, sample_weight), with "
        "labels `y`. Received: y=None. The batch also has ['label']: give "
        "targets as `y`, not in `x`.",
    ),
    "targets first": (
        "objects",
        (LABELS, {"image": IMAGES}),
        "Task 'objects': the inputs are in `y`. Give (x, y), not (y, x).",
    ),
    "no example": (
        "objects",
        ({"image": IMAGES[:0]}, LABELS[:0]),
        "Task 'objects': all inputs must have the same number of examples, at "
        "least one. Received: examples={'image': 0}. Leave empty batches out.",
    ),
    "inputs of unlike length": (
        "captions",
        ({"image": IMAGES, "text": TEXT[:2]},),
        "Task 'captions': all inputs must have the same number of examples, at "
        "least one. Received: examples={'image': 3, 'text': 2}.",
    ),
    "text without a token": (
        "captions",
        ({"image": IMAGES, "text": TEXT[:, :0]},),
        "Task 'captions': Text must have at least one token. Received: "
        "shape=(3, 0). Pad empty text with 0 to the length of the others.",
    ),
    "masked values": (
        "objects",
        ({"image": np.ma.masked_array(IMAGES, IMAGES == 0)}, LABELS),
        "`x['image']` must not be a masked array: what is masked would count "
        "as any other value. Received: masked=864. Fill it, x.filled(0); 0 is "
        "padding in token ids. To leave examples out, give them a "
        "`sample_weight` of 0.",
    ),
    "rows of unlike length": (
        "captions",
        ({"image": IMAGES, "text": [[1, 2], [3], [4, 5, 6]]},),
        "`x['text']` must be one array, but its rows differ in length. "
        "Received: shortest=1, longest=3. Pad them: "
        'keras.utils.pad_sequences(rows, padding="post") puts 0 behind token '
        "ids.",
    ),
    "more than three parts": (
        "objects",
        ({"image": IMAGES}, LABELS, LABELS, LABELS),
        "A batch must be (x,), (x, y) or (x, y, sample_weight). Received: "
        "parts=4. Put several targets into a dict.",
    ),
    "a label out of range": (
        "objects",
        ({"image": IMAGES}, LABELS + 1),
        "Task 'objects': Labels must be integers in [0, 3), the number of "
        "classes. Received: label=3, row=2.",
    ),
    "no labels": (
        "objects",
        ({"image": IMAGES},),
        "Task 'objects': A batch must be (x, y) or (x, y, sample_weight), with "
        "labels `y`. Received: y=None.",
    ),
    "a contrastive batch of one": (
        "captions",
        ({"image": IMAGES[:1], "text": TEXT[:1]},),
        "Task 'captions': A contrastive batch must have at least 2 examples: "
        "with one there is nothing to contrast. Received: batch_size=1. Use "
        "another batch size, or leave out a smaller last batch: "
        "keras_imp.data.Arrays(..., drop_last=True).",
    ),
}


@pytest.mark.parametrize(
    ("name", "batch", "text"), BATCHES.values(), ids=BATCHES
)
def test_a_bad_batch_is_refused(refusing, name, batch, text):
    with exactly(ValueError, text, f"In batch 0 of task {name!r}."):
        refusing.fit(first(name, batch), verbose=0)


def test_a_wrong_channel_count_is_refused(refusing):
    batch = ({"image": IMAGES[..., :2]}, LABELS)
    # The rest of the sentence is the layer's, and tested there.
    with pytest.raises(ValueError, match=r"^Task 'objects': .*3 channel") as e:
        refusing.fit(first("objects", batch), verbose=0)
    assert "Received: shape=(3, 8, 12, 2)." in str(e.value)


def test_weights_survive_a_bad_batch(refusing):
    before = models.values(refusing.variables)
    for _ in range(2):
        with pytest.raises(ValueError, match="Task 'captions' needs"):
            refusing.fit(first("captions", (IMAGES,)), verbose=0)
        with pytest.raises(ValueError, match="Task 'captions' needs"):
            refusing.evaluate(
                TaskMixture.sequential({"captions": [(IMAGES,)]}), verbose=0
            )
    for path, value in models.values(refusing.variables).items():
        np.testing.assert_array_equal(value, before[path])
    assert int(refusing.optimizer.iterations) == 0


def test_weights_survive_a_bad_batch_after_good_ones():
    one = models.make_model(lambda: models.tasks()[:1])
    data = models.make_data()["objects"]
    mixture = lambda: models.in_turn({"objects": [data[0], data[1], "bad"]})
    with pytest.raises(ValueError, match=r"Task 'objects'"):
        one.fit(mixture(), steps_per_epoch=3, verbose=0)
    assert int(one.step_counter) == 2
    with pytest.raises(ValueError, match=r"Task 'objects'"):
        one.evaluate(
            TaskMixture.sequential({"objects": [data[0], "bad"]}), verbose=0
        )
    expected = models.make_model(lambda: models.tasks()[:1])
    expected.fit(
        models.in_turn({"objects": data[:2]}), steps_per_epoch=2, verbose=0
    )
    models.assert_same(models.state(one), models.state(expected))


# Tasks and modalities -------------------------------------------------------


def test_a_task_that_the_model_does_not_have_is_refused(refusing):
    sources = {name: [batch] for name, batch in GOOD.items()}
    sources["smells"] = sources["objects"]
    text = (
        "`x` has the task 'smells', which the model does not have. Received: "
        f"mixture={[*NAMES, 'smells']}, model={NAMES}. Add the task to the "
        "model, or take its source out of the mixture."
    )
    with exactly(ValueError, text):
        refusing.fit(TaskMixture(sources, steps_per_epoch=1))


@pytest.mark.parametrize("argument", ["validation_data", "x"])
def test_an_evaluated_task_that_the_model_does_not_have_is_refused(
    refusing, argument
):
    val = TaskMixture.sequential({"smells": [GOOD["objects"]]})
    text = (
        f"`{argument}` has the task 'smells', which the model does not have. "
        f"Received: mixture=['smells'], model={NAMES}. Add the task to the "
        "model, or take its source out of the mixture."
    )
    with exactly(ValueError, text):
        if argument == "x":
            refusing.evaluate(val)
        else:
            refusing.fit(first("objects", GOOD["objects"]), validation_data=val)


def test_a_modality_that_the_encoder_lacks_is_refused(refusing):
    text = (
        "Task 'smells' uses the modality 'audio', which the encoder does not "
        "have. Received: modalities=('image', 'video', 'text'). Add 'audio' "
        "to the encoder's `modalities`."
    )
    with exactly(ValueError, text):
        AlternatingModel(
            refusing.encoder, [Classification("smells", "audio", 3)]
        )


def test_an_unknown_modality_is_refused():
    text = (
        "A modality must be one of ('image', 'video', 'audio', 'waveform', "
        "'text'). Received: modality='smell'. Use one of these names. A "
        "modality of your own is known once the module that calls "
        "keras_imp.models.register_modality is imported."
    )
    with exactly(ValueError, text):
        keras_imp.IMPEncoder(8, 16, 1, 2, modalities=("smell",))


def test_two_tasks_of_one_name_are_refused(refusing):
    text = (
        "Each task needs a name of its own, but 'objects' is there more than "
        "once. Received: names=['objects', 'sounds', 'objects']."
    )
    objects, _, sounds = models.tasks()
    with exactly(ValueError, text):
        AlternatingModel(refusing.encoder, [objects, sounds, objects])


def test_no_task_is_refused(refusing):
    with exactly(ValueError, "`tasks` must have at least one task."):
        AlternatingModel(refusing.encoder, [])


def test_an_encoder_of_unknown_width_is_refused():
    text = (
        "`hidden_dim` must be given for an encoder without an attribute "
        "`hidden_dim`. Received: encoder='Identity'."
    )
    with exactly(ValueError, text):
        AlternatingModel(keras.layers.Identity(), models.tasks())


# Sources and schedules ------------------------------------------------------


def test_an_empty_source_is_refused():
    text = (
        "Task 'captions' has an empty source: it needs at least one batch. "
        "Received: len(source)=0. Give it data, or a smaller batch size."
    )
    with exactly(ValueError, text):
        TaskMixture({"objects": [GOOD["objects"]], "captions": []})


@pytest.mark.parametrize(
    ("number", "make", "text"),
    [
        (
            0,
            lambda: lambda: [],
            "Task 'objects' has an empty source: its iterator gave no batch. "
            "Give it data.",
        ),
        (
            1,
            lambda: (batch for batch in [models.make_data()["objects"][0]]),
            "The source of task 'objects' is exhausted after 1 batches and "
            "cannot be started again. Received: generator. Give the function "
            "that makes the generator, not the generator itself.",
        ),
    ],
    ids=["empty", "exhausted"],
)
def test_a_stream_that_ends_is_refused_in_fit(number, make, text):
    one = models.make_model(lambda: models.tasks()[:1])
    with exactly(ValueError, text, f"In batch {number} of task 'objects'."):
        one.fit(TaskMixture({"objects": make()}), steps_per_epoch=2, verbose=0)


@pytest.mark.parametrize("weight", [0, -1.5])
def test_a_schedule_with_a_weight_that_is_not_positive_is_refused(weight):
    text = (
        "The weight of a task must be finite and greater than 0. Received: "
        f"task='captions', weight={weight}. Leave the task out of the mixture "
        "to not train it."
    )
    with exactly(ValueError, text):
        schedules.Weighted({"objects": 1, "captions": weight})


BAD_TARGETS = {
    "text": (
        np.array(["a", "b", "c"]),
        "`y` must be numbers. Received: dtype='<U1'. Give each class a number, "
        "from 0.",
    ),
    "fractions": (
        np.array([0.0, 1.5, 2.0]),
        "Labels must be integers in [0, 3), the number of classes. Received: "
        "label=1.5, row=1.",
    ),
    "NaN": (
        np.array([0.0, 1.0, np.nan]),
        "Labels must be integers in [0, 3), the number of classes. Received: "
        "label=nan, row=2.",
    ),
    "negative probabilities": (
        np.array([[1.0, 0, 0], [0, -5.0, 0], [0, 0, 1]]),
        "Targets of shape (batch, num_classes) must be in [0, 1]. Received: "
        "target=-5.0, row=1.",
    ),
    "probabilities of more than 1": (
        np.array([[1.0, 0, 0], [0.9, 0.9, 0.9], [0, 0, 1]]),
        "The probabilities of an example must add up to 1. Received: sum=2.7, "
        "row=1. Divide them by their sum; for several classes at once, set "
        "multi_label=True.",
    ),
}


@pytest.mark.parametrize("case", BAD_TARGETS)
def test_bad_targets_are_refused(case):
    y, text = BAD_TARGETS[case]
    task = Classification("objects", "image", 3)
    with exactly(ValueError, text):
        task.check_batch({"image": IMAGES}, y)


@pytest.mark.parametrize("weight", [-1.0, np.nan])
def test_a_weight_that_is_no_weight_is_refused(weight):
    text = (
        "`sample_weight` must be finite and at least 0. Received: "
        f"weight={weight!r}, row=2."
    )
    with exactly(ValueError, text):
        check_sample_weight({"image": IMAGES}, np.array([1.0, 0.0, weight]))
