import hashlib
import pickle
import re

import numpy as np
import pytest

import keras_imp
from keras_imp.data import ResizedArrays, Shape
from keras_imp.data.order import Order, OrderInShapes

ROWS = 61
SHAPES = [
    Shape(video=(4, 16, 16), text=3, weight=2),
    Shape(video=(8, 32, 32), text=5, drop={"video": 0.5}),
    Shape(video=(8, 16, 32), text=5),
]
# (1, 2, 2) patches + 3 tokens; half of (2, 4, 4) + 5; (2, 2, 4) + 5.
BATCHES = [84 // 7, 84 // 21, 84 // 21]


def planned(shapes=SHAPES, tokens=84):
    encoder = keras_imp.IMPEncoder(
        8,
        16,
        1,
        2,
        modalities=("video", "text"),
        vocabulary_size=99,
        patch_size=(4, 8, 8),
    )
    budget = keras_imp.TokenBudget(tokens_per_batch=tokens)
    return budget.plan(encoder, {"clips": shapes})["clips"]


@pytest.fixture(scope="module")
def shapes():
    return planned()


def arrays(rows=ROWS):
    rng = np.random.default_rng(0)
    return {
        "video": rng.integers(0, 256, (rows, 8, 32, 32, 3), "uint8"),
        "text": rng.integers(1, 99, (rows, 5)),
    }


def make(shapes, rows=ROWS, **options):
    x, y = arrays(rows), np.arange(rows)
    return ResizedArrays(x, y, shapes=shapes, **options)


def numbers(shapes, rows, **options):
    """A source whose batches cost nothing: only their rows matter."""
    text = np.zeros((rows, 5), int)
    shapes = [
        type(one)(
            **{
                **vars(one),
                "shape": Shape(text=3, weight=one.shape.weight),
            }
        )
        for one in shapes
    ]
    return ResizedArrays(
        {"text": text}, np.arange(rows), shapes=shapes, **options
    )


def drawn_rows(data, count):
    return [data.batch_at(i)[1] for i in range(count)]


def test_batch_sizes_follow_the_plan(shapes):
    assert [one.batch_size for one in shapes] == BATCHES


@pytest.mark.parametrize("rows", [ROWS, 36, 13, 12])
def test_each_pass_takes_every_example_exactly_once(shapes, rows):
    stream = np.concatenate(drawn_rows(numbers(shapes, rows), 60))
    passes = len(stream) // rows
    assert passes >= 3
    for number in range(passes):
        taken = stream[number * rows : (number + 1) * rows]
        assert sorted(taken) == list(range(rows))


def test_each_pass_has_another_order(shapes):
    stream = np.concatenate(drawn_rows(numbers(shapes, ROWS), 40))
    assert (stream[:ROWS] != stream[ROWS : 2 * ROWS]).any()


@pytest.mark.parametrize("rows", [36, 37, ROWS])
def test_no_batch_has_an_example_twice(shapes, rows):
    for seed in range(20):
        for batch in drawn_rows(numbers(shapes, rows, seed=seed), 40):
            assert len(set(batch)) == len(batch)


def test_without_the_exchange_some_batch_would(shapes, monkeypatch):
    monkeypatch.setattr(OrderInShapes, "shuffled", Order.shuffled)
    batches = [
        batch
        for seed in range(20)
        for batch in drawn_rows(numbers(shapes, 36, seed=seed), 40)
    ]
    assert any(len(set(batch)) < len(batch) for batch in batches)


def test_a_batch_far_away_is_read_at_once(shapes):
    data = numbers(shapes, ROWS, seed=1)
    far = data.batch_at(10**9)[1]
    assert len(far) in BATCHES
    np.testing.assert_array_equal(
        far, numbers(shapes, ROWS, seed=1).batch_at(10**9)[1]
    )


def test_each_cycle_has_every_shape_as_often_as_its_weight(shapes):
    data = make(shapes)
    decks = [
        tuple(data.batch_at(4 * deck + i)[0]["text"].shape[0] for i in range(4))
        for deck in range(6)
    ]
    assert {tuple(sorted(deck)) for deck in decks} == {(4, 4, 12, 12)}
    assert len(set(decks)) > 1


def test_inputs_have_the_sizes_of_their_shape(shapes):
    data, seen = make(shapes), set()
    for i in range(8):
        x, y = data.batch_at(i)
        video = x["video"]
        if isinstance(video, dict):
            seen.add((video["patches"].shape, video["positions"].shape))
            assert video["patches"].dtype == "uint8"
        else:
            seen.add(video.shape)
        assert len(x["text"]) == len(y)
    assert seen == {
        (12, 4, 16, 16, 3),
        ((4, 16, 768), (4, 16, 3)),
        (4, 8, 16, 32, 3),
    }


def test_inputs_and_targets_stay_together(shapes):
    data, text = make(shapes), arrays()["text"]
    for i in range(8):
        x, y = data.batch_at(i)
        length = x["text"].shape[1]
        np.testing.assert_array_equal(x["text"], text[y, :length])


def test_tokens_may_be_left_to_the_task(shapes):
    data = make(shapes, drop_on_host=False)
    found = {data.batch_at(i)[0]["video"].shape for i in range(4)}
    assert (4, 8, 32, 32, 3) in found


def test_augment_comes_first_and_sees_the_full_size(shapes):
    seen = []

    def augment(batch, generator):
        seen.append((batch[0]["video"].shape[1:], generator.integers(1000)))
        return batch

    data = make(shapes, augment=augment)
    data.batch_at(1), data.batch_at(2), data.batch_at(1)
    assert {shape for shape, _ in seen} == {(8, 32, 32, 3)}
    assert seen[0] == seen[2] != seen[1]


def test_the_length_counts_the_batches_that_begin_in_the_first_pass(shapes):
    for rows in (12, 13, 36, ROWS):
        data = numbers(shapes, rows)
        sizes = [len(batch) for batch in drawn_rows(data, len(data))]
        assert sum(sizes) >= rows > sum(sizes[:-1])


def test_weights_come_third(shapes):
    data = ResizedArrays(
        arrays(),
        np.arange(ROWS),
        np.arange(ROWS) * 10,
        shapes=shapes,
    )
    _, y, weight = data.batch_at(3)
    np.testing.assert_array_equal(weight, y * 10)


def digest():
    """Of everything that some batches hold, for `tests/test_import.py`."""
    found = hashlib.sha256()
    data = make(planned(), seed=11)
    for i in (0, 1, 2, 3, 50):
        found.update(pickle.dumps(data.batch_at(i)))
    return found.hexdigest()


def test_no_shape_is_refused():
    text = (
        "`shapes` must have at least one shape. Received: shapes=(). Give the "
        "shapes of a task, plan[task]."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        make(())


def test_fewer_examples_than_a_batch_are_refused(shapes):
    text = (
        "There must be at least one batch of examples. Received: examples=11, "
        "batch_size=12. Use a smaller batch size."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        make(shapes, rows=11)


def test_a_shape_of_another_input_is_refused(shapes):
    text = (
        "Each shape must have sizes of inputs in `x`, ('text',). Received: "
        "modality='video'."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        ResizedArrays({"text": arrays()["text"]}, shapes=shapes)


def test_text_cannot_be_dropped_on_the_host():
    several = planned([Shape(text=4, drop={"text": 0.5})])
    text = {"text": arrays()["text"]}
    message = (
        "On the host, tokens can be dropped of inputs in patches only, "
        "('video',). Received: modality='text'. Use `drop_tokens` of the task "
        "for the others."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        ResizedArrays(text, shapes=several)
    left = ResizedArrays(text, shapes=several, drop_on_host=False)
    assert left.batch_at(0)[0]["text"].shape == (42, 4)
