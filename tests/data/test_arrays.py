import itertools
import pickle
import re

import keras
import numpy as np
import pytest

from keras_imp import TaskMixture
from keras_imp.data import Arrays

pytestmark = pytest.mark.one_backend


def make(**kwargs):
    x = {"audio": np.arange(11)[:, None]}
    return Arrays(x, np.arange(11), **{"batch_size": 3, **kwargs})


def test_a_shuffled_pass_has_whole_batches_of_different_rows():
    data = make()
    rows = np.concatenate([y for _, y in (data[i] for i in range(len(data)))])
    assert len(rows) == 9
    assert len(set(rows.tolist())) == 9


def test_each_pass_has_another_order():
    data = make()
    assert data.batch_at(0)[1].tolist() != data.batch_at(3)[1].tolist()


def test_inputs_and_targets_stay_together():
    x, y = make().batch_at(4)
    np.testing.assert_array_equal(x["audio"][:, 0], y)


def test_an_unshuffled_pass_keeps_the_rest():
    data = make(shuffle=False)
    assert len(data) == 4
    assert data[3][1].tolist() == [9, 10]


@pytest.mark.parametrize("shuffle", [False, True])
def test_the_rest_is_left_out_or_kept_shuffled_or_not(shuffle):
    whole = make(shuffle=shuffle, drop_last=True)
    assert [len(whole[i][1]) for i in range(len(whole))] == [3, 3, 3]
    rest = make(shuffle=shuffle, drop_last=False)
    # Over two passes: each has every row once.
    batches = [rest.batch_at(i)[1] for i in range(2 * len(rest))]
    assert [len(batch) for batch in batches] == [3, 3, 3, 2] * 2
    for one in (batches[:4], batches[4:]):
        assert sorted(np.concatenate(one).tolist()) == list(range(11))


def test_a_set_smaller_than_a_batch_can_be_kept_whole():
    data = make(batch_size=12, drop_last=False)
    assert len(data) == 1
    assert sorted(data[0][1].tolist()) == list(range(11))


def test_augment_gets_a_generator_that_depends_on_the_batch():
    def augment(batch, generator):
        return (*batch, generator.integers(1000))

    data = make(augment=augment)
    assert data.batch_at(1)[2] == make(augment=augment).batch_at(1)[2]
    assert data.batch_at(1)[2] != data.batch_at(2)[2]


def test_weights_come_third():
    _, y, weight = make(sample_weight=np.arange(11) * 10)[0]
    np.testing.assert_array_equal(weight, y * 10)


class Noted(Arrays):
    """Notes the number of each batch that is read."""

    def batch_at(self, index):
        self.__dict__.setdefault("read", []).append(index)
        return super().batch_at(index)


def plain_model():
    audio = keras.Input((1,), name="audio")
    model = keras.Model({"audio": audio}, keras.layers.Dense(1)(audio))
    model.compile("sgd", "mse")
    return model


@pytest.mark.parametrize("workers", [1, 2])
def test_each_epoch_of_a_plain_model_is_the_next_pass(workers):
    data = Noted(
        {"audio": np.arange(11)[:, None]},
        np.arange(11),
        batch_size=3,
        workers=workers,
    )
    plain_model().fit(data, epochs=3, verbose=0)
    # What Keras reads before it builds the model comes before the first epoch.
    read = data.read[-9:]
    first = min(read)
    epochs = [sorted(read[i : i + 3]) for i in (0, 3, 6)]
    assert [*itertools.chain(*epochs)] == [*range(first, first + 9)]


@pytest.mark.parametrize("workers", [1, 2])
def test_what_a_plain_model_predicted_can_be_read_once_more(workers):
    data, model = make(workers=workers), plain_model()
    model.fit(data, epochs=2, verbose=0)
    for _ in range(2):
        found = model.predict(data, verbose=0)
        x = np.concatenate([x["audio"] for x, _ in data])
        expected = keras.ops.convert_to_numpy(model({"audio": x}))
        np.testing.assert_allclose(expected, found, rtol=1e-5)


