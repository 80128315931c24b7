import re

import numpy as np
import pytest

from keras_imp.data import Arrays


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


def test_a_batch_is_a_function_of_seed_and_number():
    forward = [make(seed=5).batch_at(i)[1].tolist() for i in range(7)]
    data = make(seed=5)
    backward = [data.batch_at(i)[1].tolist() for i in reversed(range(7))]
    assert forward == backward[::-1]
    assert forward != [make(seed=6).batch_at(i)[1].tolist() for i in range(7)]


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
            "`batch_size` must be greater than 0. Received: batch_size=0.",
        ),
    ],
    ids=[
        "rows differ",
        "rows of a dict differ",
        "less than a batch",
        "less than a batch, unshuffled",
        "empty batch",
    ],
)
def test_bad_arrays(build, text):
    with pytest.raises(ValueError, match=re.escape(text)):
        build()
