import re

import numpy as np
import pytest

from keras_imp import TaskMixture, schedules
from keras_imp.training.input.task_mixture import signature

pytestmark = pytest.mark.one_backend


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
        assert read(rest.items(11)) == whole[11:]
        assert read(make(schedule, seed=2, steps=30).items(9, 2)) == read(
            make(schedule, seed=2, steps=28).items(9)
        )


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


def test_together_goes_on_at_a_later_first_step():
    sources = {"a": batches("a", 3), "b": batches("b", 2)}
    mixture = TaskMixture.together(sources, steps_per_epoch=1)
    (item,) = mixture.items(5)
    assert {name: int(y[0]) for name, (_, y) in item.items()} == {
        "a": 2,
        "b": 1,
    }


def test_together_needs_a_length_of_the_epoch():
    text = "A mixture must know how long an epoch is: a schedule has no end."
    with pytest.raises(ValueError, match=f"^{re.escape(text)}"):
        list(TaskMixture.together({"a": batches("a", 1)}))


def test_signature_leaves_out_what_is_not_there():
    batch = ({"image": np.zeros((2, 3))}, None, np.zeros(2))
    assert signature(batch) == "2x3_2"


def test_a_batch_that_is_no_tuple_is_the_inputs():
    mixture = TaskMixture({"a": [{"image": 1.0}]}, steps_per_epoch=1)
    ((_, batch),) = next(iter(mixture)).items()
    assert len(batch) == 1
    assert isinstance(batch[0]["image"], np.ndarray)


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
