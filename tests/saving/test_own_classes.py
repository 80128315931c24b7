"""What a process is told that lacks a user's own classes."""

import json
import os
import pathlib
import subprocess
import sys

import keras
import numpy as np
import pytest

from tests.helpers import own_classes
from tests.helpers.modalities import restored_registry

ROOT = pathlib.Path(__file__).parents[2]
REGISTER = (
    "Import own_classes before you load the file. There, the class must be "
    'decorated with @keras.saving.register_keras_serializable(package="..."); '
    "or pass custom_objects={name: class}."
)
SAID = {
    "task": "A task of the file needs a class that is not registered with "
    "Keras in this process: Turns. Received: name='turns'. " + REGISTER,
    "part": "A task of the file needs a class that is not registered with "
    "Keras in this process: Turns. Received: name='both'. " + REGISTER,
    "encoder": "The encoder of the file needs a class that is not registered "
    "with Keras in this process: Small. Received: name='small'. " + REGISTER,
    "modality": "A modality must be one of ('image', 'video', 'audio', "
    "'waveform', 'text'). Received: modality='thermal'. Use one of these "
    "names. A modality of your own is known once the module that calls "
    "keras_imp.models.register_modality is imported.",
}


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """What the models predict, and what another process says and finds."""
    folder = tmp_path_factory.mktemp("own")
    with restored_registry():
        expected = own_classes.save(folder)
    result = subprocess.run(
        [sys.executable, "-m", "tests.helpers.own_classes", str(folder)],
        cwd=ROOT,
        env={**os.environ, "KERAS_BACKEND": keras.config.backend()},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    return expected, json.loads((folder / "found.json").read_text())


@pytest.mark.parametrize("what", SAID)
def test_the_class_that_is_missing_is_named(found, what):
    assert found[1]["said"][what] == ["ValueError", SAID[what], "NoneType"]


def test_all_load_once_the_module_is_imported(found):
    expected, read = found
    for name, predicted in expected.items():
        named = predicted if isinstance(predicted, dict) else {"": predicted}
        for key, values in named.items():
            np.testing.assert_allclose(
                read["predicted"][name][key], values, rtol=1e-5, atol=1e-6
            )
