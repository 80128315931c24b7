"""What is kept on a disk: whole or not at all, from any number of processes."""

import contextlib
import errno
import os
import re
import subprocess
import sys
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from keras_imp.data.records import shards, store
from keras_imp.data.records.shards import read_shards, write_shard
from keras_imp.data.records.store import Store, shared_store

pytestmark = pytest.mark.one_backend
SHAPE = (3, 5)


def key(number):
    # Some begin with zeros, some end with them.
    return (number * 2**120 // 7 + number).to_bytes(16, "big")[::-1]


def array(number):
    return np.full(SHAPE, number % 251, "uint8") + np.arange(5, dtype="uint8")


def make(folder):
    return Store(folder, SHAPE, "uint8")


def filled(folder, numbers):
    made = make(folder)
    for number in numbers:
        made.put(key(number), array(number))
    return made


def assert_holds(some, numbers):
    for number in numbers:
        np.testing.assert_array_equal(some.get(key(number)), array(number))


def files(folder):
    return sorted(path.name for path in folder.iterdir())


def test_what_is_put_is_there_before_and_after_it_is_written(tmp_path):
    some = filled(tmp_path, range(20))
    assert_holds(some, range(20))
    assert files(tmp_path) == []
    some.write()
    assert_holds(some, range(20))
    assert_holds(make(tmp_path), range(20))
    assert some.get(key(20)) is None
    assert make(tmp_path / "other").get(key(0)) is None


def test_what_is_returned_is_a_copy(tmp_path):
    some = filled(tmp_path, [1])
    for _ in range(2):
        some.get(key(1))[:] = 0
        assert_holds(some, [1])
        some.write()


def test_arrays_are_written_when_they_are_many_or_old(tmp_path, monkeypatch):
    monkeypatch.setattr(store, "WRITTEN_BYTES", 4 * array(0).nbytes)
    some = filled(tmp_path, range(9))
    assert len(files(tmp_path)) == 2
    monkeypatch.setattr(store, "WRITTEN_SECONDS", 0.0)
    assert_holds(some, [8])
    assert len(files(tmp_path)) == 3
    assert_holds(make(tmp_path), range(9))


@pytest.mark.parametrize("most", [1, 4, 1000])
def test_keys_are_found_however_many_are_sorted(tmp_path, monkeypatch, most):
    monkeypatch.setattr(store, "_SORTED", most)
    some = make(tmp_path)
    order = np.random.default_rng(0).permutation(60).tolist()
    for number in order:
        some.put(key(number), array(number))
        if number % 3 == 0:
            some.write()
    assert_holds(some, order)
    some.write()
    again = make(tmp_path)
    assert_holds(again, order)
    assert len(again) == 60
    assert all(again.get(key(number)) is None for number in range(60, 90))


def test_more_files_than_may_be_open_are_read(tmp_path, monkeypatch):
    monkeypatch.setattr(store, "OPEN_FILES", 2)
    for number in range(9):
        filled(tmp_path, [number]).write()
    assert_holds(make(tmp_path), [*range(9), *range(9)])


def test_data_of_one_process_have_one_store(tmp_path):
    first = shared_store(tmp_path, SHAPE, "uint8")
    first.put(key(1), array(1))
    assert_holds(shared_store(tmp_path, SHAPE, "uint8"), [1])


def test_threads_put_and_get_at_once(tmp_path, monkeypatch):
    monkeypatch.setattr(store, "WRITTEN_BYTES", 8 * array(0).nbytes)
    some = make(tmp_path)

    def work(number):
        number %= 50
        found = some.get(key(number))
        if found is None:
            some.put(key(number), array(number))
            return array(number)
        return found

    with ThreadPoolExecutor(8) as pool:
        for number, found in enumerate(pool.map(work, range(2000))):
            np.testing.assert_array_equal(found, array(number % 50))
    some.write()
    assert_holds(make(tmp_path), range(50))


# --- Files that are not as they were written ----------------------------------


def test_a_file_that_is_cut_or_no_shard_is_left_alone(tmp_path):
    whole = write_shard(tmp_path, [key(1)], [array(1)]).path
    data = whole.read_bytes()
    for size in range(0, len(data), 7):
        (tmp_path / f"cut-{size}.shard").write_bytes(data[:size])
    (tmp_path / "longer.shard").write_bytes(data + b"\0")
    (tmp_path / "other.shard").write_bytes(b"x" + data[1:])
    (found,) = read_shards(tmp_path, SHAPE, "uint8")
    assert found.path == whole
    assert read_shards(tmp_path, (15,), "uint8") == []
    assert read_shards(tmp_path, SHAPE, "int8") == []


def test_what_was_not_finished_is_removed_when_it_is_old(tmp_path):
    for name in ("unfinished-1.shard", "unfinished-2.shard"):
        (tmp_path / name).touch()
    old = time.time() - 2 * 3600
    os.utime(tmp_path / "unfinished-1.shard", (old, old))
    make(tmp_path)
    assert files(tmp_path) == ["unfinished-2.shard"]


def in_process(code, *arguments):
    """Start Python with the names of this module."""
    start = f"from {__name__} import *\n"
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", start + code, *arguments],
        env={**os.environ, "PYTHONPATH": _path()},
        stderr=subprocess.PIPE,
        text=True,
    )


