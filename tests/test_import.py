import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import keras_imp
from tests.data.shapes import test_resized_arrays
from tests.training.schedules import test_weighted as test_schedules_by_weight

ROOT = Path(__file__).parents[1]
BACKENDS = {"keras", "keras_hub", "jax", "tensorflow", "torch"}

# Frozen: other people's scripts use these names.
PUBLIC_NAMES = [
    "AlternatingModel",
    "CombinedModel",
    "IMPEncoder",
    "IMPPreprocessor",
    "NonFiniteLossError",
    "TaskMixture",
    "TokenBudget",
    "ZeroShotClassifier",
    "callbacks",
    "data",
    "distribution",
    "evaluate_retrieval",
    "evaluation",
    "export",
    "exporting",
    "inspect_routing",
    "layers",
    "list_presets",
    "models",
    "optimizers",
    "schedules",
    "search",
    "tasks",
    "training",
    "upcycle",
    "validation",
]


CODE = """
import json, sys

def note(name):
    print(json.dumps([name, [key.split(".")[0] for key in sys.modules]]))

def forget():
    for name in [key for key in sys.modules if key.startswith("keras_imp")]:
        del sys.modules[name]

import keras_imp
note("keras_imp")
for part in ("layers", "tasks", "AlternatingModel", "IMPEncoder"):
    forget()  # Each part is the first one that somebody asks for.
    import keras_imp
    getattr(keras_imp, part)
    note(part)
forget()
import keras_imp.models as m
assert m.IMPEncoder and m.PRESETS and m.upcycle
note("models")
from tests.data.shapes import test_resized_arrays as arrays
from tests.training.schedules import test_weighted as schedules
print(json.dumps(["digests", [arrays.digest(), schedules.digest()]]))
"""


@pytest.fixture(scope="module")
def process():
    """What a fresh interpreter has loaded after each step, and its numbers.

    One for all tests of this file: most of its time is spent importing.
    """
    result = subprocess.run(
        [sys.executable, "-c", CODE],
        cwd=ROOT,
        env={**os.environ, "KERAS_BACKEND": "jax", "PYTHONHASHSEED": "7"},
        capture_output=True,
        text=True,
        check=True,
    )
    lines = [line for line in result.stdout.splitlines() if line[:2] == '["']
    return {name: set(found) for name, found in map(json.loads, lines)}


def test_importing_the_package_imports_no_backend(process):
    loaded = process["keras_imp"]
    assert "keras_imp" in loaded
    assert not loaded & BACKENDS


@pytest.mark.parametrize(
    "part", ["layers", "tasks", "AlternatingModel", "IMPEncoder", "models"]
)
def test_each_part_imports_one_backend_only(process, part):
    loaded = process[part]
    assert {"keras", "jax"} <= loaded
    assert not loaded & {"keras_hub", "tensorflow", "torch"}


def test_another_process_draws_the_same_numbers(process):
    """Batches and schedules, whatever the hashes, on every backend."""
    digests = {test_resized_arrays.digest(), test_schedules_by_weight.digest()}
    assert process["digests"] == digests


def test_public_names_are_frozen():
    assert list(keras_imp.__all__) == PUBLIC_NAMES
    assert set(PUBLIC_NAMES) <= set(dir(keras_imp))


def test_an_unknown_name_is_an_attribute_error():
    assert not hasattr(keras_imp, "IMPDecoder")


def test_a_lazy_name_is_the_same_object_as_in_its_module():
    from keras_imp.models.imp_encoder import IMPEncoder

    assert keras_imp.IMPEncoder is IMPEncoder
