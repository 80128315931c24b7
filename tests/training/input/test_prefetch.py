import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from keras_imp.training.input.prefetch import (
    interrupt_read,
    interruptible_reads,
    prefetch,
)

pytestmark = pytest.mark.one_backend

# Longest wait for a thread; a test that passes does not wait for it.
PATIENCE = 20.0


def numbers(seen, count=100):
    for i in range(count):
        seen.append(i)
        yield i


def wait_until(condition):
    end = time.monotonic() + PATIENCE
    while not condition() and time.monotonic() < end:
        time.sleep(0.01)
    return condition()


@pytest.mark.parametrize("depth", [0, 1, 3, 200])
def test_items_come_converted_and_in_order(depth):
    found = list(prefetch(range(50), lambda i: i * i, depth))
    assert found == [i * i for i in range(50)]


@pytest.mark.parametrize("depth", [0, 2])
def test_no_items_give_no_items(depth):
    assert list(prefetch([], str, depth)) == []


def test_it_reads_ahead_by_its_depth_and_no_further():
    seen = []
    items = prefetch(numbers(seen), lambda i: i, depth=3)
    assert next(items) == 0
    # Item 0 was taken, three are ready, one waits for its place.
    assert wait_until(lambda: len(seen) == 5)
    time.sleep(0.05)
    assert len(seen) == 5
    items.close()


def test_depth_zero_reads_only_when_asked():
    seen = []
    items = prefetch(numbers(seen), lambda i: i, depth=0)
    assert next(items) == 0
    assert seen == [0]


def test_it_reads_in_another_thread():
    items = range(3)
    reader = threading.get_ident()
    threads = set(prefetch(items, lambda i: threading.get_ident(), depth=2))
    assert reader not in threads
    assert len(threads) == 1


@pytest.mark.parametrize("depth", [0, 2])
def test_an_exception_comes_where_its_item_would_have_come(depth):
    def convert(i):
        if i == 2:
            raise KeyError("broken")
        return i

    items = prefetch(range(5), convert, depth)
    assert [next(items), next(items)] == [0, 1]
    with pytest.raises(KeyError, match="broken"):
        next(items)


@pytest.mark.parametrize("depth", [0, 2])
def test_an_exception_of_the_source_arrives_too(depth):
    def source():
        yield 1
        raise OSError("disk")

    items = prefetch(source(), lambda i: i, depth)
    assert next(items) == 1
    with pytest.raises(OSError, match="disk"):
        next(items)


@pytest.mark.parametrize("forget", [False, True], ids=["closed", "forgotten"])
def test_the_thread_ends_with_its_generator(forget):
    before = set(threading.enumerate())
    items = prefetch(range(1000), lambda i: i, depth=2)
    next(items)
    (reader,) = set(threading.enumerate()) - before
    if forget:
        del items
    else:
        items.close()
    assert wait_until(lambda: not reader.is_alive())


def test_closing_waits_for_the_read_that_goes_on():
    done = []

    def slow():
        yield 0
        time.sleep(0.2)
        done.append(True)
        yield 1

    items = prefetch(slow(), lambda i: i, depth=2)
    next(items)
    items.close()
    assert done == [True]


def test_closing_does_not_wait_forever(monkeypatch):
    monkeypatch.setattr("keras_imp.training.input.prefetch.PATIENCE", 0.1)
    hangs = threading.Event()

    def source():
        yield 0
        hangs.wait(PATIENCE)
        yield 1

    items = prefetch(source(), lambda i: i, depth=2)
    next(items)
    began = time.monotonic()
    items.close()
    assert time.monotonic() - began < PATIENCE / 2
    hangs.set()


def test_a_generator_that_never_starts_reads_nothing():
    seen = []
    prefetch(numbers(seen), lambda i: i, depth=2).close()
    assert seen == []


# Interrupted ----------------------------------------------------------------


class StopError(SystemExit):
    pass


def stop():
    raise StopError


@pytest.fixture
def interrupt_later():
    """Call `interrupt_read` in a signal handler, while a read goes on."""
    previous = signal.signal(signal.SIGUSR1, lambda *_: interrupt_read(stop))
    me = (os.getpid(), signal.SIGUSR1)
    yield lambda: threading.Timer(0.1, os.kill, me).start()
    signal.signal(signal.SIGUSR1, previous)


@pytest.mark.parametrize("depth", [0, 2])
def test_a_signal_ends_the_wait_for_a_source_that_blocks(
    depth, interrupt_later
):
    blocks = threading.Event()

    def source():
        yield 0
        blocks.wait(PATIENCE)
        yield 1

    items = prefetch(source(), lambda i: i, depth)
    assert next(items) == 0
    began = time.monotonic()
    interrupt_later()
    with interruptible_reads(), pytest.raises(StopError):
        next(items)
    assert time.monotonic() - began < 2.0
    blocks.set()


@pytest.mark.parametrize("depth", [0, 2])
def test_a_signal_between_two_reads_ends_the_next_one(depth):
    items = prefetch(range(9), lambda i: i, depth)
    with interruptible_reads():
        assert next(items) == 0
        interrupt_read(stop)
        with pytest.raises(StopError):
            next(items)
    # And none beyond its context.
    assert list(prefetch(range(3), lambda i: i, depth)) == [0, 1, 2]


def test_ctrl_c_does_not_wait_for_a_source_that_blocks():
    blocks = threading.Event()

    def source():
        yield 0
        blocks.wait(PATIENCE)

    items = prefetch(source(), lambda i: i, depth=1)
    next(items)
    threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT)).start()
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        next(items)
    assert time.monotonic() - began < 2.0
    blocks.set()


_LEAVES_TORCH_AT_WORK = """
import signal
import subprocess
import sys
import torch
from keras_imp.training.input.prefetch import interrupt_read, prefetch

def convert(i):
    product = torch.ones(2000, 2000)
    for _ in range(8 * i):
        product = product @ product
    return product

def stop():
    raise SystemExit(143)

signal.signal(signal.SIGALRM, lambda *_: interrupt_read(stop))
for i, _ in enumerate(prefetch(range(3), convert, depth=2)):
    if i == 0:
        signal.setitimer(signal.ITIMER_REAL, 0.01)
"""


def test_a_process_ends_with_its_own_code_while_torch_converts():
    # The interpreter's end stops threads, and torch calls that an abort.
    pytest.importorskip("torch")
    process = subprocess.run(
        [sys.executable, "-c", _LEAVES_TORCH_AT_WORK],
        env={**os.environ, "KERAS_BACKEND": "torch"},
        stderr=subprocess.PIPE,
        check=False,
    )
    assert process.returncode == 143, process.stderr.decode()