def test_epochs_of_fewer_steps_than_a_pass_share_it():
    data = Noted({"audio": np.arange(30)[:, None]}, np.arange(30), batch_size=3)
    # Ten batches: five epochs make two passes, and no batch comes twice.
    plain_model().fit(data, epochs=10, steps_per_epoch=2, verbose=0)
    read = [*dict.fromkeys(data.read)]
    first, second = ({i // 10 for i in read[at : at + 10]} for at in (0, 10))
    assert len(first) == len(second) == 1
    assert first != second


def test_unshuffled_data_is_evaluated_alike_each_time():
    data, model = make(shuffle=False), plain_model()
    found = [model.evaluate(data, verbose=0) for _ in range(2)]
    assert found[0] == found[1]


def test_a_copy_for_another_process_reads_the_same_pass():
    data = make()
    for _ in range(3):
        data.on_epoch_begin()
    copy = pickle.loads(pickle.dumps(data))
    assert copy[1][1].tolist() == data.batch_at(7)[1].tolist()
    # A mixture counts for itself.
    assert TaskMixture({"a": data}).sources["a"].batch(1)[1].tolist() == (
        make().batch_at(1)[1].tolist()
    )


def test_targets_may_be_a_dict():
    y = {"low": np.arange(11), "high": np.arange(11) * 10}
    batch = Arrays({"audio": np.arange(11)}, y, batch_size=3).batch_at(4)
    for name, factor in (("low", 1), ("high", 10)):
        expected = batch[0]["audio"] * factor
        np.testing.assert_array_equal(batch[1][name], expected)


@pytest.mark.parametrize(
    ("build", "text"),
    [
        (
            lambda: Arrays({"audio": np.zeros(3)}, np.zeros(4)),
            "All arrays must have equally many rows. Received: audio=3, y=4.",
        ),
        (
            lambda: Arrays({"audio": np.zeros(3)}, {"low": np.zeros(4)}),
            "All arrays must have equally many rows. Received: audio=3, "
            "y['low']=4.",
        ),
        (
            lambda: make(batch_size=12),
            "There must be at least one batch of examples. Received: "
            "examples=11, batch_size=12. Use a smaller batch size.",
        ),
        (
            lambda: make(batch_size=12, shuffle=False, drop_last=True),
            "There must be at least one batch of examples. Received: "
            "examples=11, batch_size=12. Use a smaller batch size.",
        ),
        (
            lambda: make(batch_size=0),
            "`batch_size` must be an integer of at least 1. Received: "
            "batch_size=0.",
        ),
        (
            lambda: make(batch_size=2.5),
            "`batch_size` must be an integer of at least 1. Received: "
            "batch_size=2.5.",
        ),
        (
            lambda: make(batch_size="4"),
            "`batch_size` must be an integer of at least 1. Received: "
            "batch_size='4'.",
        ),
        (
            lambda: make(seed=-1),
            "`seed` must be an integer of at least 0. Received: seed=-1.",
        ),
        (lambda: Arrays({}), "`x` must have at least one modality. Received: "),
        (
            lambda: Arrays({"audio": np.float32(3)}),
            "`x['audio']` must be an array with one row per example. Received: "
            "type='float32'.",
        ),
        (
            lambda: Arrays({"audio": "4"}),
            "`x['audio']` must be an array with one row per example. Received: "
            "type='str'.",
        ),
        (
            lambda: Arrays({"audio": np.zeros(0)}, shuffle=False),
            "There must be at least one example. Received: audio=0.",
        ),
        (
            lambda: Arrays({"text": [[1, 2], [3]]}),
            "`x['text']` must be one array, but its rows differ in length. "
            "Received: shortest=1, longest=2. Pad them: "
            'keras.utils.pad_sequences(rows, padding="post") puts 0 behind '
            "token ids.",
        ),
        (
            lambda: Arrays(
                {"audio": np.zeros(3)}, np.ma.masked_array([1, 2, 3], [0, 1, 0])
            ),
            "`y` must not be a masked array: what is masked would count as any "
            "other value. Received: masked=1. Fill it, x.filled(0); 0 is "
            "padding in token ids. To leave examples out, give them a "
            "`sample_weight` of 0.",
        ),
    ],
    ids=[
        "rows differ",
        "rows of a dict differ",
        "less than a batch",
        "less than a batch, unshuffled",
        "empty batch",
        "a part of an example",
        "a batch size as text",
        "a negative seed",
        "no modality",
        "one number",
        "a string",
        "no example",
        "rows of unlike length",
        "masked targets",
    ],
)
def test_bad_arrays(build, text):
    with pytest.raises(ValueError, match=re.escape(text)):
        build()


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (
            {"x": np.zeros((4, 8, 8, 3))},
            "`x` must be a dict from modality to its array. Received: "
            "type='ndarray'. Name the modality: Arrays({\"image\": x}, y).",
        ),
        (
            {"x": {"audio": np.zeros(4)}, "augment": "flip"},
            "`augment` must be a function (batch, generator) -> batch. "
            "Received: augment='flip'.",
        ),
    ],
    ids=["an array alone", "no function"],
)
def test_arguments_of_another_kind(arguments, text):
    with pytest.raises(TypeError, match=f"^{re.escape(text)}$"):
        Arrays(**arguments)


def test_lists_and_columns_are_arrays():
    class Column(list):
        """Indexed by label, as a column of a data frame."""

        def __getitem__(self, index):
            raise KeyError(index)

        def __array__(self, dtype=None, copy=None):
            return np.array(list(self))

    data = Arrays(
        {"text": [[1, 2], [3, 4]]},
        Column([5, 6]),
        Column([0.5, 1.5]),
        batch_size=2,
        shuffle=False,
    )
    x, y, weight = data[0]
    np.testing.assert_array_equal(x["text"], [[1, 2], [3, 4]])
    assert y.tolist() == [5, 6]
    assert weight.tolist() == [0.5, 1.5]