def _path():
    here = str(Path(__file__).parent)
    return os.pathsep.join([here, *sys.path])


KILLED = """
folder, when = Path(sys.argv[1]), sys.argv[2]
filled(folder, range(10)).write()
some = filled(folder, range(10, 20))
save, commit, count = np.save, shards.commit, 0

def kill(*arguments):
    os.kill(os.getpid(), 9)

def save_half(file, values):
    if len(values) and values.ndim == 3:
        file.write(values.tobytes()[:20])
        file.flush()
        kill()
    save(file, values)

if when == "values":
    np.save = save_half
elif when == "before":
    shards.commit = kill
else:
    shards.commit = lambda *arguments: [commit(*arguments), kill()]
some.write()
"""


@pytest.mark.skipif(os.name != "posix", reason="kill is of POSIX")
@pytest.mark.parametrize(
    ("when", "kept"), [("values", 10), ("before", 10), ("after", 20)]
)
def test_a_kill_while_a_file_is_written_leaves_only_whole_ones(
    tmp_path, when, kept
):
    killed = in_process(KILLED, str(tmp_path), when)
    assert killed.wait() == -9, killed.stderr.read()
    killed.stderr.close()
    some = make(tmp_path)
    assert_holds(some, range(kept))
    assert all(some.get(key(n)) is None for n in range(kept, 20))
    names = files(tmp_path)
    assert len([n for n in names if n.endswith(".shard")]) == 2
    is_left = any(name.startswith("unfinished-") for name in names)
    assert is_left == (when != "after")


SHARED = """
store.WRITTEN_BYTES = 40 * array(0).nbytes
some, generator = make(Path(sys.argv[1])), np.random.default_rng()
for number in generator.permutation(1000).tolist():
    if some.get(key(number)) is None:
        some.put(key(number), array(number))
    assert_holds(some, [number])
"""


def test_processes_write_to_one_folder_at_once(tmp_path):
    started = [in_process(SHARED, str(tmp_path)) for _ in range(3)]
    for process in started:
        _, error = process.communicate()
        assert process.returncode == 0, error
    # What was in memory at the end of a process is there, too.
    assert_holds(make(tmp_path), range(1000))
    assert not any(name.startswith("unf") for name in files(tmp_path))


# --- A full disk --------------------------------------------------------------


@contextlib.contextmanager
def no_space(monkeypatch):
    """The file system has no room when the values are written."""
    save = np.save

    def refuse(file, values):
        if values.ndim == 3:
            raise OSError(errno.ENOSPC, "No space left on device")
        save(file, values)

    with monkeypatch.context() as patch:
        patch.setattr(shards.np, "save", refuse)
        yield


@contextlib.contextmanager
def small_files():
    """The system refuses files of more than some bytes."""
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (300, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("is_real", [False, True])
def test_a_full_disk_is_a_warning_and_nothing_more_is_written(
    tmp_path, monkeypatch, is_real
):
    filled(tmp_path, range(5)).write()
    some = make(tmp_path)
    for number in range(5, 60):
        some.put(key(number), array(number))
    limit = small_files() if is_real else no_space(monkeypatch)
    reason = "File too large" if is_real else "No space left on device"
    told = (
        "The cache cannot be written any more, so what is not in it is decoded "
        f"each time. Received: cache='{tmp_path}', error='[Errno "
    )
    with limit, pytest.warns(RuntimeWarning, match=re.escape(told)) as caught:
        some.write()
    assert reason in str(caught[0].message)
    assert len(files(tmp_path)) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        some.put(key(60), array(60))
        some.write()
    assert some.get(key(60)) is None
    assert_holds(some, range(5))
