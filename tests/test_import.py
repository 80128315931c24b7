import os
import subprocess
import sys

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


def test_layers_import_one_backend_only():
    loaded = modules_after("import keras_imp, keras_imp.layers", "jax")
    assert {"keras", "jax"} <= loaded
    assert not loaded & {"tensorflow", "torch"}


def test_public_names_are_frozen():
    assert list(keras_imp.__all__) == PUBLIC_NAMES
    assert set(PUBLIC_NAMES) <= set(dir(keras_imp))


def test_an_unknown_name_is_an_attribute_error():
    assert not hasattr(keras_imp, "IMPDecoder")


def test_a_lazy_name_is_the_same_object_as_in_its_module():
    from keras_imp.models.imp_encoder import IMPEncoder

    assert keras_imp.IMPEncoder is IMPEncoder
