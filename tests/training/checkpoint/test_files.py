"""Files of backups: what is none, and a disk that is full."""

import errno
import hashlib
import json
import subprocess
import sys
import types
from pathlib import Path

import h5py
import numpy as np
import pytest

from keras_imp.training.checkpoint.files import BackupFiles, BrokenBackupError
from tests.helpers.bad_batches import exactly

pytestmark = pytest.mark.one_backend

ROOT = Path(__file__).parents[3]


def save(path):
    with h5py.File(path, "w") as file:
        file["layers/0/vars/0"] = np.ones((16, 64), "float32")


def named_by_checksum(path, number=7):
    """The file, with the name that a backup of this content has."""
    checksum = hashlib.sha256(path.read_bytes()).hexdigest()[:16]
    return path.rename(
        path.with_name(f"backup-{number:06d}-{checksum}.weights.h5")
    )


def with_facts(folder, text=None):
    path = folder / "foreign.h5"
    with h5py.File(path, "w") as file:
        if text is not None:
            file["keras_imp_backup"] = text
    return named_by_checksum(path)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (None, "it has weights but no facts of a run"),
        ("[1]", "it has weights but no facts of a run"),
        (json.dumps({"run": {}}), "it lacks the facts ['step']"),
        (
            "{",
            "it cannot be read (Expecting property name enclosed in double "
            "quotes: line 1 column 2 (char 1))",
        ),
    ],
    ids=["weights alone", "a list", "another version", "no JSON"],
)
def test_a_file_of_another_kind_is_told_by_what_it_lacks(tmp_path, text, why):
    files = BackupFiles(tmp_path, keep=2, facts=("run", "step"))
    path = with_facts(tmp_path, text)
    assert files.newest_first() == [path]
    with exactly(BrokenBackupError, why):
        files.read(path)


def test_a_folder_with_the_name_of_a_backup_is_left_alone(tmp_path):
    files = BackupFiles(tmp_path, keep=1)
    folder = tmp_path / f"backup-000003-{'0' * 16}.weights.h5"
    folder.mkdir()
    with pytest.raises(BrokenBackupError, match="it cannot be read"):
        files.read(folder)
    for step in (1, 2):
        path = files.write(save, {"step": step})
    assert set(tmp_path.iterdir()) == {folder, path}
    assert path.name.startswith("backup-000005-")


def test_a_folder_with_the_name_of_an_unfinished_file_is_left_alone(tmp_path):
    folder = tmp_path / "unfinished-mine"
    folder.mkdir()
    BackupFiles(tmp_path, keep=1).remove_unfinished()
    assert folder.is_dir()


# A full disk ----------------------------------------------------------------


def advice(folder, needed, received):
    return (
        "The disk must have room for one more backup; those before it are "
        f"whole. Received: folder={str(folder)!r}, needed={needed}, "
        f"{received}. Make room, and run the same training again to resume "
        "from them."
    )


def test_a_full_disk_is_told_before_anything_is_written(tmp_path, monkeypatch):
    files = BackupFiles(tmp_path, keep=2)
    good = files.write(save, {"step": 1})
    needed = good.stat().st_size + (1 << 20)
    monkeypatch.setattr(
        "shutil.disk_usage", lambda _: types.SimpleNamespace(free=needed - 1)
    )
    with exactly(OSError, advice(tmp_path, needed, f"free={needed - 1}")):
        files.write(pytest.fail, {"step": 2})
    assert list(tmp_path.iterdir()) == [good]
    assert files.read(good) == {"step": 1}
    monkeypatch.undo()
    assert files.read(files.write(save, {"step": 2})) == {"step": 2}


def test_a_quota_is_told_before_anything_is_written(tmp_path, monkeypatch):
    def refuse(*args):
        raise OSError(errno.EDQUOT, "Disk quota exceeded")

    monkeypatch.setattr("os.posix_fallocate", refuse)
    text = advice(
        tmp_path,
        (1 << 20) + 5,
        f"error='[Errno {errno.EDQUOT}] Disk quota exceeded'",
    )
    with exactly(OSError, text):
        BackupFiles(tmp_path, keep=2).write(pytest.fail, {}, size=5)
    assert not list(tmp_path.iterdir())


def test_a_file_system_that_cannot_reserve_room_is_written_to(
    tmp_path, monkeypatch
):
    def refuse(*args):
        raise OSError(errno.EOPNOTSUPP, "Operation not supported")

    monkeypatch.setattr("os.posix_fallocate", refuse)
    path = BackupFiles(tmp_path, keep=2).write(save, {"step": 1})
    assert list(tmp_path.iterdir()) == [path]


# Without the package, whose imports take seconds: it needs two files of it.
AT_EACH_LIMIT = """
import importlib.util, json, os, pathlib, resource, sys
import h5py, numpy

spec = importlib.util.spec_from_file_location("files", sys.argv[1])
files = importlib.util.module_from_spec(spec)
spec.loader.exec_module(files)

def save(path):
    with h5py.File(path, "w") as file:
        for i in range(64):
            file[f"layers/{i}/vars/0"] = numpy.ones((16, 64), "float32")

for limit in range(0, 2 << 20, 1 << 17):
    folder = pathlib.Path(sys.argv[2]) / str(limit)
    backups = files.BackupFiles(folder, keep=2)
    backups.write(save, {"step": 1})
    if os.fork() == 0:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
        try:
            files.BackupFiles(folder, keep=2).write(save, {"step": 2})
        except OSError as error:
            sys.exit("must have room" not in str(error))
        sys.exit()
    _, status = os.wait()
    *newer, first = backups.newest_first()
    code = os.waitstatus_to_exitcode(status)
    line = [code, len(newer), backups.read(first)]
    sys.stdout.write(json.dumps(line) + "\\n")
    sys.stdout.flush()
"""


def test_no_limit_ends_the_process_or_costs_an_older_backup(tmp_path):
    found = subprocess.run(
        [
            sys.executable,
            "-c",
            AT_EACH_LIMIT,
            ROOT / "keras_imp" / "training" / "checkpoint" / "files.py",
            tmp_path,
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    codes, newer, older = zip(*map(json.loads, found.stdout.splitlines()))
    assert set(codes) == {0}
    # Refused at the smaller limits, then written.
    assert list(newer) == sorted(newer)
    assert set(newer) == {0, 1}
    assert all(facts == {"step": 1} for facts in older)


def test_an_error_in_the_middle_of_a_large_weight_leaves_no_open_file(
    tmp_path,
):
    """What a disk does that gets full while HDF5 writes."""
    files = BackupFiles(tmp_path, keep=2)

    def full(path):
        file = h5py.File(path, "w")
        file["0"] = np.ones(99)
        raise OSError(errno.ENOSPC, "No space left on device")

    text = advice(
        tmp_path, 1 << 20, "error='[Errno 28] No space left on device'"
    )
    with exactly(OSError, text):
        files.write(full, {})
    assert not list(tmp_path.iterdir())
    assert not h5py.h5f.get_obj_ids(h5py.h5f.OBJ_ALL, h5py.h5f.OBJ_FILE)
    files.write(save, {"step": 1})


def test_other_errors_of_a_save_are_left_as_they_are(tmp_path):
    def fail(path):
        raise RuntimeError("of the model")

    with exactly(RuntimeError, "of the model"):
        BackupFiles(tmp_path, keep=2).write(fail, {})
