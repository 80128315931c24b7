import re
import threading

import pytest

from keras_imp import TaskMixture, schedules
from keras_imp.training.input.reader import MixtureReader
from tests.training.input.test_prefetch import wait_until
from tests.training.input.test_task_mixture import batches, make


@pytest.mark.parametrize("sequential", [False, True])
def test_steps_that_were_taken_become_empty_items(sequential):
    def mixture():
        if sequential:
            return TaskMixture.sequential({"a": batches("a", 6)})
        return make()

    whole = list(MixtureReader(mixture()).get_numpy_iterator())
    rest = MixtureReader(mixture())
    rest.start(2, skip=2)
    found = list(rest.get_numpy_iterator())
    assert [list(item) for item in found[:2]] == [["@skip"], ["@skip"]]
    assert [list(item) for item in found[2:]] == [list(i) for i in whole[2:]]
    assert rest.num_batches == len(found) == 6


def test_an_epoch_cannot_go_on_after_its_end():
    text = (
        "An epoch cannot resume after more steps than it has. Received: "
        "steps_per_epoch=6, steps_taken=7. Give `steps_per_epoch` the value of "
        "the run that was stopped."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        MixtureReader(make()).start(7, skip=7)


def test_closing_ends_the_threads_that_read_ahead():
    before = set(threading.enumerate())
    reader = MixtureReader(make(steps=100))
    items = reader.get_numpy_iterator()
    next(items)
    assert set(threading.enumerate()) > before
    reader.close()
    assert set(threading.enumerate()) == before


def test_the_key_of_a_keras_item_names_task_and_shapes():
    mixture = TaskMixture(
        {"a": batches("a", 1) + batches("a", 1, size=5)}, steps_per_epoch=2
    )
    items = MixtureReader(mixture).get_numpy_iterator()
    assert [list(item) for item in items] == [["a@2x3_2"], ["a@5x3_5"]]
    sources = {"a": batches("a", 1), "b": batches("b", 1, size=5)}
    together = TaskMixture.together(sources, steps_per_epoch=2)
    items = MixtureReader(together).get_numpy_iterator()
    assert [list(item) for item in items] == [["a@2x3_2", "b@5x3_5"]] * 2


def test_keras_sees_the_length_of_an_epoch():
    reader = MixtureReader(make(steps=6))
    assert reader.num_batches == 6
    assert reader.batch_size is None
    assert not reader.has_partial_batch
    assert reader.partial_batch_size is None


def test_preparing_a_batch_happens_before_it_is_keyed():
    reader = MixtureReader(make(steps=1), lambda name, batch: (batch[0],))
    assert list(next(reader.get_numpy_iterator())) == ["a@2x3"]


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
        list(MixtureReader(mixture).get_numpy_iterator())
    assert caught.value.__notes__ == ["In batch 2 of task 'b'."]


def test_the_reading_thread_ends_with_the_epoch_or_when_closed():
    before = set(threading.enumerate())
    list(MixtureReader(make()).get_numpy_iterator())
    items = MixtureReader(make(steps=1000)).get_numpy_iterator()
    next(items)
    items.close()
    assert wait_until(lambda: not set(threading.enumerate()) - before)
