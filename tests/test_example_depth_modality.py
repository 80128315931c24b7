"""The example of a modality of one's own learns, saves and loads."""

import importlib.util
import json
import os
import pathlib
import subprocess
import sys

import keras
import numpy as np
import pytest

from tests.helpers.modalities import restored_registry

pytestmark = pytest.mark.one_backend

ROOT = pathlib.Path(__file__).parents[1]
FILE = ROOT / "examples" / "depth_modality.py"

LOAD = """
import json, sys
import keras, numpy as np
import keras_imp

file, inputs = sys.argv[1:]
try:
    keras.models.load_model(file)
except Exception as error:
    print(json.dumps(["error", str(error)]))

import depth_modality

model = keras.models.load_model(file)
depth = np.load(inputs)
print(json.dumps(
    ["outputs", model.predict(depth, task="solids", verbose=0).tolist()]))
model.compile(optimizer="adam", run_eagerly=True, jit_compile=False)
try:
    model.fit(keras_imp.TaskMixture({
        "solids": [({"depth": -depth}, np.zeros(len(depth)))],
        "places": [({"image": np.zeros((3, 32, 32, 3))}, np.zeros((3, 2)))],
    }, schedule=keras_imp.schedules.RoundRobin()), steps_per_epoch=2, verbose=0)
except ValueError as error:
    print(json.dumps(["refused", str(error)]))
"""


@pytest.fixture(scope="module")
def example():
    spec = importlib.util.spec_from_file_location("depth_modality", FILE)
    module = importlib.util.module_from_spec(spec)
    with restored_registry():
        spec.loader.exec_module(module)
        yield module


@pytest.fixture(scope="module")
def trained(example, tmp_path_factory):
    """What the example wrote, and its history."""
    folder = tmp_path_factory.mktemp("depth")
    return folder, example.main(folder, steps=50, epochs=2, verbose=0).history


@pytest.fixture(scope="module")
def other_process(example, trained):
    """What a process says that loads the model before and after the import."""
    folder, _ = trained
    depth, *_ = example.scenes(3, np.random.default_rng(1))
    np.save(folder / "depth.npy", depth)
    path = os.pathsep.join([str(ROOT), str(FILE.parent)])
    result = subprocess.run(
        [
            sys.executable,
            "-c",
            LOAD,
            str(folder / "model.keras"),
            str(folder / "depth.npy"),
        ],
        cwd=ROOT,
        env={
            **os.environ,
            "KERAS_BACKEND": keras.config.backend(),
            "PYTHONPATH": path,
        },
        capture_output=True,
        text=True,
        check=True,
    )
    lines = [line for line in result.stdout.splitlines() if line[:2] == '["']
    return dict(map(json.loads, lines))


def test_it_learns_from_depth(trained):
    _, history = trained
    # Chance is a third.
    assert history["solids/accuracy"][-1] > 0.5
    assert history["places/loss"][-1] < history["places/loss"][0]


def test_its_model_loads_in_another_process(example, trained, other_process):
    folder, _ = trained
    model = keras.models.load_model(folder / "model.keras")
    depth = np.load(folder / "depth.npy")
    found = model.predict(depth, task="solids", verbose=0)
    np.testing.assert_allclose(found, other_process["outputs"], atol=1e-5)


def test_a_process_that_did_not_import_it_is_told_to(other_process):
    text = (
        "A modality must be one of ('image', 'video', 'audio', 'waveform', "
        "'text'). Received: modality='depth'. Use one of these names. A "
        "modality of your own is known once the module that calls "
        "keras_imp.models.register_modality is imported."
    )
    assert text in other_process["error"]


def test_its_check_names_the_task(other_process):
    assert other_process["refused"] == (
        "Task 'solids': Input 'depth': Depth must be between 0 and 100 meters, "
        "no holes."
    )


def test_its_sizes_are_of_pixels_that_were_measured(example):
    depth, *_ = example.scenes(2, np.random.default_rng(0))
    small = example.resize_depth(depth, (16, 8), None)
    assert small.shape == (2, 16, 8)
    assert np.isin(small, depth).all()


def test_the_modality_takes_no_more_than_40_lines():
    text = FILE.read_text()
    start, stop = text.index("# The modality"), text.index("# Its use")
    code = [line for line in text[start:stop].splitlines() if line.strip()]
    assert len(code) <= 40
