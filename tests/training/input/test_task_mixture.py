import re
import threading

import numpy as np
import pytest

from keras_imp import TaskMixture, schedules
from keras_imp.training.input.task_mixture import signature
from tests.training.input.test_prefetch import wait_until


def batches(name, count, size=2):
    """Batches that know their task and number."""
    code = float(ord(name))
    return [
        ({"image": np.full((size, 3), code)}, np.full(size, i))
        for i in range(count)
    ]


def read(mixture):
    """(task, number of its batch) of each item."""
    found = []
    for item in mixture:
        ((name, (x, y)),) = item.items()
        assert (x["image"] == ord(name)).all()
        found.append((name, int(y[0])))
    return found


def make(schedule=None, steps=6, **options):
    sources = {"a": batches("a", 3), "b": batches("b", 2)}
    return TaskMixture(
        sources,
        schedule=schedule or schedules.RoundRobin(),
        steps_per_epoch=steps,
        **options,
    )


def test_each_task_reads_its_batches_in_order():
    assert read(make()) == [
        ("a", 0), ("b", 0), ("a", 1), ("b", 1), ("a", 2), ("b", 0),
    ]  # fmt: skip


def test_a_later_first_step_goes_on_where_the_earlier_steps_stopped():
    for schedule in (schedules.RoundRobin(), schedules.Weighted()):
        whole = read(make(schedule, steps=30, seed=2))
        rest = make(schedule, steps=19, seed=2)
        rest.first_step = 11
        assert read(rest) == whole[11:]


@pytest.mark.parametrize("sequential", [False, True])
def test_steps_that_were_taken_become_empty_items(sequential):
    def mixture():
        if sequential:
            return TaskMixture.sequential({"a": batches("a", 6)})
        return make()

    whole = list(mixture().get_numpy_iterator())
    rest = mixture()
    rest.start(2, skip=2)
    found = list(rest.get_numpy_iterator())
    assert [list(item) for item in found[:2]] == [["@skip"], ["@skip"]]
    assert [list(item) for item in found[2:]] == [list(i) for i in whole[2:]]
    assert rest.num_batches == len(found) == 6


