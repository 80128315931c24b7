"""One run at a time in a folder of backups, among real processes."""

import errno
import json
import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import keras
import pytest

from keras_imp.callbacks import Backup
from keras_imp.training.checkpoint.lock import FolderInUseError, FolderLock
from tests.helpers.bad_batches import exactly
from tests.helpers.interruption import InterruptedRunError, fit_small

pytestmark = pytest.mark.one_backend

ROOT = Path(__file__).parents[3]
# Without the package, whose imports take seconds: it needs two files of it.
HOLD = """
import importlib.util, os, pathlib, sys, time

spec = importlib.util.spec_from_file_location("lock", sys.argv[1])
lock = importlib.util.module_from_spec(spec)
spec.loader.exec_module(lock)
held = lock.FolderLock(pathlib.Path(sys.argv[2]))
held.acquire()
if sys.argv[3] == "alone" or os.fork() == 0:
    sys.stdout.write(f"{os.getpid()}\\n")
    sys.stdout.flush()
time.sleep(600)
"""


@pytest.fixture
def hold(tmp_path):
    """Start a process that has the folder; returns it and who tells of it."""
    processes = []

    def hold(how="alone"):
        command = [
            sys.executable,
            "-c",
            HOLD,
            ROOT / "keras_imp" / "training" / "checkpoint" / "lock.py",
            tmp_path,
            how,
        ]
        process = subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.PIPE, text=True
        )
        processes.append(process)
        return process, int(process.stdout.readline())

    yield hold
    for process in processes:
        process.kill()
        process.wait()
        process.stdout.close()


def in_use(folder, pid, host=None):
    text = (
        "Only one run at a time can have a folder of backups. Received: "
        f"folder={str(folder)!r}, pid={pid}, "
        f"host={host or socket.gethostname()!r}. Wait until that process ends, "
        "stop it, or choose another folder."
    )
    return exactly(FolderInUseError, text)


def test_the_run_of_another_process_is_named(tmp_path, hold):
    process, _ = hold()
    with in_use(tmp_path, process.pid):
        FolderLock(tmp_path).acquire()
    # Nor does a refused one take the lock away.
    with in_use(tmp_path, process.pid):
        FolderLock(tmp_path).acquire()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_the_lock_of_a_dead_process_is_taken_over(tmp_path, hold, number):
    process, _ = hold()
    process.send_signal(number)
    process.wait()
    assert (tmp_path / "lock").exists()
    lock = FolderLock(tmp_path)
    lock.acquire()
    owner = json.loads((tmp_path / "lock").read_text())
    assert owner == {"pid": os.getpid(), "host": socket.gethostname()}
    lock.release()
    assert not list(tmp_path.iterdir())


def test_a_worker_that_outlives_its_process_does_not_keep_the_lock(
    tmp_path, hold
):
    process, worker = hold("worker")
    process.kill()
    process.wait()
    try:
        lock = FolderLock(tmp_path)
        lock.acquire()
        lock.release()
    finally:
        os.kill(worker, signal.SIGKILL)


def test_two_runs_of_one_process_are_told_apart(tmp_path):
    class StartAnother(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            with in_use(tmp_path, os.getpid()):
                fit_small([Backup(tmp_path)])
            raise InterruptedRunError

    with pytest.raises(InterruptedRunError):
        fit_small([Backup(tmp_path), StartAnother()])
    # A run that has ended, with an error too, leaves the folder free.
    assert not (tmp_path / "lock").exists()
    fit_small([Backup(tmp_path)], epochs=1)
    assert not (tmp_path / "lock").exists()


def test_a_lock_that_was_removed_in_the_meantime_is_taken_anew(
    tmp_path, monkeypatch
):
    first = FolderLock(tmp_path)
    first.acquire()
    flock = "keras_imp.training.checkpoint.lock._lock"
    calls = []

    def ends_just_now(file):
        calls.append(file)
        if len(calls) == 1:
            first.release()

    monkeypatch.setattr(flock, ends_just_now)
    second = FolderLock(tmp_path)
    second.acquire()
    assert len(calls) == 2
    assert (tmp_path / "lock").exists()
    second.release()


def test_a_file_system_that_cannot_lock_is_warned_of(tmp_path, monkeypatch):
    def refuse(file):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("keras_imp.training.checkpoint.lock._lock", refuse)
    text = (
        "The file system cannot lock files: take care that no other run uses "
        f"this folder. Received: folder={str(tmp_path)!r}."
    )
    lock = FolderLock(tmp_path)
    with pytest.warns(UserWarning, match=f"^{re.escape(text)}$"):
        lock.acquire()
    lock.release()


def test_a_lock_without_a_readable_owner_is_told_all_the_same(tmp_path, hold):
    hold()
    (tmp_path / "lock").write_text("")
    text = (
        "Only one run at a time can have a folder of backups. Received: "
        f"folder={str(tmp_path)!r}, pid='unknown'. Wait until that process "
        "ends, stop it, or choose another folder."
    )
    with exactly(FolderInUseError, text):
        FolderLock(tmp_path).acquire()


def test_a_file_in_the_place_of_the_folder_is_told(tmp_path):
    folder = tmp_path / "file"
    folder.write_text("")
    why = f"[Errno 17] File exists: {str(folder)!r}"
    text = (
        "The folder of backups must be one that can be written to. Received: "
        f"folder={str(folder)!r}, error={why!r}. Choose another folder."
    )
    with exactly(FileExistsError, text):
        fit_small([Backup(folder)])
