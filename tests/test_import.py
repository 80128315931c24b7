import os
import subprocess
import sys

import pytest

import keras_imp

BACKENDS = {"keras", "keras_hub", "jax", "tensorflow", "torch"}

# Frozen: other people's scripts use these names.
PUBLIC_NAMES = [
    "AlternatingModel",
    "CombinedModel",
    "IMPEncoder",
    "NonFiniteLossError",
    "TaskMixture",
    "TokenBudget",
    "ZeroShotClassifier",
    "callbacks",
    "data",
    "distribution",
    "evaluation",
    "inspect_routing",
    "layers",
    "models",
    "optimizers",
    "schedules",
    "tasks",
    "training",
    "upcycle",
]


def modules_after(code, backend):
    """Top-level modules that a fresh interpreter has after some code."""
    code += "\nimport sys; print(*{name.split('.')[0] for name in sys.modules})"
    result = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "KERAS_BACKEND": backend},
        capture_output=True,
        text=True,
        check=True,
    )
    return set(result.stdout.split())


def test_importing_the_package_imports_no_backend():
    loaded = modules_after("import keras_imp", "jax")
    assert "keras_imp" in loaded
    assert not loaded & BACKENDS


@pytest.mark.parametrize("part", ["layers", "tasks", "AlternatingModel"])
def test_most_parts_import_one_backend_only(part):
    loaded = modules_after(f"import keras_imp; keras_imp.{part}", "jax")
    assert {"keras", "jax"} <= loaded
    assert not loaded & {"keras_hub", "tensorflow", "torch"}


def test_what_needs_keras_hub_can_be_named():
    code = "import keras_imp.models as m; assert m.IMPEncoder and m.PRESETS"
    assert "keras_hub" in modules_after(code, "jax")


def test_public_names_are_frozen():
    assert list(keras_imp.__all__) == PUBLIC_NAMES
    assert set(PUBLIC_NAMES) <= set(dir(keras_imp))


def test_an_unknown_name_is_an_attribute_error():
    assert not hasattr(keras_imp, "IMPDecoder")


def test_a_lazy_name_is_the_same_object_as_in_its_module():
    from keras_imp.models.imp_encoder import IMPEncoder

    assert keras_imp.IMPEncoder is IMPEncoder
