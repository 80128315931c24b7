import contextlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

import keras_imp
from tests.helpers import interruption, models
from tests.helpers import resumable_runs as resumable

ROOT = Path(__file__).parents[3]
SCRIPT = ROOT / "benchmarks" / "kill_and_resume.py"


@pytest.fixture(scope="module")
def never_stopped():
    """State and history of a run of all epochs, in one go."""
    model = resumable.make_model()
    history = resumable.fit(model, resumable.EPOCHS)
    return models.state(model), history


def test_stopping_and_resuming_equals_never_stopping(tmp_path, never_stopped):
    state, history = never_stopped
    first = resumable.make_model()
    resumable.fit(first, epochs=1, backup=tmp_path)
    assert int(first.step_counter) == resumable.STEPS
    # Another object, other initial weights, other random states.
    second = resumable.make_model(seed=77)
    found = resumable.fit(second, epochs=2, backup=tmp_path)
    assert int(second.step_counter) == 2 * resumable.STEPS
    models.assert_same(models.state(second), state)
    assert sorted(found) == sorted(history)
    for name, values in found.items():
        np.testing.assert_array_equal(values, history[name][1:])


def test_a_task_of_parts_resumes_within_an_epoch(tmp_path):
    """The metrics of a part are the model's twice over."""
    data = models.data_of("objects")

    def tasks():
        part = keras_imp.tasks.Classification("kinds", "image", 3)
        return [keras_imp.tasks.Combined("objects", [part])]

    def fit(model, *callbacks):
        batches = [(x, {"kinds": y}) for x, y in data["objects"]]
        mixture = models.make_mixture({"objects": batches}, steps_per_epoch=3)
        return model.fit(mixture, verbose=0, callbacks=list(callbacks)).history

    whole = models.make_model(tasks)
    history = fit(whole)
    backup = keras_imp.callbacks.Backup(tmp_path, every=1)
    with contextlib.suppress(interruption.InterruptedRunError):
        fit(models.make_model(tasks), backup, interruption.StopAfter(3))
    resumed = models.make_model(tasks, seed=7)
    found = fit(resumed, keras_imp.callbacks.Backup(tmp_path, every=1))
    models.assert_same(models.state(resumed), models.state(whole))
    assert found == history


@pytest.fixture(scope="module")
def run():
    """Exit code of a run as a process of its own: see `resumable.py`."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.helpers.resumable_runs"],
        cwd=ROOT,
        env={**os.environ, "KERAS_BACKEND": keras.config.backend()},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:

        def run(*arguments):
            line = json.dumps([str(part) for part in arguments])
            print(line, file=process.stdin, flush=True)
            return int(process.stdout.readline())

        yield run


def test_a_killed_process_resumes_as_if_it_had_lived(
    tmp_path, never_stopped, run
):
    backup, result = tmp_path / "backup", tmp_path / "result.npz"
    assert run(backup, result, "keras", "step") == 9
    assert backup.exists()
    assert not result.exists()
    assert run(backup, result, "keras") == 0
    assert_second_epoch(result, never_stopped)


def test_a_process_that_died_in_a_save_and_then_was_told_to_stop(
    tmp_path, never_stopped, run
):
    backup, result = tmp_path / "backup", tmp_path / "result.npz"
    assert run(backup, result, "own", "save") == 9
    names = sorted(path.name for path in backup.iterdir())
    assert [name.split("-")[0] for name in names] == [
        "backup",
        "backup",
        "lock",
        "unfinished",
    ]
    assert run(backup, result, "own", "SIGTERM") == 143
    assert not result.exists()
    assert not list(backup.glob("unfinished-*"))
    assert run(backup, result, "own") == 0
    assert_second_epoch(result, never_stopped)


def assert_second_epoch(result, never_stopped):
    state, history = never_stopped
    with np.load(result) as found:
        for i, value in enumerate(state):
            np.testing.assert_array_equal(found[f"{i}"], value)
        resumed = json.loads(str(found["history"]))
    assert sorted(resumed) == sorted(history)
    for name, values in resumed.items():
        assert len(values) == 1
        np.testing.assert_array_equal(values, history[name][1:])


@pytest.mark.parametrize(
    "optimizer",
    [
        lambda: keras.optimizers.SGD(0.1),
        lambda: keras_imp.optimizers.Muon(1e-2, use_ema=True),
    ],
    ids=["SGD", "Muon"],
)
def test_the_real_encoder_with_dropout_resumes_too(tmp_path, optimizer):
    def make(seed):
        def encoder():
            return keras_imp.IMPEncoder(
                8, 16, 1, 2, modalities=("text",), vocabulary_size=11,
                max_sequence_length=5, dropout=0.2,
            )  # fmt: skip

        keras.utils.set_random_seed(seed)
        return models.make_model(
            lambda: [keras_imp.tasks.Classification("words", "text", 3)],
            encoder(),
            seed=seed,
            optimizer=optimizer(),
        )

    rng = np.random.default_rng(0)
    batches = [
        ({"text": rng.integers(0, 11, (6, 5))}, rng.integers(0, 3, 6))
        for _ in range(3)
    ]
    mixture = lambda: keras_imp.TaskMixture(
        {"words": batches}, steps_per_epoch=3
    )
    whole = make(1)
    whole.fit(mixture(), epochs=2, verbose=0)
    first, second = make(1), make(2)
    for model, epochs in ((first, 1), (second, 2)):
        backup = keras.callbacks.BackupAndRestore(
            tmp_path, delete_checkpoint=False
        )
        model.fit(mixture(), epochs=epochs, verbose=0, callbacks=[backup])
    models.assert_same(models.state(second), models.state(whole))


@pytest.mark.slow
@pytest.mark.skipif(not SCRIPT.exists(), reason="needs the repository")
def test_random_kills_change_nothing():
    command = [sys.executable, SCRIPT, "--backend", keras.config.backend()]
    found = subprocess.run(
        [str(part) for part in [*command, "--smoke", "--kills", "3"]],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert found.returncode == 0, found.stderr
    assert re.search(r"kills +3\n", found.stdout)
    assert re.search(r"equal +True\n", found.stdout)
