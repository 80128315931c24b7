"""Every example in a docstring runs, and every public symbol has one."""

import doctest
import importlib
import inspect
import pathlib

import keras
import pytest

import keras_imp

pytestmark = pytest.mark.one_backend

ROOT = pathlib.Path(keras_imp.__file__).parent
BACKENDS = ("jax", "tensorflow", "torch")


def is_for_another_backend(path):
    """Files are named after their backend: `jax.py`, `tensorflow_scan.py`."""
    others = {b for b in BACKENDS if b != keras.config.backend()}
    return path.stem.split("_")[0] in others


def module_name(path):
    parts = path.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


MODULES = [
    module_name(path)
    for path in sorted(ROOT.rglob("*.py"))
    if not is_for_another_backend(path) and path.name != "__main__.py"
]
PACKAGES = [module_name(path) for path in sorted(ROOT.rglob("__init__.py"))]


@pytest.mark.parametrize("name", MODULES)
def test_examples_of_a_module_run(name, tmp_path, monkeypatch):
    module = importlib.import_module(name)
    monkeypatch.chdir(tmp_path)  # Where an example may write its files.
    assert doctest.testmod(module).failed == 0


@pytest.mark.parametrize("name", PACKAGES)
def test_every_public_symbol_has_an_example(name):
    package = importlib.import_module(name)
    exported = {
        key: getattr(package, key) for key in getattr(package, "__all__", ())
    }
    without = [
        key
        for key, value in exported.items()
        if (inspect.isclass(value) or inspect.isfunction(value))
        and "Example:" not in (value.__doc__ or "")
    ]
    assert without == []
