"""What one process saved, another loads that has imported the package only."""

import importlib
import inspect
import os
import shutil
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from keras_imp._registration import SERIALIZABLE
from tests.helpers import load_in_process
from tests.test_doctests import MODULES

ROOT = Path(__file__).parents[1]

# Keras could make these too, but no file names them: their owners make them.
PARTS = {
    "ConvolvedLogMel",
    "TotalsReset",
    "EncoderBody",
    "Experts",
    "GivenSeed",
    "LowRankUpdates",
    "MaskedPatches",
    "MaskedTokens",
    "TaskHeads",
}
# No file names these either: they are there to be derived from.
BASES = {
    "CheckedEncoder",
    "DescribedModel",
    "EncoderBackbone",
    "EngineModel",
    "Layer",
    "LinearTask",
    "MultimodalEncoder",
    "PredictingModel",
    "ReportingLayer",
    "SparseFeedForward",
    "Task",
}


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A folder with one file of each kind, and what they must give."""
    keras.utils.set_random_seed(1)
    folder = tmp_path_factory.mktemp("saved")
    expected = load_in_process.save(folder)
    # The second epoch wrote here too: leave the first one's.
    backups = sorted((folder / "backup").iterdir())
    assert len(backups) == 2
    backups[1].unlink()
    return folder, expected


@pytest.mark.parametrize("first", ["keras", "keras_imp"])
def test_another_process_loads_all_that_was_saved(saved, first):
    folder, expected = saved
    shutil.copytree(folder / "backup", folder / f"backup-{first}")
    result = subprocess.run(
        [
            sys.executable,
            "-m",
            "tests.helpers.load_in_process",
            str(folder),
            first,
        ],
        cwd=ROOT,
        env={**os.environ, "KERAS_BACKEND": keras.config.backend()},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    found = dict(np.load(folder / f"found-{first}.npz"))
    assert len(found) == 13
    for name, values in found.items():
        np.testing.assert_allclose(
            values,
            expected[name.split("/")[1]],
            rtol=1e-6,
            atol=1e-6,
            err_msg=name,
        )


def serializable_classes():
    """Classes of the package that Keras can make from a config, by name."""
    found = {}
    for module in map(importlib.import_module, MODULES):
        for name, value in vars(module).items():
            if (
                inspect.isclass(value)
                and value.__module__ == module.__name__
                and not name.startswith("_")
                and hasattr(value, "from_config")
            ):
                found[name] = value
    return found


def test_all_that_a_file_can_name_is_registered():
    classes = serializable_classes()
    registered = {
        name: module for module, names in SERIALIZABLE.items() for name in names
    }
    assert set(classes) - PARTS - BASES == set(registered)
    for name, module in registered.items():
        assert classes[name].__module__ == module
        found = keras.saving.get_registered_object(f"keras_imp>{name}")
        assert found is classes[name]


def test_nothing_else_is_registered_under_the_name_of_the_package():
    objects = keras.saving.get_custom_objects()
    names = {name for name in objects if name.startswith("keras_imp>")}
    assert names == {
        f"keras_imp>{name}" for names in SERIALIZABLE.values() for name in names
    }