def test_an_epoch_cannot_go_on_after_its_end():
    text = (
        "An epoch cannot go on after more steps than it has. Received: "
        "steps_per_epoch=6, steps_taken=7. Give `steps_per_epoch` the value of "
        "the run that was stopped."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        make().start(7, skip=7)


def test_closing_ends_the_threads_that_read_ahead():
    before = set(threading.enumerate())
    mixture = make(steps=100)
    items = mixture.get_numpy_iterator()
    next(items)
    assert set(threading.enumerate()) > before
    mixture.close()
    assert set(threading.enumerate()) == before


def test_the_seed_decides_the_order():
    first, again, other = (
        [name for name, _ in read(make(schedules.Weighted(), 40, seed=seed))]
        for seed in (0, 0, 1)
    )
    assert first == again
    assert first != other


def test_all_once_gives_all_batches_one_task_after_the_other():
    mixture = TaskMixture.sequential(
        {"a": batches("a", 2), "b": lambda: iter(batches("b", 3))}
    )
    expected = [("a", 0), ("a", 1), ("b", 0), ("b", 1), ("b", 2)]
    assert mixture.num_batches == 5
    assert read(mixture) == expected
    assert read(mixture) == expected  # And again.


def test_together_gives_a_batch_of_every_task_in_each_item():
    sources = {"a": batches("a", 3), "b": batches("b", 2, size=5)}
    mixture = TaskMixture.together(sources, steps_per_epoch=4)
    assert mixture.num_batches == 4
    numbers = [
        {name: int(y[0]) for name, (_, y) in item.items()} for item in mixture
    ]
    assert numbers == [
        {"a": 0, "b": 0},
        {"a": 1, "b": 1},
        {"a": 2, "b": 0},
        {"a": 0, "b": 1},
    ]
    keys = [list(item) for item in mixture.get_numpy_iterator()]
    assert keys == [["a@2x3_2", "b@5x3_5"]] * 4


def test_together_goes_on_at_a_later_first_step():
    sources = {"a": batches("a", 3), "b": batches("b", 2)}
    mixture = TaskMixture.together(sources, steps_per_epoch=1)
    mixture.first_step = 5
    (item,) = mixture
    assert {name: int(y[0]) for name, (_, y) in item.items()} == {
        "a": 2,
        "b": 1,
    }


def test_together_needs_a_length_of_the_epoch():
    text = "A mixture must know how long an epoch is: a schedule has no end."
    with pytest.raises(ValueError, match=f"^{re.escape(text)}"):
        list(TaskMixture.together({"a": batches("a", 1)}))


def test_the_key_of_a_keras_item_names_task_and_shapes():
    mixture = TaskMixture(
        {"a": batches("a", 1) + batches("a", 1, size=5)}, steps_per_epoch=2
    )
    keys = [next(iter(item)) for item in mixture.get_numpy_iterator()]
    assert keys == ["a@2x3_2", "a@5x3_5"]


def test_signature_leaves_out_what_is_not_there():
    batch = ({"image": np.zeros((2, 3))}, None, np.zeros(2))
    assert signature(batch) == "2x3_2"


def test_keras_sees_the_length_of_an_epoch():
    mixture = make(steps=6)
    assert mixture.num_batches == 6
    assert mixture.batch_size is None
    assert not mixture.has_partial_batch
    assert mixture.partial_batch_size is None


def test_a_batch_that_is_no_tuple_is_the_inputs():
    mixture = TaskMixture({"a": [{"image": 1.0}]}, steps_per_epoch=1)
    ((_, batch),) = next(iter(mixture)).items()
    assert len(batch) == 1
    assert isinstance(batch[0]["image"], np.ndarray)


def test_preparing_a_batch_happens_before_it_is_keyed():
    mixture = make(steps=1)
    mixture.bind(lambda name, batch: (batch[0],))
    assert list(next(iter(mixture.get_numpy_iterator()))) == ["a@2x3"]


@pytest.mark.parametrize("prefetch", [0, 2])
def test_an_exception_arrives_with_a_note_of_task_and_batch(prefetch):
    def broken():
        yield from batches("b", 2)
        raise OSError("disk")

    mixture = TaskMixture(
        {"a": batches("a", 2), "b": broken},
        schedule=schedules.RoundRobin(),
        steps_per_epoch=8,
        prefetch=prefetch,
    )
    with pytest.raises(OSError, match="disk") as caught:
        list(mixture.get_numpy_iterator())
    assert caught.value.__notes__ == ["In batch 2 of task 'b'."]


def test_the_reading_thread_ends_with_the_epoch_or_when_closed():
    before = set(threading.enumerate())
    list(make().get_numpy_iterator())
    items = make(steps=1000).get_numpy_iterator()
    next(items)
    items.close()
    assert wait_until(lambda: not set(threading.enumerate()) - before)


# Errors --------------------------------------------------------------------


def test_no_source_is_refused():
    text = "`sources` must have at least one task. Received: sources={}."
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        TaskMixture({})


def test_an_empty_source_is_refused_at_once():
    text = "Task 'b' has an empty source: it needs at least one batch."
    with pytest.raises(ValueError, match=f"^{re.escape(text)}"):
        TaskMixture({"a": batches("a", 1), "b": []})


@pytest.mark.parametrize("steps", [0, -1])
def test_an_epoch_without_steps_is_refused(steps):
    text = (
        "`steps_per_epoch` must be greater than 0. "
        f"Received: steps_per_epoch={steps}."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        make(steps=steps)


def test_a_mixture_without_a_length_of_the_epoch_is_refused():
    text = (
        "A mixture must know how long an epoch is: a schedule has no end. "
        "Received: steps_per_epoch=None. "
        "Set `steps_per_epoch`, in `fit` or in the mixture."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        list(make(steps=None))


def test_a_schedule_for_other_tasks_is_refused():
    text = (
        "`weights` of the schedule must name exactly the tasks of the "
        "mixture, ['a', 'b']. Received: weights=['a']."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        make(schedules.Weighted({"a": 1}))
