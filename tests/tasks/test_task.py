import re

import keras
import numpy as np
import pytest

from keras_imp import IMPEncoder
from keras_imp.tasks import (
    Classification,
    Contrastive,
    MaskedModeling,
    Regression,
    Task,
)
from keras_imp.tasks.task import count_examples, weighted_mean
from tests.helpers.weights import to_numpy


class Nothing(Task):
    @property
    def modalities(self):
        return ("image",)


def test_weighted_mean_divides_by_the_sum_of_the_weights():
    values = keras.ops.array([1.0, 2.0, 6.0])
    # A sum of 1 + 0 + 18 over a sum of weights of 4.
    mean = weighted_mean(values, keras.ops.array([1, 0, 3]))
    assert float(mean) == pytest.approx(4.75)
    assert float(weighted_mean(values, None)) == pytest.approx(3.0)


def test_weighted_mean_of_no_weight_at_all_is_zero():
    mean = weighted_mean(keras.ops.array([1.0, 2.0]), keras.ops.zeros(2))
    assert float(mean) == 0.0


def test_a_metric_of_a_task_has_the_name_of_the_task_in_front():
    task = Nothing("plants")
    metric = task.track(keras.metrics.Mean(name="recall"))
    assert metric.name == "plants/recall"
    assert task.loss_metric.name == "plants/loss"


@pytest.mark.parametrize("name", ["", "a/b", "a@b", "a\\b"])
def test_a_name_with_a_reserved_character_is_refused(name):
    text = (
        "The name of a task must not be empty or contain any of ('/', '@', "
        f"'\\\\'). Received: name={name!r}."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        Nothing(name)


def test_what_a_subclass_must_define_says_so():
    with pytest.raises(NotImplementedError, match="Define compute_loss"):
        Nothing("plants").compute_loss({}, None, None)
    with pytest.raises(NotImplementedError, match="Define them in its class"):
        Task("plants").modalities  # noqa: B018


def test_optional_hooks_do_nothing():
    task, x = Nothing("plants"), {"image": np.zeros(3)}
    assert task.encoder_inputs(x) is x
    task.check_batch(x, None)
    task.update_metrics(x, None, None)
    assert np.isnan(float(task.loss_metric.result()))


# Dropping tokens ------------------------------------------------------------


class Encoder:
    """Notes what it is called with; a picture has 13 tokens."""

    def __init__(self):
        self.calls = []

    def num_tokens(self, name, shape):
        return 13

    def __call__(self, inputs, **options):
        self.calls.append(options)
        return {
            name: {"pooled_output": x[:, 0, 0]} for name, x in inputs.items()
        }


def picture(batch=5):
    return {"image": keras.ops.ones((batch, 4, 4, 3))}


def drawn(training=True, calls=2, **options):
    """The kept tokens of some calls, each None or an array."""
    options = {"drop_tokens": {"image": 0.5}, "drop_seed": 3, **options}
    task, encoder = Nothing("plants", **options), Encoder()
    for _ in range(calls):
        task.encode(encoder, picture(), training)
    return [
        to_numpy(call.get("kept", {}).get("image")) for call in encoder.calls
    ]


def test_a_task_drops_tokens_of_each_example_while_training():
    first, second = drawn()
    assert first.shape == (5, 6)
    assert (np.diff(first, axis=1) > 0).all()
    assert first.max() < 13
    assert len({tuple(row) for row in first}) > 1
    assert (first != second).any()


def test_the_same_seed_drops_the_same_tokens():
    np.testing.assert_array_equal(drawn(), drawn())
    assert (np.array(drawn()) != drawn(drop_seed=4)).any()


@pytest.mark.parametrize("training", [False, None])
def test_a_task_drops_nothing_without_training(training):
    assert drawn(training) == [None, None]


@pytest.mark.parametrize("rates", [None, {}, {"image": 0.0}])
def test_an_encoder_without_kept_will_do_where_nothing_is_dropped(rates):
    task, encoder = Nothing("plants", drop_tokens=rates), Encoder()
    task.encode(encoder, picture(), True)
    assert encoder.calls == [{"training": True}]


def test_a_short_text_loses_padding_only():
    ids = np.zeros((50, 16), "int32")
    ids[:, 3], ids[:, 11] = 5, 7
    encoder = IMPEncoder(8, 16, 1, 2, modalities=("text",), vocabulary_size=9)
    task = Nothing("plants", drop_tokens={"text": 0.5}, drop_seed=3)
    features = task.encode(encoder, {"text": keras.ops.array(ids)}, True)
    mask = to_numpy(features["text"]["padding_mask"])
    assert mask.shape == (50, 8)
    assert (mask.sum(axis=1) == 2).all()


def test_other_modalities_lose_nothing():
    task = Nothing("plants", drop_tokens={"video": 0.5})
    encoder = Encoder()
    task.encode(encoder, picture(), True)
    assert encoder.calls == [{"training": True}]


@pytest.mark.parametrize(
    "make",
    [
        lambda **options: Classification("a", "image", 3, **options),
        lambda **options: Contrastive("a", ("image", "text"), **options),
    ],
    ids=["classification", "contrastive"],
)
def test_every_task_takes_shares_to_drop(make):
    task = make(drop_tokens={"image": 0.5}, drop_seed=3)
    copy = type(task).from_config(task.get_config())
    assert copy.drop_tokens == {"image": 0.5}
    assert copy.drop_seed == 3
    task.build(dict.fromkeys(task.modalities, (None, 3)))
    encoder = Encoder()
    task(picture(), encoder=encoder, training=True)
    (call,) = encoder.calls
    assert call["kept"]["image"].shape == (5, 6)


@pytest.mark.parametrize("rate", [-0.5, 1.0])
def test_a_share_outside_its_range_is_refused(rate):
    text = (
        "`drop_tokens['image']` must be in [0, 1). Received: "
        f"drop_tokens['image']={rate}."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        Nothing("plants", drop_tokens={"image": rate})


def test_dropping_on_the_host_and_in_the_task_is_refused():
    task = Nothing("plants", drop_tokens={"image": 0.5})
    cut = {"image": {"patches": np.zeros((5, 3, 4))}}
    text = (
        "Tokens of 'image' must be dropped either on the host or in the task, "
        "not in both. Received: task='plants', drop_tokens=0.5. Leave "
        "`drop_tokens` out of the task or of the data."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        task.encode(Encoder(), cut, True)


def test_the_examples_of_arrays_and_of_cut_inputs_are_counted():
    cut = {"patches": np.zeros((5, 3, 4)), "positions": np.zeros((5, 3, 3))}
    assert count_examples({"video": cut, "text": np.zeros((5, 2))}) == 5
    assert count_examples(np.zeros((4, 2))) == 4


@pytest.mark.parametrize(
    "make",
    [
        lambda: Regression("task", "image"),
        lambda: MaskedModeling("task", "image"),
    ],
)
@pytest.mark.parametrize(
    ("inputs", "received"),
    [({"text": 1, "audio": 2}, "['audio', 'text']"), (3, "'int'")],
)
def test_a_call_without_its_modality_is_refused(make, inputs, received):
    text = (
        "Task 'task' must have the input 'image'. Received: inputs="
        f"{received}. Give its inputs as a dict by modality."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        make().call(inputs, encoder=object())
